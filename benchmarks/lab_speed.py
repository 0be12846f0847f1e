"""Is the colorizer's own conversion to CIELAB worth its lines? Its time beside scikit-image's, on one core.

    python benchmarks/lab_speed.py

A photo of 12 megapixels, in the strips of half a million pixels that `apply_chroma` takes, and a crop as in training.
The lightness alone is measured, too, because colouring needs no more of a photo, and scikit-image has no function for
it. scikit-image gets float32 pixels, with which it is faster than with bytes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps.parts.colorizer import lab
from apps.parts.colorizer.guided_filter import STRIP
from shared import cli
from shared.console import say
from shared.settings import Range, Settings

Convert = Callable[[Any], Any]


@dataclass
class Compare(Settings):
    """Convert with both, and print milliseconds."""

    megapixels: Annotated[float, Range(0.1, 100)] = 12.0
    """Size of the large photo."""
    rounds: Annotated[int, Range(1, 1000)] = 9
    """Measurements of each; the table has their median."""


def to_lab() -> dict[str, tuple[Convert, Convert]]:
    """Functions of uint8 sRGB (..., 3), ours and scikit-image's."""
    from skimage.color import rgb2lab

    def theirs(rgb: np.ndarray) -> np.ndarray:
        return rgb2lab(rgb / np.float32(255))

    return {"to L, a and b": (lab.from_rgb, theirs), "to L alone": (lab.lightness, lambda rgb: theirs(rgb)[..., 0])}


def to_rgb() -> tuple[Convert, Convert]:
    """Functions to uint8 sRGB (..., 3), ours of planes and scikit-image's of an array (..., 3)."""
    from skimage.color import lab2rgb

    return lambda planes: lab.to_rgb(*planes), lambda array: np.rint(255 * lab2rgb(array)).astype(np.uint8)


def milliseconds(convert: Convert, strips: Sequence[Any], rounds: int) -> float:
    """The median time to convert all strips; the first round warms up, and does not count."""
    times_s = []
    for _ in range(rounds + 1):
        began_s = time.perf_counter()
        for strip in strips:
            convert(strip)
        times_s.append(time.perf_counter() - began_s)
    return 1000 * median(times_s[1:])


def compare(config: Compare) -> None:
    """Convert with both, and print milliseconds and the largest difference."""
    if (load := os.getloadavg()[0]) > 0.5:
        say(f"This machine is not idle (load {load:.1f}): the times will be too long.")
    photo = np.random.default_rng(0).integers(0, 256, (round(config.megapixels * 250), 4000, 3), np.uint8)
    print(f"{'':48}{'ours':>10}{'scikit-image':>14}{'ratio':>8}")
    for size, pixels in (
        (f"photo of {config.megapixels:g} megapixels", photo),
        ("crop of 160 x 160", photo[:160, :160]),
    ):
        strips = np.array_split(pixels, max(pixels.shape[0] * pixels.shape[1] // STRIP, 1))
        planes = [lab.from_rgb(strip) for strip in strips]
        arrays = [np.stack([L, *ab], axis=-1) for L, ab in planes]
        rows = {name: ((ours, strips), (theirs, strips)) for name, (ours, theirs) in to_lab().items()}
        rows["back to sRGB"] = tuple(zip(to_rgb(), (planes, arrays), strict=True))
        for name, sides in rows.items():
            ours, theirs = (milliseconds(convert, inputs, config.rounds) for convert, inputs in sides)
            print(f"{size + ', ' + name:48}{ours:7.2f} ms{theirs:11.2f} ms{theirs / ours:8.1f}")


if __name__ == "__main__":
    cli.run(__doc__, compare, {})
