"""Training photos in CIELAB: decoded once, kept in memory with one byte a channel, cropped anew in every epoch.

Packed means uint8 (..., 3) of 2.55 L, a + 128 and b + 128, rounded to whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from apps.parts.colorizer import lab
from shared.console import say
from shared.data.batches import shuffled
from shared.data.datasets import ImageSet
from shared.data.sizes import crop_square, random_crop, resize

Batch = tuple[np.ndarray, np.ndarray]
"""L float32 (batch, size, size, 1), 0..100, and the chroma ab float32 (batch, size / stride, size / stride, 2)."""


def load_packed(sources: list[ImageSet], side: int, most: int = 0) -> np.ndarray:
    """The colour photos as squares, packed uint8 (photos, side, side, 3); says how many grey ones are left out.

    `most` is how many to take of each source, spread evenly; 0 takes all.
    """
    photos = np.empty((sum(map(len, sources)), side, side, 3), np.uint8)
    found = grey = 0
    for photo in (photo for source in sources for photo, _ in source.evenly(most)):
        square = crop_square(photo, side)
        if lab.is_grey(square):
            grey += 1
        else:
            photos[found] = pack(square)
            found += 1
    say(f"{found:,} colour photos; {grey:,} grey ones are left out.")
    return photos[:found]


def pack(rgb: np.ndarray) -> np.ndarray:
    """uint8 sRGB (..., 3) to packed uint8 (..., 3)."""
    L, (a, b) = lab.from_rgb(rgb)
    return np.rint(np.stack([L * 2.55, a + 128, b + 128], -1)).astype(np.uint8)


def unpack(packed: np.ndarray) -> np.ndarray:
    """Packed uint8 (..., 3) to uint8 sRGB (..., 3)."""
    L, a, b = np.moveaxis(packed.astype(np.float32), -1, 0)
    return lab.to_rgb(L / np.float32(2.55), (a - 128, b - 128))


def inputs_and_targets(packed: list[np.ndarray], size: int, stride: int) -> Batch:
    """The network's inputs and its targets, of packed photos of any sizes."""
    large = np.stack([resize(photo, size, size) for photo in packed])
    small = np.stack([resize(photo, size // stride, size // stride) for photo in packed])
    return large[..., :1] / np.float32(2.55), small[..., 1:] - np.float32(128)


def batches(packed: np.ndarray, epoch: int, *, batch: int, size: int, stride: int, scale: float, seed: int) -> Iterator:
    """Batches without end, from epoch number `epoch` on; an epoch's crops depend on the seed and its number alone.

    A crop has at least the share `scale` of its photo's area, and half of them are mirrored.
    """
    for chosen, rng in shuffled(len(packed), batch, seed, epoch):
        yield inputs_and_targets([random_crop(packed[n], scale, rng) for n in chosen], size, stride)
