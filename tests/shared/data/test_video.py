"""Films: what is read, frame by frame, what is refused, and how sound is joined."""

from __future__ import annotations

import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from shared.data import video
from shared.data.video import join, open_video
from shared.drawing.video import VideoFile
from shared.errors import UserError

av = pytest.importorskip("av")


def frames(count: int = 12, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """A bright bar that goes to the right."""
    found = np.full((count, height, width, 3), 40, np.uint8)
    for n in range(count):
        found[n, :, 4 * n : 4 * n + 8] = 220
    return list(found)


def film(path: Path, seconds: list[float] | None = None, **size: int) -> Path:
    with VideoFile(path, 10) as file:
        for n, frame in enumerate(frames(**size)):
            file.add(frame, seconds[n] if seconds else None)
    return path


def tone(path: Path, seconds: float = 1.2) -> Path:
    samples = 8000 * np.sin(np.arange(int(8000 * seconds)) * 440 * 2 * np.pi / 8000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def streams(path: Path) -> dict[str, str]:
    with av.open(str(path)) as file:
        return {stream.type: stream.codec_context.name for stream in file.streams}


@pytest.mark.parametrize("ending", video.ENDINGS)
def test_frames_come_back(tmp_path, ending):
    with open_video(film(tmp_path / f"film{ending}")) as opened:
        assert (opened.height, opened.width, opened.has_sound) == (48, 64, False)
        found = list(opened)
    np.testing.assert_allclose([second for second, _ in found], np.arange(12) / 10, atol=0.01)
    for (_, frame), true in zip(found, frames(), strict=True):
        assert np.abs(frame.astype(int) - true).mean() < 12, "lossy, and the same picture"


def test_odd_sides_and_frames_of_unequal_length(tmp_path):
    seconds = [0.0, 0.1, 0.5, 0.52, 1.0, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 9.0]
    with open_video(film(tmp_path / "film.webm", seconds, height=49, width=63)) as opened:
        found = list(opened)
    np.testing.assert_allclose([second for second, _ in found], seconds, atol=0.01)
    assert found[0][1].shape == (50, 64, 3), "codecs take even sides"


def test_a_size_and_grey_can_be_asked_for(tmp_path):
    with open_video(film(tmp_path / "film.mp4"), (24, 20), grey=True) as opened:
        shapes = {frame.shape for _, frame in opened}
    assert shapes == {(24, 20)}


@pytest.mark.parametrize("ending", video.ENDINGS)
@pytest.mark.parametrize("target", video.ENDINGS)
def test_sound_is_joined_to_a_film(tmp_path, ending, target):
    silent, sound = film(tmp_path / f"film{ending}"), tone(tmp_path / "tone.wav")
    join(silent, sound, tmp_path / f"both{target}")
    found = streams(tmp_path / f"both{target}")
    assert found["audio"] in ("aac", "opus", "libopus")
    with open_video(tmp_path / f"both{target}") as opened:
        assert opened.has_sound
        assert len(list(opened)) == 12
    join(silent, tmp_path / f"both{target}", tmp_path / f"again{target}")
    assert set(streams(tmp_path / f"again{target}")) == {"video", "audio"}, "and from a film to a film"


def test_a_film_that_has_no_sound_gives_none(tmp_path):
    silent = film(tmp_path / "film.webm")
    join(silent, silent, tmp_path / "still.webm")
    assert set(streams(tmp_path / "still.webm")) == {"video"}


def long_film(path: Path) -> Path:
    return film(path, [36_000.0 * n for n in range(12)])


def cut(path: Path) -> Path:
    path.write_bytes(film(path).read_bytes()[:300])
    return path


def sound_alone(path: Path) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libopus", rate=48_000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.int16), format="s16", layout="mono")
        sound.rate, sound.time_base = 48_000, Fraction(1, 48_000)
        file.mux([*stream.encode(sound), *stream.encode(None)])
    return path


def written(content: bytes):
    def write(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (written(b""), "not a film in a format"),
        (written(b"\x1a\x45\xdf\xa3" + bytes(range(256)) * 20), "cannot be decoded|no moving picture"),
        (written(b"#EXTM3U\nhttp://127.0.0.1/x.ts\n"), "not a film in a format"),
        (written(b"ffconcat version 1.0\nfile /etc/passwd\n"), "not a film in a format"),
        (cut, "cannot be decoded|no moving picture|no frame"),
        (sound_alone, "no moving picture, only sound"),
        (long_film, "hours"),
    ],
)
def test_what_is_no_film_is_one_sentence(tmp_path, make, said):
    path = make(tmp_path / "film.webm")
    with pytest.raises(UserError, match=said), open_video(path) as opened:
        list(opened)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "PIXELS", 1000)
    with pytest.raises(UserError, match="64 x 48 pixels, and at most 1,000"), open_video(film(tmp_path / "f.webm")):
        pass


def test_a_decoder_that_hangs_or_crashes_is_a_sentence(tmp_path, monkeypatch):
    path = film(tmp_path / "film.webm")
    worker = tmp_path / "worker.py"
    monkeypatch.setattr(video, "WORKER", worker)
    worker.write_text("import os; os.abort()", encoding="utf-8")
    with pytest.raises(UserError, match="stopped the decoder"), open_video(path):
        pass
    worker.write_text("import time; time.sleep(60)", encoding="utf-8")
    monkeypatch.setattr(video._worker.__wrapped__, "__defaults__", (0.5,))
    with pytest.raises(UserError, match="gave no frame"), open_video(path):
        pass


def test_nothing_is_left_running_when_nobody_reads_on(tmp_path):
    with open_video(film(tmp_path / "film.webm")) as opened:
        next(iter(opened))
        process = opened._process
    assert process.poll() is not None


def test_without_pyav_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "has_video", lambda: False)
    with pytest.raises(UserError, match="requirements-video.txt"), open_video(tmp_path / "film.webm"):
        pass


def test_the_worker_imports_nothing_of_ours():
    code = "import sys; sys.path[:0] = ['shared/data']; sys.argv = ['x']; import video_worker; print(*sys.modules)"
    root = Path(__file__).parents[3]
    said = subprocess.run([sys.executable, "-P", "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert [name for name in said.stdout.split() if name.split(".")[0] in ("shared", "apps", "keras")] == []
