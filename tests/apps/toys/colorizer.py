"""Scenes whose lightness tells the colour, and a tiny encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps import colorizer
from tests.apps.toy import Toy
from tests.scenarios.colorizer import tiny_encoder


def scene(seed: int, height: int = 48, width: int = 48) -> np.ndarray:
    """A blue sky, bright, over green or brown ground, dark: who knows the lightness knows the colour."""
    rng = np.random.default_rng(seed)
    horizon = int(height * rng.uniform(0.3, 0.7))
    picture = np.empty((height, width, 3), np.float64)
    picture[:horizon], picture[horizon:] = (130, 190, 250), (40, 90, 30)
    picture += rng.normal(0, 5, (height, width, 1)) + rng.uniform(-10, 10)
    return picture.clip(0, 255).astype(np.uint8)


def save(path: Path, picture: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return path


def album(folder: Path) -> list:
    """A folder of scenes, split as data sets are, with a grey photo and a broken one."""
    for n in range(40):
        save(folder / "train" / "n01" / f"{n:02}.png", scene(n))
    for n in range(6):
        save(folder / "val" / ("n01", "n02")[n % 2] / f"{n}.png", scene(100 + n))
    save(folder / "train" / "n01" / "grey.png", np.repeat(scene(50)[..., :1], 3, -1))
    save(folder / "val" / "n01" / "grey.png", np.repeat(scene(50)[..., :1], 3, -1))
    (folder / "train" / "n01" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return ["--data", folder]


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(colorizer, "encoder", tiny_encoder)


TOY = Toy(
    data=album,
    train="--from-scratch --size 32 --batch 8 --average 0.2 --learning-rate 0.01 --epochs 12",
    demo="--resolution 32",
    output="sheet.png",
    shrink=shrink,
)
