"""Other views of a photo with boxes: mirrored, cropped or smaller, brighter or darker; the boxes move along."""

from __future__ import annotations

import numpy as np
from PIL import Image

from apps.parts.detector.average_precision import Boxes


def augmented(photo: np.ndarray, boxes: Boxes, size: int, rng: np.random.Generator) -> tuple[np.ndarray, Boxes]:
    """A view of a photo, uint8 (size, size, 3), with the boxes whose middle is on it, in shares of the view."""
    height, width, _ = photo.shape
    share = rng.uniform(0.5, 1.15)  # of the photo's sides; above 1, there is grey around it
    stretch = np.exp(rng.uniform(-0.15, 0.15))
    tall, wide = share * stretch, share / stretch
    top, left = (rng.uniform(min(0, 1 - side), max(0, 1 - side)) for side in (tall, wide))
    box = (left * width, top * height, (left + wide) * width, (top + tall) * height)
    image = Image.fromarray(photo).transform(
        (size, size), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR, fillcolor=(127, 127, 127)
    )
    pixels = np.asarray(image, np.float32)
    pixels = (pixels - 127) * rng.uniform(0.7, 1.3) + 127 * rng.uniform(0.75, 1.25)
    corners = (boxes.corners - np.tile([left, top], 2)) / np.tile([wide, tall], 2)
    middle = (corners[:, :2] + corners[:, 2:]) / 2
    kept = ((middle > 0) & (middle < 1)).all(axis=1)
    corners = np.clip(corners, 0, 1)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
        corners = np.stack([1 - corners[:, 2], corners[:, 1], 1 - corners[:, 0], corners[:, 3]], axis=1)
    view = Boxes(corners, boxes.classes, boxes.scores).take(kept)
    return np.clip(pixels, 0, 255).astype(np.uint8), view
