"""Photos in other sizes: scaled, cropped."""

from __future__ import annotations

import numpy as np
from PIL import Image


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale a uint8 photo, (H, W, 3) or (H, W), to (height, width); the proportions may change."""
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0))


def crop_square(image: np.ndarray, size: int, share: float = 1.0) -> np.ndarray:
    """The square in the middle of a uint8 photo, scaled to (size, size).

    Its side is the given share of the shorter side of the photo: 7/8 in the usual protocol of ImageNet.
    """
    height, width = image.shape[:2]
    side = max(round(min(height, width) * share), 1)
    top, left = (height - side) // 2, (width - side) // 2
    return resize(image[top : top + side, left : left + side], size, size)


def random_crop(image: np.ndarray, smallest: float, rng: np.random.Generator, mirror: bool = True) -> np.ndarray:
    """A random part of a photo (H, W, 3), with at least the share `smallest` of its area; a view, not a copy.

    This is the "random resized crop" of Szegedy et al. 2015, arXiv:1409.4842, before it is resized: its proportions
    differ from the photo's by up to 4:3. With `mirror`, half of the crops are mirrored.
    """
    side, stretch = rng.uniform(smallest, 1) ** 0.5, (4 / 3) ** rng.uniform(-0.5, 0.5)
    shares = np.minimum((side * stretch, side / stretch), 1)
    height, width = np.maximum(image.shape[:2] * shares, 1).astype(int)
    top, left = rng.integers(image.shape[0] - height + 1), rng.integers(image.shape[1] - width + 1)
    return image[top : top + height, left : left + width][:, :: rng.choice((1, -1)) if mirror else 1]


def fit_within(image: np.ndarray, longest: int) -> np.ndarray:
    """Scale a uint8 photo down, in proportion, until neither side is above `longest`; small ones stay as they are."""
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    return resize(image, max(1, round(height * scale)), max(1, round(width * scale)))
