"""A few digits drawn by code, and the smallest of the networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from apps.parts.digits import pens
from apps.parts.digits.ink import normalised
from tests.apps.toy import Toy


def digits(folder: Path) -> list:
    folder.mkdir()
    sheets, labels = pens.random_hands(12, seed=5)
    images = np.stack([normalised(sheet) for sheet in sheets])
    order = np.random.default_rng(0).permutation(len(labels))
    parts = {"train": order[40:], "test": order[:40]}
    arrays = {
        f"{key}_{name}": values[chosen]
        for name, chosen in parts.items()
        for key, values in (("x", images), ("y", labels))
    }
    np.savez(folder / "drawn.npz", **arrays)
    return ["--data", folder / "drawn.npz"]


TOY = Toy(
    data=digits,
    train="--network lecun1989 --held-out 40 --batch 8 --epochs 3 --learning-rate 0.01 --average 0.1",
    demo="",
    output="inside.png",
)
