"""Noise in three tints, and a tiny network in the place of MobileNetV2."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps import photo_classifier
from shared import saved_models
from shared.training.runtime import import_keras
from tests.apps import small_imagenet
from tests.apps.toy import Toy
from tests.parity_worker import build
from tests.scenarios.photo_classifier import tiny


def photos_and_a_start(folder: Path) -> list:
    """The weights to begin with know nothing."""
    small_imagenet.tinted_photos(folder)
    import_keras()
    saved_models.save(build(tiny(32, 6), seed=9), folder.with_name("start"), {})
    return ["--data", f"{folder},{folder}", "--init", folder.with_name("start")]


def shrink(patch: pytest.MonkeyPatch) -> None:
    small_imagenet.shrink(patch, photo_classifier)
    patch.setattr(photo_classifier, "TEACHER_SIZE", 40)


TOY = Toy(
    data=photos_and_a_start,
    train=" ".join(map(str, small_imagenet.TINY)) + " --mix 1 --epochs 6",
    demo="--top 3",
    output="photos.png",
    shrink=shrink,
)
