"""What steadying a film's colours does: flicker and colourfulness of a coloured film, steadied and frame by frame.

    python benchmarks/colour_film.py                    a made old film: a slow zoom with grain, shaking, flickering
    python benchmarks/colour_film.py --film FILM        the first frames of another one

Flicker is the mean change of colour (ab of CIELAB) from frame to frame where the lightness changes by less than 1;
colourfulness is the mean chroma. Both of the film as this app colours it, whatever colours it has.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps.colorizer import Colorize, load
from apps.parts.colorizer import lab
from apps.parts.colorizer.films import Steady
from apps.parts.colorizer.guided_filter import apply_chroma
from shared import cli
from shared.data.video import open_video
from shared.drawing.video import VideoFile
from shared.settings import Range, Settings

STILL = 1.0  # of L


def old_film(path: Path, frames: int = 72) -> None:
    """Three seconds of a photo of scikit-image's, in grey: a slow zoom with grain, shaking, flickering."""
    from PIL import Image
    from skimage import data

    rng, photo = np.random.default_rng(0), Image.fromarray(data.astronaut())
    with VideoFile(path, 24) as film:
        for n in range(frames):
            zoom, (dx, dy) = 40 * n / frames, rng.normal(0, 0.4, 2)
            part = zoom + dx + 2, 60 + 0.6 * zoom + dy, 510 - zoom + dx, 340 + dy
            grey = np.asarray(photo.resize((640, 360), Image.Resampling.BICUBIC, part)) @ [0.299, 0.587, 0.114]
            grey = grey * (1 + 0.02 * rng.normal()) + rng.normal(0, 7, grey.shape)
            film.add(np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2))


@dataclass
class Measure(Settings):
    """Colour a film both ways, and print flicker and colourfulness."""

    film: Path | None = None
    """A film; by default one that is made."""
    frames: Annotated[int, Range(2, 1_000_000)] = 300
    """Frames at most, the first ones."""


def measure(config: Measure) -> None:
    """Colour the first frames both ways, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        film = config.film or Path(folder) / "old.mp4"
        if config.film is None:
            old_film(film)
        compare(film, config.frames)


def compare(film: Path, frames: int) -> None:
    """Both ways on one film."""
    colorizer, _ = load(Colorize())
    ways = {"frame by frame": lambda L, chroma: chroma, "steadied": Steady()}
    changes: dict[str, list[float]] = {name: [] for name in ways}
    vivid: dict[str, list[float]] = {name: [] for name in ways}
    before: dict[str, np.ndarray] = {}
    with open_video(film) as video:
        began_s, count, last = time.perf_counter(), 0, np.zeros(1, np.float32)
        for _, frame in islice(video, frames):
            light = lab.lightness(frame)
            predicted = colorizer.predict(frame)
            count += 1
            for name, way in ways.items():
                _, ab = lab.from_rgb(apply_chroma(frame, way(*predicted)))
                ab = np.stack(list(ab))
                vivid[name].append(float(np.hypot(*ab).mean()))
                if name in before:
                    still = np.abs(light - last) < STILL
                    changes[name].append(float(np.hypot(*(ab - before[name]))[still].mean()) if still.any() else 0.0)
                before[name] = ab
            last = light
    size = f"{video.width} x {video.height}"
    print(f"{film.name}, {count} frames of {size}, both ways in {time.perf_counter() - began_s:.0f} s")
    for name in ways:
        print(f"  {name:16} flicker {np.mean(changes[name]):.3f}, colourfulness {np.mean(vivid[name]):.2f}")
    print(
        f"  ratio            flicker {np.mean(changes['steadied']) / np.mean(changes['frame by frame']):.2f}, "
        f"colourfulness {np.mean(vivid['steadied']) / np.mean(vivid['frame by frame']):.1%}"
    )


if __name__ == "__main__":
    cli.run(__doc__, measure, {})
