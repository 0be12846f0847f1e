"""load_image against everything a stranger may hand in, and the helpers around it."""

import contextlib
import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.data.images import exif_of_upright, load_image
from shared.errors import UserError
from tests.shared.data.pictures import BLUE, GREEN, RED, WHITE, close, corners

ROOT = Path(__file__).parents[3]


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def refused(path, **options) -> str:
    with pytest.raises(UserError) as caught:
        load_image(path, **options)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


# What is a picture


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("PPM", {}, 0),
        ("GIF", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG", {"quality": 95, "subsampling": 0}, 6),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 6),
        ("AVIF", {"quality": 95, "subsampling": "4:4:4"}, 12),
    ],
)
def test_formats_are_told_by_content(tmp_path, format, options, tolerance):
    path = tmp_path / "picture.of_any_name"
    path.write_bytes(encoded(corners(), format, **options))
    close(load_image(path), corners(), tolerance)
    assert load_image(str(path)).flags.writeable


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation(tmp_path, orientation, format):
    undo = {  # how a camera that writes this orientation has turned the picture
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = corners().transpose(undo[orientation]) if orientation > 1 else corners()
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    path = tmp_path / "photo"
    path.write_bytes(encoded(stored, format, exif=exif, **options))
    close(load_image(path), corners(), 6)


@given(exif=st.binary(max_size=64))
@example(exif=b"MM\0*\0\0\0\x08\xff\xff")
@settings(max_examples=50, deadline=None)
def test_broken_exif_does_not_spoil_a_good_picture(tmp_path_factory, exif):
    path = tmp_path_factory.mktemp("exif") / "photo.jpg"
    path.write_bytes(encoded(Image.new("RGB", (8, 8), RED), "JPEG", exif=b"Exif\0\0" + exif))
    assert load_image(path).shape == (8, 8, 3)


def test_cmyk(tmp_path):
    path = tmp_path / "print.jpg"
    corners().convert("CMYK").save(path, quality=95, subsampling=0)
    close(load_image(path), corners(), 8)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey(tmp_path, format):
    values = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    path = tmp_path / "scan"
    path.write_bytes(encoded(Image.fromarray(values), format))
    close(load_image(path), np.repeat((values >> 8)[..., None], 3, axis=-1), 1)
    assert load_image(path, mode="L").shape == (32, 32)


def test_sixteen_bit_colour_png(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (4, 5, 3)).astype(">u2")
    lines = b"".join(b"\0" + row.tobytes() for row in values)
    path = tmp_path / "scan.png"
    path.write_bytes(
        png(b"IHDR" + struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0), b"IDAT" + zlib.compress(lines), b"IEND")
    )
    close(load_image(path), values >> 8, 1)


def png(*chunks: bytes) -> bytes:
    written = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


@pytest.mark.parametrize("values", [np.full((4, 4), 0.5, np.float32), np.full((4, 4), 1 << 20, np.int32)])
def test_pixels_of_unknown_range_are_refused(tmp_path, values):
    path = tmp_path / "depth.tiff"
    Image.fromarray(values).save(path)
    assert "range is unknown" in refused(path)


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_few_colours(tmp_path, mode):
    path = tmp_path / "picture.png"
    picture = corners().convert(mode)
    picture.save(path)
    close(load_image(path), picture.convert("RGB"))


@pytest.mark.parametrize(("mode", "format"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF")])
def test_transparency_is_laid_over_white(tmp_path, mode, format):
    values = np.zeros((2, 3, 4), np.uint8)
    values[..., 3] = [[0, 255, 128], [0, 0, 0]]
    path = tmp_path / "logo"
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    path.write_bytes(encoded(Image.fromarray(values).convert(mode), format, **options))
    close(load_image(path)[..., 0], [[255, 0, 127], [255, 255, 255]])


def test_a_transparent_palette_colour_and_a_transparent_grey_are_white(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "palette.png", transparency=0)
    close(load_image(tmp_path / "palette.png"), [[WHITE, (40, 50, 60)]])
    palette.save(tmp_path / "palette.gif", transparency=0)
    close(load_image(tmp_path / "palette.gif"), [[WHITE, (40, 50, 60)]])
    Image.fromarray(np.array([[7, 8]], np.uint8)).save(tmp_path / "grey.png", transparency=7)
    close(load_image(tmp_path / "grey.png"), [[WHITE, (8, 8, 8)]])


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation(tmp_path, format):
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    path = tmp_path / "film"
    options = {"lossless": True} if format == "WEBP" else {}
    path.write_bytes(encoded(first, format, save_all=True, append_images=[second], **options))
    close(load_image(path), first)


@pytest.mark.parametrize("mode", ["RGB", "L", "1"])
def test_one_pixel(tmp_path, mode):
    path = tmp_path / "dot.png"
    Image.new(mode, (1, 1), 0).save(path)
    close(load_image(path), np.zeros((1, 1, 3)))


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF"])
def test_one_pixel_in_every_format(tmp_path, format):
    path = tmp_path / "dot"
    path.write_bytes(encoded(Image.new("RGB", (1, 1), BLUE), format))
    close(load_image(path), [[BLUE]], 12)


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**16),
    coding=st.sampled_from(
        [
            ("PNG", {}),
            ("BMP", {}),
            ("PPM", {}),
            ("TIFF", {"compression": "tiff_adobe_deflate"}),
            ("WEBP", {"lossless": True}),
        ]
    ),
    mode=st.sampled_from(["RGB", "L"]),
)
@settings(max_examples=60, deadline=None)
def test_every_pixel_of_a_lossless_file_is_kept(tmp_path_factory, size, seed, coding, mode):
    shape = size if mode == "L" else (*size, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    path = tmp_path_factory.mktemp("lossless") / "picture"
    path.write_bytes(encoded(Image.fromarray(pixels), coding[0], **coding[1]))
    close(load_image(path), pixels if mode == "RGB" else np.repeat(pixels[..., None], 3, axis=-1))
    if mode == "L":
        close(load_image(path, mode="L"), pixels)


def test_a_phones_file_of_several_jpegs(tmp_path):
    """MPO: what looks like a JPEG photo, with a second one behind it."""
    path = tmp_path / "phone.jpg"
    path.write_bytes(encoded(corners(), "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))], quality=95))
    close(load_image(path)[[5, 5, 40, 40], [5, 28, 5, 28]], [RED, GREEN, BLUE, WHITE], 6)


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr"])
def test_a_scanners_tiff_in_the_colours_of_print(tmp_path, mode):
    """Uncompressed YCbCr is for Pillow 13 and later only; before, it is a file that cannot be read."""
    path = tmp_path / "print.tif"
    picture = Image.new("LAB", (8, 6), (255, 128, 128)) if mode == "LAB" else corners().convert(mode)
    picture.save(path, compression="tiff_lzw")
    image = load_image(path)
    assert (image.shape, image.dtype) == ((*picture.size[::-1], 3), np.uint8)
    assert image[-1, -1].min() > 240, "white is white"


def test_transparent_sixteen_bit_grey(tmp_path):
    """A PNG with 16 bits and one value that stands for nothing: white, or at least a picture of the right size."""
    lines = b"".join(b"\0" + struct.pack(">HH", 0, 40000) for _ in range(3))
    chunks = (
        b"IHDR" + struct.pack(">IIBBBBB", 2, 3, 16, 0, 0, 0, 0),
        b"tRNS\0\0",
        b"IDAT" + zlib.compress(lines),
        b"IEND",
    )
    path = tmp_path / "scan.png"
    path.write_bytes(png(*chunks))
    close(load_image(path)[:, 1], np.full((3, 3), 40000 >> 8), 1)


def test_a_palette_with_shades_of_transparency(tmp_path):
    palette = Image.new("P", (3, 1))
    palette.putpalette([0, 0, 0] * 3)
    for x in range(3):
        palette.putpixel((x, 0), x)
    palette.save(tmp_path / "shades.png", transparency=bytes([0, 128, 255]))
    close(load_image(tmp_path / "shades.png")[0, :, 0], [255, 127, 0])


# What is not


def test_missing_empty_folder_and_not_an_image(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "letter.png").write_text("Dear Sir or Madam, this is no picture at all.")
    assert "There is no file" in refused(tmp_path / "gone.png")
    assert "There is no file" in refused(tmp_path / "empty.png" / "inside.png")
    assert "is empty" in refused(tmp_path / "empty.png")
    assert "is a folder" in refused(tmp_path)
    assert "not a photo" in refused(tmp_path / "letter.png")
    assert "There is no file" in refused(tmp_path / ("x" * 5000))


def test_a_pipe_does_not_block(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in refused(tmp_path / "pipe.png")


def test_formats_that_start_programs_are_not_tried(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n")
    assert "not a photo" in refused(path)


def test_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "secret.png"
    corners().save(path)

    def denied(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("PIL.Image.open", denied)
    assert "permissions" in refused(path)


@pytest.mark.parametrize("side", [10_000, 20_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, side):
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(png(header, b"IDAT" + zlib.compress(bytes(1000)), b"IEND"))
    assert "million allowed" in refused(path)
    gif = bytearray(encoded(Image.new("P", (1, 1)), "GIF"))
    gif[6:10] = struct.pack("<HH", 40_000, 40_000)
    path.write_bytes(gif)
    assert "million allowed" in refused(path)


def test_a_bomb_in_the_text_beside_the_pixels(tmp_path):
    """A few kilobytes that become 64 MB of comment: not unpacked into memory, whatever becomes of the picture."""
    header, pixels = b"IHDR" + struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0), b"IDAT" + zlib.compress(b"\0\x07")
    comment = b"zTXtComment\0\0" + zlib.compress(bytes(64_000_000), 9)
    path = tmp_path / "talkative.png"
    path.write_bytes(png(header, comment, pixels, b"IEND"))
    tracemalloc.start()
    with contextlib.suppress(UserError):
        close(load_image(path), [[(7, 7, 7)]])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16_000_000


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_picture_without_pixels(tmp_path, size):
    header = b"IHDR" + struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    path = tmp_path / "nothing.png"
    path.write_bytes(png(header, b"IDAT" + zlib.compress(b""), b"IEND"))
    refused(path)


def test_a_jpeg_cut_off_anywhere(tmp_path):
    """Every beginning of a file, so also one that ends within a marker or a table, but for the last bytes."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
    content, path = encoded(noise, "JPEG", quality=30), tmp_path / "cut.jpg"
    whole = np.asarray(Image.open(io.BytesIO(content)), int)
    for missing in range(1, len(content)):
        path.write_bytes(content[:-missing])
        if missing > 4:
            refused(path)
    for missing in (1, 2):  # of the end marker
        path.write_bytes(content[:-missing])
        np.testing.assert_array_equal(load_image(path), whole)


def test_what_follows_a_picture_is_not_read(tmp_path):
    for format in ("PNG", "JPEG", "GIF"):
        path = tmp_path / format
        path.write_bytes(encoded(corners(), format) + b"\0" * 10_000 + b"PK\x03\x04")
        assert load_image(path).shape == (48, 32, 3)


def test_max_pixels(tmp_path):
    path = tmp_path / "picture.png"
    corners().save(path)
    assert load_image(path, max_pixels=32 * 48).shape == (48, 32, 3)
    assert "32 x 48 pixels" in refused(path, max_pixels=32 * 48 - 1)


SAMPLES = {
    format: encoded(corners(), format) for format in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF")
}


@given(format=st.sampled_from(sorted(SAMPLES)), data=st.data())
@settings(max_examples=200, deadline=None)
def test_damage_gives_a_picture_or_a_sentence(tmp_path_factory, format, data):
    """Truncated and overwritten files: an array or a UserError, and nothing else."""
    content = bytearray(SAMPLES[format])
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "picture"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        image = load_image(path, max_pixels=1e6)
    except UserError:
        return
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.dtype == np.uint8


@given(content=st.binary(min_size=1, max_size=200))
@settings(max_examples=50, deadline=None)
def test_any_bytes_give_a_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "picture.png"
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "TIFF", "BMP"])
def test_half_a_file_is_called_damaged(tmp_path, format):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    content = encoded(noise, format)
    path = tmp_path / "half"
    path.write_bytes(content[: len(content) // 2])
    assert "damaged or incomplete" in refused(path)


# Exif


def test_exif_goes_on_without_the_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0132] = 6, "Leica", "1936:07:04 12:00:00"
    Image.new("RGB", (8, 6)).save(tmp_path / "photo.jpg", exif=exif)
    Image.new("RGB", (8, 6)).save(tmp_path / "copy.jpg", exif=exif_of_upright(tmp_path / "photo.jpg"))
    with Image.open(tmp_path / "copy.jpg") as copy:
        assert dict(copy.getexif()) == {0x010F: "Leica", 0x0132: "1936:07:04 12:00:00"}


def test_no_exif_is_none(tmp_path):
    for name in ("plain.png", "plain.tif"):
        Image.new("RGB", (8, 6)).save(tmp_path / name)
        assert exif_of_upright(tmp_path / name) == b""
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    assert exif_of_upright(tmp_path / "torn.jpg") == b""
    assert exif_of_upright(tmp_path / "missing.jpg") == b""


def test_a_broken_tiff_says_one_sentence_and_libtiff_nothing(tmp_path, capfd):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(
        tmp_path / "a.tif", compression="tiff_lzw"
    )
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[8:2000] = bytes(range(256)) * 7 + bytes(200)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(UserError):
        load_image(tmp_path / "a.tif")
    assert capfd.readouterr().err == ""
