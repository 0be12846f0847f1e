"""For trainings that begin with ImageNet's weights: a tiny network in the place of MobileNetV2, and photos to learn."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from shared.classifiers import imagenet
from shared.training.runtime import import_keras
from tests.parity_worker import build
from tests.scenarios.photo_classifier import tiny

TINTS = {"n00000002": (170, 70, 60), "n00000004": (60, 160, 60), "pets": (60, 70, 170)}
CLASSES = tuple(f"class {n}" for n in range(6)), tuple(f"n{n:08}" for n in range(6))
TINY = ["--size", 32, "--batch", 16, "--held-out", 24, "--average", 0.2, "--learning-rate", 0.02]


def small_network(size: int, weights: list[np.ndarray]):
    network = tiny(size, len(weights[-1]))
    network.set_weights(weights)
    return network


def shrink(patch: pytest.MonkeyPatch, app: ModuleType) -> None:
    """Six classes, and weights that nobody downloads."""
    import_keras()
    patch.setattr(app, "photo_network", small_network)
    patch.setattr(app, "imagenet_weights", lambda: build(tiny(32, 6)).get_weights())
    patch.setattr(imagenet, "imagenet_classes", lambda: CLASSES)


def tinted_photos(folder: Path) -> Path:
    """A folder for each of three classes, 30 photos in each: noise in a tint of its own, of many sizes."""
    rng = np.random.default_rng(0)
    for name, tint in TINTS.items():
        (folder / "train" / name).mkdir(parents=True)
        for n in range(30):
            pixels = np.add(tint, rng.integers(0, 80, (rng.integers(30, 50), 40, 3)))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "train" / name / f"{n}.png")
    return folder
