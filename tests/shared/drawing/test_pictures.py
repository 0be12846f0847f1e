"""Films, stills and curves: read back with Pillow's own decoders."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from shared.drawing.curves import plot_curves
from shared.drawing.film import Film
from shared.drawing.pictures import SHEET_PHOTOS, caption, draw_text, grid, save_image, save_photo_sheet
from shared.errors import UserError

ENDINGS = ["webp", "gif"]


def ball(i: int, height: int = 40, width: int = 60) -> np.ndarray:
    """A game-like frame: flat colours, and a ball that moves to odd and even places."""
    frame = np.full((height, width, 3), (0, 60, 120), np.uint8)
    frame[: height // 4] = (200, 72, 72)
    frame[(7 * i) % (height - 4) :][:4, (5 * i) % (width - 3) :][:, :3] = 255
    return frame


def played(path: Path) -> tuple[list[np.ndarray], list[int]]:
    """The pictures a viewer shows, and for how many ms each."""
    with Image.open(path) as film:
        shown = [
            (np.array(frame.convert("RGB")), round(frame.info["duration"])) for frame in ImageSequence.Iterator(film)
        ]
    return [picture for picture, _ in shown], [duration for _, duration in shown]


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


# Films


@pytest.mark.parametrize("ending", ENDINGS)
def test_film_shows_every_frame_exactly_and_loops_for_ever(tmp_path, ending):
    frames = [ball(i) for i in range(12)]
    with Film(tmp_path / f"film.{ending}", fps=25) as film:
        for frame in frames:
            film.add(frame)
    pictures, durations = played(film.path)
    np.testing.assert_array_equal(pictures, frames)
    assert durations == [40] * 12
    assert film.frames == 12
    with Image.open(film.path) as image:
        assert image.format == ending.upper()
        assert image.info["loop"] == 0
    assert files_in(tmp_path) == [f"film.{ending}"]


@given(
    changes=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 10), st.integers(0, 255)), min_size=1, max_size=8),
    ending=st.sampled_from(ENDINGS),
    fps=st.floats(1, 50),
)
@settings(max_examples=60, deadline=None)
def test_any_change_is_shown_and_the_film_lasts_as_long_as_its_frames(tmp_path_factory, changes, ending, fps):
    frames = [np.zeros((11, 13, 3), np.uint8)]
    for x, y, value in changes:
        frames.append(frames[-1].copy())
        frames[-1][y, x, value % 3] = value
    path = tmp_path_factory.mktemp("film") / f"film.{ending}"
    with Film(path, fps) as film:
        for frame in frames:
            film.add(frame)
    pictures, durations = played(path)
    distinct = [a for a, b in zip(frames, [*frames[1:], None], strict=True) if b is None or (a != b).any()]
    np.testing.assert_array_equal(pictures, distinct)
    if len(pictures) > 1:  # Pillow tells no duration of a single picture
        assert abs(sum(durations) - 1000 * len(frames) / fps) <= 5


@pytest.mark.parametrize("ending", ENDINGS)
def test_thirty_frames_a_second_stay_thirty(tmp_path, ending):
    with Film(tmp_path / f"film.{ending}", fps=30) as film:
        for i in range(30):
            film.add(ball(i))
    assert sum(played(film.path)[1]) == 1000


def test_what_stays_as_it_was_costs_next_to_nothing(tmp_path):
    frame = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    frames = [frame]
    for value in range(9):  # far apart: the rectangle around both corners is the whole picture
        frames.append(frames[-1].copy())
        frames[-1][0, 0], frames[-1][-1, -1] = value, value
    for name, shown in (("one.webp", frames[:1]), ("ten.webp", frames)):
        with Film(tmp_path / name) as film:
            for frame in shown:
                film.add(frame)
    one, ten = ((tmp_path / name).stat().st_size for name in ("one.webp", "ten.webp"))
    assert ten - one < 9 * 200
    np.testing.assert_array_equal(played(tmp_path / "ten.webp")[0], frames)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_frame_may_be_reused_by_the_caller(tmp_path, ending):
    frame = np.zeros((8, 8, 3), np.uint8)
    with Film(tmp_path / f"film.{ending}") as film:
        for value in (10, 20, 30):
            frame[:] = value
            film.add(frame)
    assert [int(picture.max()) for picture in played(film.path)[0]] == [10, 20, 30]


def test_gif_keeps_256_colours_and_survives_more(tmp_path):
    palette = (
        np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 7)], axis=-1).astype(np.uint8).reshape(16, 16, 3)
    )
    noise = np.random.default_rng(0).integers(0, 256, (16, 32, 3), np.uint8)
    with Film(tmp_path / "few.gif") as film:
        film.add(palette)
    np.testing.assert_array_equal(played(film.path)[0][0], palette)
    with Film(tmp_path / "many.gif") as film:
        film.add(noise)
    assert np.abs(played(film.path)[0][0].astype(int) - noise).mean() < 16


def test_quality_makes_photographs_smaller(tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(100, 130, (4, 64, 64, 3), np.uint8)
    for name, quality in (("exact.webp", None), ("lossy.webp", 60)):
        with Film(tmp_path / name, quality=quality) as film:
            for frame in frames:
                film.add(frame)
    pictures, _ = played(tmp_path / "lossy.webp")
    assert np.abs(np.asarray(pictures).astype(int) - frames).mean() < 10
    assert (tmp_path / "lossy.webp").stat().st_size < (tmp_path / "exact.webp").stat().st_size / 3


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_exception_leaves_nothing_behind(tmp_path, ending):
    with pytest.raises(ZeroDivisionError), Film(tmp_path / f"film.{ending}") as film:
        film.add(ball(0))
        raise ZeroDivisionError
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_exception_keeps_the_file_that_was_there(tmp_path, ending):
    path = tmp_path / f"film.{ending}"
    path.write_bytes(b"the film of yesterday")
    with pytest.raises(KeyboardInterrupt), Film(path) as film:
        film.add(ball(0))
        raise KeyboardInterrupt
    assert path.read_bytes() == b"the film of yesterday"
    assert len(files_in(tmp_path)) == 1


def test_a_full_disk_surfaces_and_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shared.drawing.film._WebP.finish", full)
    with pytest.raises(OSError, match="No space left"), Film(tmp_path / "film.webp") as film:
        film.add(ball(0))
    assert files_in(tmp_path) == []


def test_a_film_without_frames_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no frames"), Film(tmp_path / "film.webp"):
        pass
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((40, 61, 3), np.uint8), "frames are"),
        (np.zeros((40, 60), np.uint8), "uint8 array of shape"),
        (np.zeros((40, 60, 4), np.uint8), "uint8 array of shape"),
        (np.zeros((40, 60, 3), np.float32), "uint8 array of shape"),
    ],
)
def test_wrong_frames_are_refused(tmp_path, frame, message):
    with pytest.raises(ValueError, match=message), Film(tmp_path / "film.webp") as film:
        film.add(ball(0))
        film.add(frame)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(("name", "fps"), [("film.mp4", 30), ("film", 30), ("film.gif", 60), ("film.webp", 0)])
def test_films_that_cannot_be_made_are_refused_in_a_sentence(tmp_path, name, fps):
    with pytest.raises(UserError, match=r"[.]$"):
        Film(tmp_path / name, fps)


def test_frames_are_not_held(tmp_path):
    """300 frames of 0.6 MB each, in a process that may grow by 60 MB at most."""
    program = """
import resource, sys
import numpy as np
from shared.drawing.film import Film
frame = np.zeros((420, 480, 3), np.uint8)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 1024**2)
with Film(sys.argv[1]) as film:
    for i in range(300):
        frame[i % 400 : i % 400 + 20, i % 460 : i % 460 + 20] = i % 256
        film.add(frame)
        if i == 20:
            before = peak()
print(peak() - before)
"""
    pytest.importorskip("resource")
    root = Path(__file__).parents[3]
    for ending in ENDINGS:
        command = [sys.executable, "-c", program, str(tmp_path / f"film.{ending}")]
        grown_mb = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
        assert int(grown_mb) < 60


# Stills


@pytest.mark.parametrize("ending", ["png", "bmp", "jpg", "webp", "PNG"])
def test_save_image(tmp_path, ending):
    image = np.full((20, 30, 3), (10, 200, 90), np.uint8)
    path = tmp_path / "new" / f"picture.{ending}"
    path.parent.mkdir()
    save_image(path, image)
    with Image.open(path) as saved:
        np.testing.assert_allclose(np.array(saved.convert("RGB")).astype(int), image, atol=0 if ending == "png" else 3)
    assert files_in(path.parent) == [path.name]


def test_save_image_takes_the_writers_options(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    save_image(tmp_path / "plain.jpg", noise)
    save_image(tmp_path / "fine.jpg", noise, quality=95, subsampling=0)
    with Image.open(tmp_path / "fine.jpg") as fine, Image.open(tmp_path / "plain.jpg") as plain:
        assert [layer[1:3] for layer in fine.layer] == [(1, 1)] * 3, "4:4:4"
        assert [layer[1:3] for layer in plain.layer] == [(2, 2), (1, 1), (1, 1)]
        error = [np.abs(np.asarray(picture).astype(int) - noise).mean() for picture in (fine, plain)]
    assert error[0] < error[1] / 2


@pytest.mark.parametrize("name", ["picture", "picture.xyz", "picture.psd"])
def test_save_image_refuses_unknown_endings(tmp_path, name):
    with pytest.raises(UserError, match="picture format"):
        save_image(tmp_path / name, ball(0))
    assert files_in(tmp_path) == []


def test_a_sheet_says_where_it_is_and_of_how_many_photos(tmp_path, capsys):
    path = tmp_path / "sheet.png"
    save_photo_sheet(path, ball(0), SHEET_PHOTOS)
    save_photo_sheet(path, ball(0), SHEET_PHOTOS + 1)
    assert capsys.readouterr().err == f"The sheet is {path}.\nThe sheet (the first {SHEET_PHOTOS}) is {path}.\n"
    with Image.open(path) as sheet:
        np.testing.assert_array_equal(np.array(sheet), ball(0))


def test_grid_places_pictures_row_by_row():
    images = np.stack([np.full((2, 3, 3), value, np.uint8) for value in (1, 2, 3)])
    sheet = grid(images, columns=2, pad=1)
    assert sheet.shape == (7, 9, 3)
    assert sheet[1:3, 1:4].max() == 1
    assert sheet[1:3, 5:8].max() == 2
    assert sheet[4:6, 1:4].max() == 3
    assert sheet[4:6, 5:8].min() == sheet[0].min() == 255
    np.testing.assert_array_equal(grid(list(images), columns=9, pad=0), np.concatenate(images, axis=1))


@pytest.mark.parametrize("images", [[], [ball(0), ball(0)[1:]], [ball(0)[..., 0]]])
def test_grid_refuses_what_it_cannot_tile(images):
    with pytest.raises(ValueError, match=r"grid|picture"):
        grid(images, columns=2)


def test_draw_text_writes_on_a_copy():
    image = np.zeros((40, 120, 3), np.uint8)
    written = draw_text(image, "Score 12", at=(4, 4), size=16, colour=(255, 0, 0))
    assert image.max() == 0
    assert written[4:22, 4:80, 0].max() == 255
    assert written[..., 1:].max() == 0
    assert written[30:].max() == 0


def test_caption_wraps_and_keeps_the_width():
    image = ball(0, width=200)
    short, long = caption(image, "A dog."), caption(image, "A dog runs through the tall grass beside a river. " * 2)
    assert short.shape[1] == long.shape[1] == 200
    assert short.shape[0] < long.shape[0]
    np.testing.assert_array_equal(long[: image.shape[0]], image)
    assert long[image.shape[0] :, -1].min() == 255, "a word is cut off at the right"
    assert caption(image, "").shape[0] > image.shape[0]


# Curves


def test_plot_curves(tmp_path):
    plot_curves(
        tmp_path / "curve.png",
        {"loss": ([0, 1, 2], [3, 2, 1]), "validation": ([2], [1.5])},
        x="epoch",
        y="loss (nats)",
        title="Training",
    )
    with Image.open(tmp_path / "curve.png") as image:
        assert image.size == (800, 450)
        assert len(image.convert("RGB").getcolors(1 << 20)) > 10
    assert files_in(tmp_path) == ["curve.png"]
