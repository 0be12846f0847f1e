"""Photos to learn colours from: decoded once, kept as CIELAB in one byte a channel, cropped anew in every epoch.

Packed means uint8 (..., 3): 2.55 L, a + 128 and b + 128. It costs at most half a unit of each.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from apps.parts.colorizer import lab
from shared.console import say
from shared.data.batches import shuffled
from shared.data.datasets import ImageSet
from shared.data.images import crop_square, random_crop, resize, spread

Batch = tuple[np.ndarray, np.ndarray]
"""L float32 (batch, size, size, 1), 0..100, and the chroma ab float32 (batch, size / stride, size / stride, 2)."""


def read(sources: list[ImageSet], side: int, most: int = 0) -> np.ndarray:
    """The colour photos as squares, packed uint8 (photos, side, side, 3); says how many grey ones are left out.

    `most` is how many to take of each source, spread evenly; 0 takes all.
    """
    photos = np.empty((sum(map(len, sources)), side, side, 3), np.uint8)
    kept = grey = 0
    for photo in (photo for source in sources for photo, _ in some(source, most)):
        square = crop_square(photo, side)
        if lab.is_grey(square):
            grey += 1
        else:
            photos[kept] = pack(square)
            kept += 1
    say(f"{kept:,} colour photos; {grey:,} grey ones are left out.")
    return photos[:kept]


def some(source: ImageSet, most: int) -> Iterator[tuple[np.ndarray, int | None]]:
    """At most so many of a data set's photos (0: all), evenly, with their labels."""
    chosen = set(spread(len(source), most or len(source)))
    return (example for n, example in enumerate(source) if n in chosen)


def pack(rgb: np.ndarray) -> np.ndarray:
    """uint8 sRGB (..., 3) to packed uint8 (..., 3)."""
    L, (a, b) = lab.from_rgb(rgb)
    return np.rint(np.stack([L * 2.55, a + 128, b + 128], -1)).astype(np.uint8)


def unpack(packed: np.ndarray) -> np.ndarray:
    """Packed uint8 (..., 3) to uint8 sRGB (..., 3)."""
    L, a, b = np.moveaxis(packed.astype(np.float32), -1, 0)
    return lab.to_rgb(L / np.float32(2.55), (a - 128, b - 128))


def pairs(packed: list[np.ndarray], size: int, stride: int) -> Batch:
    """What goes into the network and what should come out, of packed photos of any sizes."""
    large = np.stack([resize(photo, size, size) for photo in packed])
    small = np.stack([resize(photo, size // stride, size // stride) for photo in packed])
    return large[..., :1] / np.float32(2.55), small[..., 1:] - np.float32(128)


def batches(packed: np.ndarray, epoch: int, *, batch: int, size: int, stride: int, scale: float, seed: int) -> Iterator:
    """Batches without end, from epoch number `epoch` on; an epoch's crops depend on the seed and its number alone.

    A crop has at least a share `scale` of its photo's area; every other one is mirrored.
    """
    for chosen, rng in shuffled(len(packed), batch, seed, epoch):
        yield pairs([random_crop(packed[n], scale, rng) for n in chosen], size, stride)
