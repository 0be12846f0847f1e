"""Some seconds of Pong, played at random."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.parts.silent_film import measures, played
from tests.apps.toy import Toy


def no_data(folder: Path) -> list:
    return []


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(played, "SKIP", 8)
    patch.setattr(measures, "EXAMPLES", 1000)


TOY = Toy(
    data=no_data,
    train="--games pong --epochs 3 --frames 256 --length 32 --batch 12 --kinds 5 --units 8 --average 0.2",
    demo="--game pong --seconds 1",
    output="film.webm",
    shrink=shrink,
)
