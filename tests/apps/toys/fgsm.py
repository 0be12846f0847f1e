"""Noise in three tints, and a tiny network in the place of MobileNetV2."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps import fgsm
from tests.apps import small_imagenet
from tests.apps.toy import Toy


def photos(folder: Path) -> list:
    return ["--data", small_imagenet.tinted_photos(folder)]


def shrink(patch: pytest.MonkeyPatch) -> None:
    small_imagenet.shrink(patch, fgsm)


TOY = Toy(
    data=photos,
    train=" ".join(map(str, small_imagenet.TINY)) + " --epochs 6",
    demo="",
    output="sheet.png",
    shrink=shrink,
)
