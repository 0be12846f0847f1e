"""Photos with boxes drawn on them, and boxes in words and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from apps.parts.detector.average_precision import Boxes
from shared.data.sizes import resize
from shared.drawing import pictures

WIDTH, HEIGHT = 600, 440  # pixels of a photo on the sheet
COLOURS = ((230, 60, 60), (40, 150, 240), (30, 170, 90), (240, 150, 20), (170, 90, 220), (0, 170, 170), (220, 80, 160))


def drawn(photo: np.ndarray, boxes: Boxes, labels: Sequence[str]) -> np.ndarray:
    """A photo, uint8 (H, W, 3), with boxes, names and scores, scaled to fit WIDTH x HEIGHT."""
    tall, wide, _ = photo.shape
    scale = min(WIDTH / wide, HEIGHT / tall)
    small = resize(photo, max(1, round(tall * scale)), max(1, round(wide * scale)))
    height, width, _ = small.shape
    canvas = Image.fromarray(small)
    draw, letters = ImageDraw.Draw(canvas), pictures.font(16)
    for n in range(len(boxes))[::-1]:  # the likeliest on top
        left, top, right, bottom = boxes.corners[n] * (width, height, width, height)
        colour = COLOURS[int(boxes.classes[n]) % len(COLOURS)]
        draw.rectangle((left, top, right, bottom), outline=colour, width=3)
        text = f"{labels[boxes.classes[n]]} {boxes.scores[n]:.0%}"
        box = draw.textbbox((0, 0), text, font=letters)
        x = float(np.clip(left, 0, max(width - box[2] - 6, 0)))
        y = float(np.clip(top - box[3] - 4, 0, max(height - box[3] - 4, 0)))
        draw.rectangle((x, y, x + box[2] + 6, y + box[3] + 4), fill=colour)
        draw.text((x + 3, y + 1), text, fill="white", font=letters)
    return np.asarray(canvas)


def sheet(photos: Sequence[np.ndarray]) -> np.ndarray:
    """Photos of any sizes in two columns, uint8 (H, W, 3)."""
    width, height = max(photo.shape[1] for photo in photos), max(photo.shape[0] for photo in photos)
    tiles = []
    for photo in photos:
        tile = np.full((height, width, 3), 255, np.uint8)
        top, left = (height - photo.shape[0]) // 2, (width - photo.shape[1]) // 2
        tile[top : top + photo.shape[0], left : left + photo.shape[1]] = photo
        tiles.append(tile)
    return pictures.grid(tiles, columns=1 if len(tiles) == 1 else 2, pad=8)


def tile_places(tiles: int) -> list[tuple[float, float, float, float]]:
    """The whole photo and parts of it that overlap by a quarter: left, top, right, bottom in shares."""
    side = 1 / (tiles - (tiles - 1) / 4)
    starts = np.linspace(0, 1 - side, tiles)
    return [
        (0.0, 0.0, 1.0, 1.0),
        *((float(x), float(y), float(x + side), float(y + side)) for y in starts for x in starts),
    ]


def in_pixels(corners: np.ndarray, shape: tuple[int, ...]) -> list[int]:
    """A box in whole pixels of a photo of this shape."""
    height, width = shape[:2]
    return [round(float(side)) for side in corners * (width, height, width, height)]


def as_json(file: Path, shape: tuple[int, ...], boxes: Boxes, labels: Sequence[str]) -> dict[str, Any]:
    """A photo's boxes as JSON has them."""
    rows = [
        {"label": labels[number], "score": round(float(score), 4), "box": in_pixels(corners, shape)}
        for corners, number, score in zip(boxes.corners, boxes.classes, boxes.scores, strict=True)
    ]
    return {"photo": str(file), "width": shape[1], "height": shape[0], "boxes": rows}


def described(file: Path, shape: tuple[int, ...], boxes: Boxes, labels: Sequence[str], count: bool) -> Iterator[str]:
    """What was found on a photo, in lines: how many of each, or each with its place."""
    counts = Counter(labels[number] for number in boxes.classes)
    yield f"{file.name}: " + (", ".join(f"{n} {name}" for name, n in counts.most_common()) or "nothing that it knows")
    if not count:
        for corners, number, score in zip(boxes.corners, boxes.classes, boxes.scores, strict=True):
            left, top, right, bottom = in_pixels(corners, shape)
            yield f"  {score:4.0%}  {labels[number]:14} {left}, {top} to {right}, {bottom}"
