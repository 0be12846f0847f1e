"""Squares of two colours on grey, and a network of the usual shape that sees few of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps import detector
from apps.parts.detector import backbones
from tests.apps.toy import Toy


def squares(folder: Path, count: int = 44) -> list:
    """YOLO's form."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    (folder / "classes.txt").write_text("red\ngreen\n")
    for n in range(count):
        pixels = np.full((60, 80, 3), 110, np.uint8)
        kind, x, y, side = int(rng.integers(2)), *rng.uniform(0.3, 0.7, 2), rng.uniform(0.3, 0.5)
        left, right = (int(80 * (x + sign * side / 2)) for sign in (-1, 1))
        top, bottom = (int(60 * (y + sign * side / 2)) for sign in (-1, 1))
        pixels[max(top, 0) : bottom, max(left, 0) : right] = ((220, 30, 30), (30, 200, 30))[kind]
        Image.fromarray(pixels).save(folder / "images" / f"{n}.png")
        (folder / "labels" / f"{n}.txt").write_text(f"{kind} {x:.4f} {y:.4f} {side:.4f} {side:.4f}\n")
    return ["--data", folder]


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backbones, "POINTWISE", (4, 4, 4, 4, 4, 8, 8, 8, 8, 8, 8, 8, 8))
    patch.setattr(detector, "EXTRAS", ((4, 8),) * 4)
    patch.setattr(backbones, "FIRST", 4)


TOY = Toy(
    data=squares,
    train="--batch 3 --epochs 2 --learning-rate 0.003",
    demo="--min-score 0",
    output="boxes.png",
    shrink=shrink,
)
