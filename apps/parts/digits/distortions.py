"""New drawings from old ones: turned, slanted, stretched and bent, with other pens; and drawings that are no digits.

Elastic distortions are those of Simard, Steinkraus & Platt 2003, "Best practices for convolutional neural networks
applied to visual document analysis".
"""

from __future__ import annotations

import importlib.util
import string
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from apps.parts.digits.ink import SIDE, normalised

KNOTS = 6  # of the elastic field, in each direction
LOOK_LIKE_DIGITS = "OoQDIlizZsSBbqgGTyYuUnhLtfJj"  # in some handwriting or type
TRAINING_FONTS = ("DejaVuSans", "DejaVuSerif", "cmmi10", "cmss10")
TEST_FONTS = ("STIXGeneral", "cmr10", "cmtt10", "DejaVuSansMono")


def distorted(images: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """As many drawings, uint8 (n, 28, 28), each changed in its own way; with strength 0 hardly at all."""
    count = len(images)
    draw = lambda low, high: (strength * rng.uniform(low, high, count)).astype(np.float32)  # noqa: E731
    turn, slant = draw(-0.22, 0.22), draw(-0.25, 0.25)  # radians, columns a row
    tall, wide = np.exp(draw(-0.16, 0.16)), np.exp(draw(-0.16, 0.16))
    cosine, sine = np.cos(turn), np.sin(turn)
    # where each pixel of the new drawing comes from: (x, y) -> matrix (x, y) + shift + elastic field
    matrix = np.stack([[cosine / wide, (sine + slant) / wide], [-sine / tall, cosine / tall]]).transpose(2, 0, 1)
    middle = (SIDE - 1) / 2
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) - middle
    places = matrix @ np.stack([x.ravel(), y.ravel()])  # (n, 2, pixels)
    shift = strength * rng.uniform(-1.8, 1.8, (count, 2, 1)).astype(np.float32)
    bend = rng.normal(0, 1.1 * strength, (count, 2, KNOTS, KNOTS)).astype(np.float32)
    places += middle + shift + (_SPLINE @ bend @ _SPLINE.T).reshape(count, 2, -1)
    return with_other_pens(_sampled(images, places[:, 0], places[:, 1]), rng, strength)


def _spline() -> np.ndarray:
    """From values at KNOTS knots to smooth ones at SIDE pixels, (SIDE, KNOTS); rows sum to 1."""
    knots, pixels = np.linspace(0, SIDE - 1, KNOTS), np.arange(SIDE)[:, None]
    weights = np.exp(-0.5 * np.square((pixels - knots) / (0.6 * SIDE / KNOTS)))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


_SPLINE = _spline()


def _sampled(images: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The drawings at these places (n, pixels), between pixels by bilinear interpolation; nothing is outside."""
    count, side = len(images), SIDE + 2
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2)))
    corners = [padded[:, dy : side + dy, dx : side + dx] for dy in (0, 1) for dx in (0, 1)]
    fours = np.stack(corners, axis=-1).view(np.uint32).reshape(-1)  # a pixel and its neighbours are fetched as one
    x, y = np.clip(x + 1, 0, SIDE + 1), np.clip(y + 1, 0, SIDE + 1)
    left, top = x.astype(np.int32), y.astype(np.int32)
    x, y = x - left, y - top
    first = top * side + left + np.arange(count, dtype=np.int32)[:, None] * side * side
    found = fours.take(first).view(np.uint8).reshape(count, -1, 4).astype(np.float32)
    upper = found[..., 0] + x * (found[..., 1] - found[..., 0])
    lower = found[..., 2] + x * (found[..., 3] - found[..., 2])
    return (upper + y * (lower - upper)).reshape(images.shape)


def with_other_pens(images: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """A third of the drawings with a thicker pen, a third with a thinner one; uint8 (n, 28, 28)."""
    images = images.astype(np.float32)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    around = [
        padded[:, 1 + dy : SIDE + 1 + dy, 1 + dx : SIDE + 1 + dx] for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))
    ]
    thick, thin = images, images
    for neighbour in around:
        thick, thin = np.maximum(thick, neighbour), np.minimum(thin, neighbour)
    kind = rng.integers(0, 3, len(images))[:, None, None]
    share = strength * rng.uniform(0, 1, len(images))[:, None, None].astype(np.float32)
    images = images + share * np.where(kind == 1, thick - images, np.where(kind == 2, 0.5 * (thin - images), 0))
    return np.clip(images, 0, 255).round().astype(np.uint8)


# ------------------------------------------------------------------------------------- Slashed zeros, crossed sevens


def with_marks(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator, share: float = 0.1) -> np.ndarray:
    """The same drawings with a stroke through some of the zeros and sevens, as many people write them."""
    images = images.copy()
    chosen = np.flatnonzero(((labels == 0) | (labels == 7)) & (rng.random(len(labels)) < share))
    for n in chosen:
        rows, columns = np.nonzero(images[n] > 60)
        if len(rows) < 5:
            continue
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        reach = rng.uniform(0, 0.15)
        if labels[n] == 0:  # from the lower left to the upper right
            dy, dx = (bottom - top) * (reach - 0.1), (right - left) * (reach - 0.1)
            ends = (left - dx, bottom + dy), (right + dx, top - dy)
        else:  # across the stem
            row = rng.uniform(0.45, 0.65) * (bottom - top) + top
            near = columns[np.abs(rows - row) < 1.5]
            stem = near.mean() if len(near) else (left + right) / 2
            half, tilt = rng.uniform(3, 5.5), rng.uniform(-1, 1.5)
            ends = (stem - half, row + tilt), (stem + half, row - tilt)
        images[n] = np.maximum(images[n], _stroke(*ends, rng.uniform(1.2, 2.4)))
    return images


def _stroke(start: tuple[float, float], end: tuple[float, float], width: float) -> np.ndarray:
    """An anti-aliased line between two places (x, y) in pixels, uint8 (28, 28)."""
    y, x = np.mgrid[:SIDE, :SIDE]
    direction = np.subtract(end, start)
    along = ((x - start[0]) * direction[0] + (y - start[1]) * direction[1]) / max(float(direction @ direction), 1e-6)
    along = np.clip(along, 0, 1)
    distance = np.hypot(x - start[0] - along * direction[0], y - start[1] - along * direction[1])
    return (255 * np.clip(width / 2 + 0.5 - distance, 0, 1)).astype(np.uint8)


# --------------------------------------------------------------------------------------------------------- No digits


def letters(fonts: tuple[str, ...]) -> np.ndarray:
    """The letters of these of Matplotlib's fonts that look like no digit, uint8 (n, 28, 28)."""
    spec = importlib.util.find_spec("matplotlib")
    folders = spec.submodule_search_locations or () if spec else ()
    drawn = []
    for font in fonts:
        path = next(Path(folder, "mpl-data/fonts/ttf", f"{font}.ttf") for folder in folders)
        face = ImageFont.truetype(str(path), 60)
        for letter in string.ascii_letters:
            if letter not in LOOK_LIKE_DIGITS:
                canvas = Image.new("L", (140, 140))
                ImageDraw.Draw(canvas).text((40, 30), letter, 255, face)
                drawn.append(normalised(np.asarray(canvas)))
    return np.stack(drawn)


def scribbles(count: int, rng: np.random.Generator) -> np.ndarray:
    """Random walks of a pen, uint8 (count, 28, 28)."""
    drawn = []
    for _ in range(count):
        canvas = Image.new("L", (112, 112))
        turns = rng.normal(0, rng.uniform(0.1, 0.9), 60).cumsum() + rng.uniform(0, 6.3)
        steps = rng.uniform(2, 8) * np.stack([np.cos(turns), np.sin(turns)])
        points = (56 + steps.cumsum(axis=1)).T
        ImageDraw.Draw(canvas).line([tuple(point) for point in points], 255, int(rng.integers(5, 12)), "curve")
        drawn.append(normalised(np.asarray(canvas)))
    return np.array(drawn, np.uint8).reshape(-1, SIDE, SIDE)


def noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Pixels, specks and clouds of random ink, uint8 (count, 28, 28)."""
    fine = rng.random((count, SIDE, SIDE), dtype=np.float32)
    clouds = _SPLINE @ rng.normal(size=(count, KNOTS, KNOTS)).astype(np.float32) @ _SPLINE.T
    share = rng.uniform(0.05, 0.6, (count, 1, 1))
    kind = rng.integers(0, 3, (count, 1, 1))
    drawn = np.where(kind == 0, fine, np.where(kind == 1, fine < share, clouds > rng.uniform(0, 0.5, (count, 1, 1))))
    return (255 * drawn).astype(np.uint8)


def no_digits(count: int, rng: np.random.Generator, alphabet: np.ndarray) -> np.ndarray:
    """Some letters of an alphabet, half of them, scribbles and noise, uint8 (count, 28, 28)."""
    kinds = rng.multinomial(count, (0.5, 0.25, 0.25))
    chosen = alphabet[rng.integers(0, len(alphabet), kinds[0])]
    return np.concatenate([chosen, scribbles(kinds[1], rng), noise(kinds[2], rng)])
