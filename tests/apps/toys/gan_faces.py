"""Faces that a child would draw, and few generated ones, validated without a classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from apps import gan_faces
from shared import saved_models
from tests.apps.toy import Toy


def draw_face(rng: np.random.Generator, size: tuple[int, int] = (89, 109)) -> Image.Image:
    """An oval with eyes and a mouth, on a plain colour."""
    picture = Image.new("RGB", size, tuple(rng.integers(0, 120, 3)))
    draw, (x, y) = ImageDraw.Draw(picture), np.array(size) // 2 + rng.integers(-3, 4, 2)
    draw.ellipse((x - 28, y - 36, x + 28, y + 36), fill=tuple(rng.integers(140, 256, 3)))
    for eye in (-12, 12):
        draw.ellipse((x + eye - 4, y - 8, x + eye + 4, y), fill=(20, 20, 40))
    draw.line((x - 10, y + 18, x + 10, y + 18), fill=(160, 30, 30), width=3)
    return picture


def photos(folder: Path) -> list:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for n in range(160):
        draw_face(rng).save(folder / f"{n:03d}.png")
    return ["--data", folder]


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(saved_models, "MODELS", Path("nowhere"))
    patch.setattr(gan_faces, "VALIDATION_SAMPLES", 20)


TOY = Toy(
    data=photos,
    train="--width 2 --critic-width 2 --latent 6 --batch 4 --images 512 --validate-every 128 --sheet-every 128 "
    "--average 0.2",
    demo="--count 4",
    output="faces.png",
    shrink=shrink,
)
