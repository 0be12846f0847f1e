"""Situations that people met with other programs, each a wrong result without a word, or a traceback, at the time."""

from __future__ import annotations

import io
import json
import os
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from apps.parts.colorizer.output import save_coloured
from apps.parts.gan_faces.faces import load_splits
from apps.parts.image_captioner.captions import read_captions, words_of
from shared import cli, saved_models, settings
from shared.classifiers import fine_tuning
from shared.console import for_each
from shared.data.datasets import find_photos, open_images
from shared.data.digest import described_file, digest_of
from shared.data.images import load_image
from shared.data.labelled import labelled_photos
from shared.data.photo_files import image_files, say_left_out
from shared.data.photo_sets import open_train_splits
from shared.drawing.curves import plot_curves
from shared.drawing.pictures import picture_path, save_image
from shared.errors import UserError
from tests.apps.command import Command

GREY = np.full((8, 8, 3), 53, np.uint8)


def profile(gamma: float, space: str = "RGB ") -> bytes:
    """An ICC profile with sRGB's primaries, or of grey alone, and this gamma: what lcms cannot be asked for."""
    curve = b"curv" + bytes(4) + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big") + bytes(2)
    white = xyz(0.9642, 1.0, 0.8249)
    tags = {b"wtpt": white}
    if space == "RGB ":
        primaries = xyz(0.4361, 0.2225, 0.0139), xyz(0.3851, 0.7169, 0.0971), xyz(0.1431, 0.0606, 0.7141)
        tags |= dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True))
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    else:
        tags[b"kTRC"] = curve
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + (start + len(body)).to_bytes(4, "big") + len(content).to_bytes(4, "big")
        body += content
    head = bytes(8) + bytes.fromhex("02400000") + b"mntr" + space.encode() + b"XYZ " + bytes(12) + b"acsp" + bytes(28)
    head += xyz(0.9642, 1.0, 0.8249)[8:] + bytes(48)
    content = head[4:] + len(tags).to_bytes(4, "big") + table + body
    return (len(content) + 4).to_bytes(4, "big") + content


def xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(round(value * 65536).to_bytes(4, "big", signed=True) for value in values)


def saved(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


# --------------------------------------------------------------------------------------------------------- Colours


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_pixels_are_srgb_after_loading(tmp_path, ending):
    linear = saved(tmp_path / f"a.{ending}", Image.fromarray(GREY), icc_profile=profile(1.0), **lossless(ending))
    expected = 255 * (1.055 * (53 / 255) ** (1 / 2.4) - 0.055)  # sRGB's own curve, IEC 61966-2-1
    assert load_image(linear).mean() == pytest.approx(expected, abs=1.5)
    alike = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = saved(tmp_path / f"b.{ending}", Image.fromarray(GREY), icc_profile=alike, **lossless(ending))
    assert (load_image(same) == 53).all()


def lossless(ending: str) -> dict:
    return {"jpg": {"quality": 100}, "webp": {"lossless": True}}.get(ending, {})


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P"])
def test_a_profile_counts_whatever_the_pixels_are(tmp_path, mode):
    space = "GRAY" if mode == "L" else "RGB "
    picture = Image.fromarray(GREY).convert(mode)
    path = saved(tmp_path / "a.png", picture, icc_profile=profile(1.0, space))
    assert load_image(path).mean() == pytest.approx(126.5, abs=3)


@pytest.mark.parametrize("broken", [b"no profile", profile(1.0)[:60], profile(1.0, "GRAY")])
def test_a_broken_profile_or_one_of_another_space_changes_nothing(tmp_path, broken):
    path = saved(tmp_path / "a.png", Image.fromarray(GREY), icc_profile=broken)
    assert (load_image(path) == 53).all()


@pytest.mark.parametrize(("gamma", "expected"), [(1.0, 125), (1 / 2.2, 53)])
def test_the_gamma_of_a_png_counts_as_in_a_browser(tmp_path, gamma, expected):
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", round(gamma * 100_000).to_bytes(4, "big"))
    path = saved(tmp_path / "a.png", Image.fromarray(GREY), pnginfo=info)
    assert load_image(path).mean() == pytest.approx(expected, abs=1)


def test_a_grey_profile_counts_below_transparency_too(tmp_path):
    picture = Image.fromarray(GREY).convert("LA")
    path = saved(tmp_path / "a.png", picture, icc_profile=profile(1.0, "GRAY"))
    assert load_image(path).mean() == pytest.approx(126.5, abs=3)


def test_a_png_that_says_srgb_is_srgb_whatever_its_gamma(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add(b"sRGB", b"\0")
    info.add(b"gAMA", (100_000).to_bytes(4, "big"))
    assert (load_image(saved(tmp_path / "a.png", Image.fromarray(GREY), pnginfo=info)) == 53).all()


PRIMARIES = {  # D50, in the order red, green, blue
    "Display P3": ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
    "Adobe RGB": ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)),
    "sRGB": ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)),
}


@pytest.mark.parametrize("space", ["Display P3", "Adobe RGB"])
def test_colours_of_a_wide_gamut(tmp_path, space):
    wide = profile(2.2)
    for ours, theirs in zip(PRIMARIES["sRGB"], PRIMARIES[space], strict=True):
        wide = wide.replace(xyz(*ours), xyz(*theirs))
    colour = np.array([150, 110, 90])
    path = saved(tmp_path / "a.png", Image.fromarray(np.full((4, 4, 3), colour, np.uint8)), icc_profile=wide)
    matrices = (np.transpose(PRIMARIES[name]) for name in ("sRGB", space))
    linear = np.linalg.inv(next(matrices)) @ (next(matrices) @ (colour / 255) ** 2.2)
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(load_image(path)[0, 0] - expected).max() < 3
    assert np.abs(expected - colour).max() > 4


# ----------------------------------------------------------------------------------------------------- Deep pixels


def tiff(path: Path, values: np.ndarray, **tags: int) -> Path:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        info[{"photometric": 262, "low": 280, "high": 281}[name]] = value
    Image.fromarray(values).save(path, "TIFF", tiffinfo=info)
    return path


def test_deep_grey_has_the_range_that_the_file_declares(tmp_path):
    ramp = np.arange(256, dtype=np.int32).reshape(16, 16)
    with pytest.raises(UserError, match="whose range is unknown"):
        load_image(tiff(tmp_path / "a.tif", ramp))
    assert (load_image(tiff(tmp_path / "b.tif", ramp, low=0, high=255))[..., 0] == ramp).all()
    with pytest.raises(UserError, match="floating-point pixels"):
        load_image(tiff(tmp_path / "c.tif", ramp.astype(np.float32)))
    deep = (ramp * 257).astype(np.uint16)
    assert (load_image(tiff(tmp_path / "d.tif", deep))[..., 0] == ramp).all()
    assert (load_image(tiff(tmp_path / "e.tif", deep, photometric=0))[..., 0] == 255 - ramp).all(), "white is zero"


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_grey_that_lies_on_its_side_is_upright(tmp_path, kind, compression):
    ramp = np.arange(32).reshape(4, 8) * 8
    picture = Image.fromarray((ramp * (257 if kind is np.uint16 else 1)).astype(kind))
    path = saved(tmp_path / "a.tif", picture, tiffinfo={274: 6}, compression=compression)
    assert (load_image(path)[..., 0] == np.rot90(ramp, -1)).all()


def test_a_deep_grey_that_stands_for_nothing_is_white(tmp_path):
    picture = Image.fromarray(np.array([[1000, 257 * 40]], np.uint16))
    path = saved(tmp_path / "a.png", picture, transparency=1000)
    assert load_image(path)[0, :, 0].tolist() == [255, 40]


# ------------------------------------------------------------------------------------------------- Names and folders


def photos_in(folder: Path, *names: str) -> Path:
    for n, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(GREY + np.uint8(n)).save(path, "JPEG")
    return folder


def test_links_and_rare_endings_count_and_the_rest_is_named_once(tmp_path, capsys):
    outside = photos_in(tmp_path / "outside", "0.jpg")
    names = ["a.JPG", "b.jfif", "c.jpe", "d.mpo", "e.dib", "f.pnm", ".g.jpg", "Thumbs.db", "h.heic", ".cache/i.jpg"]
    folder = photos_in(tmp_path / "photos", *names)
    (folder / "notes.txt").touch()
    (folder / "linked").symlink_to(outside)
    (folder / "linked" / "back").symlink_to(folder)  # a loop
    (folder / "dead.jpg").symlink_to("nowhere.jpg")
    found = [str(path.relative_to(folder)) for path in image_files(folder)]
    assert found == ["a.JPG", "b.jfif", "c.jpe", "d.mpo", "e.dib", "f.pnm", "linked/0.jpg"]
    for _ in range(2):
        say_left_out(folder)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "Left out of " in told
    assert ": 5 that are hidden, or no photos by their endings (.cache, .g.jpg, Thumbs.db, dead.jpg, h.heic)." in told


def test_a_hidden_folder_is_no_class(tmp_path):
    folder = photos_in(tmp_path, "train/.ipynb_checkpoints/a.jpg", ".git/b.jpg", "__MACOSX/c.jpg", "train/bus/d.jpg")
    assert open_images(folder, "all").classes == ("bus",)
    with pytest.raises(UserError, match="one class only, bus"):
        open_train_splits(str(folder), same_classes=True)


def test_lists_are_lines_and_what_they_miss_is_named(tmp_path, capsys):
    folder = photos_in(tmp_path, "Images/my cat.jpg", "Images/b.jpg")
    (folder / "Flickr_8k.trainImages.txt").write_text("my cat.jpg\r\ngone.jpg\r\n", encoding="utf-8")
    (folder / "Flickr_8k.testImages.txt").write_text("Images/b.jpg\n", encoding="utf-8")
    assert len(open_images(folder, "train")) == len(open_images(folder, "test")) == 1
    assert open_images(folder, "train").classes == ()
    assert "1 photos of its lists that are not there (gone.jpg)" in capsys.readouterr().err


def test_two_photos_of_one_name_keep_their_captions(tmp_path):
    folder = photos_in(tmp_path, "cats/1.jpg", "space/1.jpg", "cat, brown.jpg", "take#2.jpg")
    lines = [
        "image,caption",
        "cats/1.jpg,a cat",
        "space\\1.jpg,a rocket",
        '"cat, brown.jpg","brown, and white"',
        "take#2.jpg,two",
    ]
    (folder / "captions.txt").write_text("\n".join(lines), encoding="utf-8")
    [found] = read_captions(folder, "all")
    told = {str(photo.path.relative_to(folder)): " ".join(photo.captions[0]) for photo in found}
    assert told == {
        "cats/1.jpg": "a cat",
        "space/1.jpg": "a rocket",
        "cat, brown.jpg": "brown and white",
        "take#2.jpg": "two",
    }
    Image.fromarray(GREY).save(folder / unicodedata.normalize("NFD", "Käse.jpg"))
    assert len(find_photos(folder, [unicodedata.normalize("NFC", "Käse.jpg")])) == 1, "as macOS writes it"
    with pytest.raises(UserError, match=r"1\.jpg may be either: write its folder, too"):
        find_photos(folder, ["1.jpg"])


def test_words_of_other_scripts(tmp_path):
    assert words_of("नमस्ते दुनिया! Việt Nam ٣ कुत्ते") == ("नमस्ते", "दुनिया", "việt", "nam", "٣", "कुत्ते")
    assert words_of("cafe\u0301") == words_of("caf\u00e9"), "an accent is written in two ways"
    folder = photos_in(tmp_path, "a.jpg")
    for text in ("一只棕色的猫坐在桌子上", "แมวสีน้ำตาลนั่งอยู่บนโต๊ะ"):
        (folder / "captions.txt").write_text(f"image,caption\na.jpg,{text}\n", encoding="utf-8")
        with pytest.raises(UserError, match="a language without spaces between words"):
            read_captions(folder, "all")
    (folder / "captions.txt").write_text("image,caption\na.jpg,一 只 棕色 的 猫\n", encoding="utf-8")
    assert read_captions(folder, "all")[0][0].captions == (("一", "只", "棕色", "的", "猫"),)


def test_own_classes_are_the_names_of_the_folders(tmp_path):
    folder = photos_in(tmp_path, "cup/a.jpg", "spoon/b.jpg", "x/n02102040/c.jpg")
    assert [name for _, name in labelled_photos(folder, 9)] == ["cup", "spoon", "n02102040"]


# ------------------------------------------------------------------------------------------------- What can be read


def half_broken(folder: Path, count: int, readable: int) -> Path:
    photos_in(folder, *(f"{'ab'[n % 2]}/{n:03}.jpg" for n in range(count)))
    for path in sorted(folder.rglob("*.jpg"), key=lambda path: path.name)[readable:]:
        path.write_bytes(b"no photo")
    return folder


def test_photos_are_counted_after_they_are_read(tmp_path):
    folder = half_broken(tmp_path / "many", 120, 30)
    with pytest.raises(UserError, match=r"has about \d\d photos that can be read, and a GAN needs at least 100"):
        load_splits(str(folder), 1.0, "train", "validation")
    few = fine_tuning.FineTuning(run=tmp_path / "run", data=str(folder), batch=16, held_out=20)
    with pytest.raises(UserError, match=r"photos that can be read, too few for 20 held out and a batch of 16"):
        fine_tuning.begin(few)


def test_one_photos_trouble_ends_no_batch(capsys):
    def work(name):
        if name == "b":
            raise ZeroDivisionError("nobody foresaw this")

    assert for_each(["a", "b", "c"], work) == ["b"]
    assert "b: this went wrong (ZeroDivisionError: nobody foresaw this)." in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        for_each(["b"], work)


# ---------------------------------------------------------------------------------------------------- What is written


def test_a_format_that_cannot_hold_a_picture_is_refused_before_the_work(tmp_path):
    for name in ("x.ico", "x.xbm", "x.pdf", "x"):
        with pytest.raises(UserError, match="picture format"):
            picture_path(tmp_path / name, "app", "sheet.png")
    wide = np.zeros((2, 20_000, 3), np.uint8)
    with pytest.raises(UserError, match="20000 x 2 pixels, and WEBP holds at most 16,383 a side"):
        save_image(tmp_path / "x.webp", wide)
    save_image(tmp_path / "x.png", wide)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize("name", ["x.bmp", "x.PNG", "x.ppm", "x.webp"])
def test_a_curve_is_written_in_every_picture_format(tmp_path, name):
    plot_curves(picture_path(tmp_path / name, "app", "curve.png"), {"a": ([1, 2], [3, 4])}, "x")
    assert load_image(tmp_path / name).shape == (450, 800, 3)


def test_exif_that_does_not_fit_is_left_out(tmp_path, capsys):
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    source = saved(tmp_path / "a.png", Image.fromarray(GREY), exif=exif)
    save_coloured(tmp_path / "b.jpg", GREY, source)
    assert "too long for one more file, and are left out" in capsys.readouterr().err
    with Image.open(tmp_path / "b.jpg") as written:
        assert written.getexif() == {}


@dataclass
class Config(settings.Settings):
    """A command."""

    output: Path = Path("x")


def test_output_never_fails_for_its_letters_and_tilde_is_home(monkeypatch, tmp_path):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("HOME", str(tmp_path))
    told = []

    def demo(config: Config) -> None:
        told.append(config.output)
        print("Käse 🧀", os.fsdecode(b"\xff.jpg"))

    with pytest.raises(SystemExit) as end:
        cli.run("A command.", demo, {}, ["--output=~/y.png"])
    assert end.value.code == 0
    assert told == [tmp_path / "y.png"]
    stream.seek(0)
    assert stream.read() == "Käse \\U0001f9c0 \\udcff.jpg\n"


# ------------------------------------------------------------------------------------- The same data, the same meaning


@dataclass
class Run(settings.Training):
    """A training."""

    run: Path = Path("run")
    data: str = "a"


def test_a_resumed_run_has_its_data(tmp_path):
    config = Run(run=tmp_path / "run")
    settings.begin(config, digest_of(["one text"]))
    again = settings.resumed(Run(run=tmp_path / "run", resume=True, data="moved"))
    settings.begin(again, digest_of(["one text"]))
    with pytest.raises(UserError, match="was begun with other data"):
        settings.begin(again, digest_of(["another text"]))
    assert json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))[settings.DIGEST]


def test_the_digest_tells_photos_apart_and_not_where_they_are(tmp_path):
    one, moved = (photos_in(tmp_path / name / "set", "a/1.jpg", "b/2.jpg") for name in ("here", "there"))
    assert open_images(one, "all").digest() == open_images(moved, "all").digest()
    Image.fromarray(np.zeros((90, 90, 3), np.uint8)).save(moved / "a/1.jpg")
    assert open_images(one, "all").digest() != open_images(moved, "all").digest()
    Image.fromarray(GREY).save(one / "a/1.bmp")
    before = described_file(one / "a/1.bmp")
    Image.fromarray(255 - GREY).save(one / "a/1.bmp")
    assert described_file(one / "a/1.bmp") != before, "of the same size, and another photo"
    assert digest_of(["ab", "c"]) != digest_of(["a", "bc"])


def test_a_model_of_the_right_shape_and_another_meaning_is_refused():
    saved_models.check_meaning("m", {"game": "pong"}, game="pong")
    saved_models.check_meaning("m", {}, game="pong")
    with pytest.raises(UserError, match="is a network for game pong, and not breakout"):
        saved_models.check_meaning("m", {"game": "pong"}, game="breakout")
    with pytest.raises(UserError, match="is a network for other wnids"):
        saved_models.check_meaning("m", {"wnids": ["a", "b"]}, wnids=("a", "c"))


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("a" * 500, "train --window 16", "has one symbol only"),
        ("ab", "evaluate", "is too short to measure on its last tenth"),
    ],
)
def test_texts_that_teach_nothing(tmp_path, monkeypatch, capsys, text, words, said):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(text, encoding="utf-8")
    assert said in Command("char_rnn").sentence(capsys, *words.split(), "--data", "text.txt")
