"""Films, frame by frame, and their sound, in constant memory. Needs PyAV: `pip install -r requirements-video.txt`.

FFmpeg reads hundreds of formats in C, and a hostile file may make it crash: it runs in a process of its own
(video_worker.py), with limits of memory and time, reads one file alone, and has no network.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import UserError

WORKER = Path(__file__).with_name("video_worker.py")
PIXELS = 4096 * 2304  # in a frame at most
SECONDS = 3 * 3600.0  # of a film at most
PATIENCE = 60.0  # seconds without a new frame, after which the process is ended
ENDINGS = (".webm", ".mp4", ".mkv")
"""Of films that are written."""
FILMS = (*ENDINGS, ".mov", ".avi", ".m4v", ".ogv", ".mpg", ".mpeg", ".ts", ".flv")
"""Endings by which a film is told from a photo."""


def has_video() -> bool:
    """Whether PyAV is installed."""
    return find_spec("av") is not None


def needs_video() -> None:
    """UserError unless PyAV is installed."""
    if not has_video():
        raise UserError("films need PyAV: run `pip install -r requirements-video.txt` once.")


@dataclass
class Video:
    """A film that is being decoded: iterate over it for (second, frame)."""

    path: Path
    height: int
    """Pixels of the frames that it gives."""
    width: int
    seconds: float
    """As the file declares it; 0 if it does not."""
    rate: float
    """Mean frames a second, 0 if unknown: where frames last unequally, only their seconds tell."""
    has_sound: bool
    channels: int
    _process: Any
    _waiting: list[float | None]

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        """The second of each frame, from 0 on, and the frame: uint8 (height, width, 3), or (height, width) in grey."""
        shape = (self.height, self.width, 3)[: 3 if self.channels == 3 else 2]
        count = int(np.prod(shape))
        while True:
            head = self._read(8)
            second = float(np.frombuffer(head)[0]) if len(head) == 8 else None
            if second is not None and np.isnan(second):
                return
            pixels = self._read(count) if second is not None else b""
            if second is None or len(pixels) < count:
                raise _error(self.path, self._process)
            yield second, np.frombuffer(pixels, np.uint8).reshape(shape)

    def _read(self, count: int) -> bytes:
        self._waiting[0] = time.monotonic()
        found = self._process.stdout.read(count)
        self._waiting[0] = None
        return found


@contextlib.contextmanager
def open_video(path: Path, size: tuple[int, int] | None = None, grey: bool = False) -> Iterator[Video]:
    """Decode a film; UserError if it is none, or beyond the limits of size and length.

    Args:
        path: an ordinary file.
        size: (height, width) to give the frames in; by default their own.
        grey: give brightness alone.
    """
    needs_video()
    path = path.expanduser()
    if not path.is_file():
        raise UserError(f"there is no film {path}: check the spelling.")
    height, width = size or (0, 0)
    form = "gray" if grey else "rgb24"
    words = ["frames", str(path.resolve()), str(width), str(height), form, str(PIXELS), str(SECONDS)]
    with _worker(words) as (process, waiting):
        line = process.stdout.readline(10_000)
        waiting[0] = None
        try:
            told = json.loads(line)
        except ValueError:
            raise _error(path, process) from None
        yield Video(path, **told, channels=1 if grey else 3, _process=process, _waiting=waiting)


def join(film: Path, sound: Path, target: Path) -> None:
    """Write a film with the sound of another film or a .wav file, if it has any, at `target` (.webm, .mp4 or .mkv)."""
    needs_video()
    with _worker(["join", str(film), str(sound.resolve()), str(target)], patience=3600) as (process, _):
        if process.wait():
            raise _error(sound, process)


@contextlib.contextmanager
def _worker(words: list[str], patience: float = PATIENCE) -> Iterator[tuple[Any, list[float | None]]]:
    """The process, and a place for the moment since which we wait for it, if we do; it ends with the block."""
    with tempfile.TemporaryFile() as said:
        process: Any = subprocess.Popen(
            [sys.executable, "-P", str(WORKER), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,  # Ctrl-C is for us: we end it
        )
        process.said, process.given_up = said, False
        waiting: list[float | None] = [time.monotonic()]
        over = threading.Event()

        def watch() -> None:
            while not over.wait(1.0):
                if (since := waiting[0]) is not None and time.monotonic() - since > patience:
                    process.given_up = True
                    process.kill()

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield process, waiting
        finally:
            over.set()
            process.kill()
            process.stdout.close()
            process.wait()


def _error(path: Path, process: Any) -> UserError:
    """Why the process stopped, in a sentence."""
    if process.given_up:
        return UserError(f"{path} gave no frame for {PATIENCE:.0f} seconds, and was given up.")
    process.wait()
    process.said.seek(0)
    last = process.said.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    try:
        return UserError(f"{path} {json.loads(last)['error']}.")
    except (ValueError, KeyError, TypeError):
        return UserError(f"{path} cannot be decoded: it stopped the decoder. Is it a whole film?")
