"""Colour for films: each frame like a photo, with colours that stay where the picture stays."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from apps.parts.colorizer.guided_filter import Chroma, PhotoColorizer, apply_chroma, pooled
from shared.console import at_terminal, say
from shared.data.video import ENDINGS, Video, join, open_video
from shared.drawing.video import VideoFile
from shared.errors import UserError
from shared.files import output_path, write_atomically

KEPT = 0.95  # share of a colour that stays from frame to frame where nothing changes
CHANGE = 4.0  # in L: a change after which 1/e of that stays
CUT = 12.0  # mean change of L that begins another scene
RATE = 25.0  # frames a second, if the file does not say


class Steady:
    """Colours of a film's frames, averaged over time where its lightness stays the same."""

    def __init__(self) -> None:
        self._before: tuple[np.ndarray, Chroma] | None = None

    def __call__(self, L: np.ndarray, chroma: Chroma) -> Chroma:
        """The steadied colours of the next frame, from what `PhotoColorizer.predict` gave for it."""
        small = pooled(L, chroma.slope.shape[1])
        if self._before is not None and np.abs(small - self._before[0]).mean() < CUT:
            change = np.abs(small - self._before[0])
            kept = (KEPT * np.exp(-np.square(change / CHANGE))).astype(np.float32)
            past = self._before[1]
            slope = kept * past.slope + (1 - kept) * chroma.slope
            chroma = Chroma(slope, kept * past.offset + (1 - kept) * chroma.offset, chroma.extent)
        self._before = small, chroma
        return chroma


def colour_film(
    films: Sequence[Path], requested: Path | None, load: Callable[[], PhotoColorizer], vividness: float
) -> None:
    """Colour one film, and keep its sound; Ctrl-C leaves a film of what is coloured so far."""
    if len(films) > 1:
        raise UserError("a film is coloured by itself: name one film, or photos.")
    film = films[0]
    ending = film.suffix.lower() if film.suffix.lower() in ENDINGS else ".webm"
    path = output_path(requested, "colorizer", f"{film.stem}-colour{ending}")
    if path.suffix.lower() not in ENDINGS:
        raise UserError(f"{path.name} must end in one of {', '.join(ENDINGS)}.")
    with ExitStack() as stack:
        video = stack.enter_context(open_video(film))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(write_atomically(path))
        coloured = VideoFile(folder / f"colour{path.suffix}", video.rate or RATE)
        colorizer = load()
        began_s = time.perf_counter()
        with coloured:
            whole = _colour_frames(video, coloured, colorizer, vividness)
        lasted = time.perf_counter() - began_s
        join(coloured.path, film.expanduser().resolve(), target)
    size = f"{video.width} x {video.height} pixels"
    print(f"{path}: {coloured.frames:,} frames of {size}, {coloured.frames / lasted:.1f} a second")
    if not whole:
        raise KeyboardInterrupt


def _colour_frames(video: Video, film: VideoFile, colorizer: PhotoColorizer, vividness: float) -> bool:
    """Colour frame after frame; False if Ctrl-C ended it."""
    steady, began_s, told_s = Steady(), time.perf_counter(), 0.0
    try:
        for second, frame in video:
            film.add(apply_chroma(frame, steady(*colorizer.predict(frame)) * vividness), second)
            spent = time.perf_counter() - began_s
            if spent - told_s > (0.5 if at_terminal() else 30) and second:
                told_s = spent
                left = max(video.seconds / second - 1, 0) * spent
                start, end = ("\r", "") if at_terminal() else ("", "\n")
                say(f"{start}{film.frames:,} frames, {film.frames / spent:.1f} a second, {left:.0f} s left  ", end=end)
    except KeyboardInterrupt:
        return False
    return True
