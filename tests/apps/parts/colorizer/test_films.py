"""Colour films: the sound stays, the colours do not flicker, and Ctrl-C leaves a film."""

from __future__ import annotations

import itertools
import wave
from types import SimpleNamespace

import numpy as np
import pytest

from apps.parts.colorizer import films
from apps.parts.colorizer.guided_filter import Chroma
from shared.data.video import join, open_video
from shared.drawing.video import VideoFile
from shared.errors import UserError

av = pytest.importorskip("av")
SIDE = 16


def red(photo: np.ndarray) -> tuple[np.ndarray, Chroma]:
    """What `predict` gives for a network to which everything is red."""
    planes = np.stack([np.full((SIDE, SIDE), 60.0), np.full((SIDE, SIDE), 30.0)]).astype(np.float32)
    return photo[:SIDE, :SIDE, 0] * np.float32(100 / 255), Chroma(0 * planes, planes, (SIDE, SIDE))


@pytest.fixture
def old(tmp_path):
    """A grey film of ten frames with a second of sound."""
    with VideoFile(tmp_path / "silent.mp4", 10) as film:
        for n in range(10):
            film.add(np.full((32, 48, 3), 60 + 10 * n, np.uint8))
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.arange(8000, dtype="<i2").tobytes())
    join(tmp_path / "silent.mp4", tmp_path / "sound.wav", tmp_path / "old.mp4")
    return tmp_path / "old.mp4"


@pytest.mark.parametrize("name", ["colour.mp4", "colour.webm", None])
def test_a_film_is_red_and_sounds(old, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    films.colour_film([old], name and tmp_path / name, lambda: SimpleNamespace(predict=red), 1.0)
    path = tmp_path / (name or "outputs/colorizer/old-colour.mp4")
    with open_video(path) as video:
        frames = [frame for _, frame in video]
        assert video.has_sound
    assert len(frames) == 10
    assert (np.mean(frames, axis=(0, 1, 2)) @ [1, -0.5, -0.5]) > 40
    assert list(tmp_path.rglob(".*")) == []


def test_ctrl_c_leaves_what_is_coloured(old, tmp_path):
    done = []

    def predict(photo):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(photo)
        return red(photo)

    with pytest.raises(KeyboardInterrupt):
        films.colour_film([old], tmp_path / "part.webm", lambda: SimpleNamespace(predict=predict), 1.0)
    with open_video(tmp_path / "part.webm") as video:
        assert len(list(video)) == 4


@pytest.mark.parametrize(
    ("names", "output", "said"),
    [(["a.mp4", "b.mp4"], None, "by itself"), (["a.mp4"], "x.png", "must end in"), (["a.mp4"], None, "no film")],
)
def test_what_is_refused(tmp_path, names, output, said):
    paths = [tmp_path / name for name in names]
    with pytest.raises(UserError, match=said):
        films.colour_film(paths, output and tmp_path / output, lambda: SimpleNamespace(predict=red), 1.0)


def flicker(chromas: list[Chroma]) -> float:
    return float(np.mean([np.abs(b.offset - a.offset).mean() for a, b in itertools.pairwise(chromas)]))


def test_colours_are_steady_where_the_picture_is_and_new_where_it_is_not():
    rng = np.random.default_rng(0)
    L = np.full((SIDE, SIDE), 50, np.float32)
    noisy = [
        Chroma(*np.zeros((1, 2, 4, 4), np.float32), rng.normal(20, 5, (2, 4, 4)).astype(np.float32), (4, 4))
        for _ in range(60)
    ]
    steady = films.Steady()
    smooth = [steady(L, chroma) for chroma in noisy]
    assert flicker(smooth) < 0.2 * flicker(noisy)
    assert abs(smooth[-1].offset.mean() - 20) < 2
    other = Chroma(noisy[0].slope, np.full((2, 4, 4), -40, np.float32), (4, 4))
    moved = L.copy()
    moved[:8] += 11
    found = steady(moved, other)
    assert found.offset[:, :2].mean() < -38, "where the lightness changed"
    assert found.offset[:, 2:].mean() > 10, "where it did not"
    np.testing.assert_array_equal(steady(L + 30, other).offset, other.offset), "another scene begins anew"
