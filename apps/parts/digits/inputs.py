"""What is read: photos of handwriting, or the samples; and how the answers are printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.parts.digits import pens
from apps.parts.digits.ink import SIDE, Found, digits_on, ink_of, normalised
from apps.parts.digits.reader import Answer, summary
from shared.console import for_each
from shared.data.images import load_image
from shared.errors import UserError

SAMPLES = Path(__file__).with_name("samples.png")
"""MNIST's first ten test digits, 7 2 1 0 4 1 4 9 5 9, side by side (CC BY-SA 3.0: LeCun, Cortes, Burges)."""
DRAWN = ("7 crossed", "0 slashed", "4 open", "2 with a loop")


def sample_digits() -> np.ndarray:
    """Ten test digits of MNIST and some drawn by code, uint8 (n, 28, 28)."""
    grey = load_image(SAMPLES, mode="L")
    test = grey.reshape(SIDE, -1, SIDE).transpose(1, 0, 2)
    mine = [normalised(ink_of(pens.drawn(kind, pen=0.06, wobble=0.04, seed=n))) for n, kind in enumerate(DRAWN)]
    return np.concatenate([test, mine])


def read_photos(files: Sequence[Path]) -> tuple[list[tuple[Path, np.ndarray, list[Found]]], list[str]]:
    """Each photo, uint8 (H, W), with the digits on it; and the names of those that cannot be read or have no ink.

    UserError if that is true of all.
    """
    found: list[tuple[Path, np.ndarray, list[Found]]] = []

    def look(file: Path) -> None:
        grey = load_image(file, mode="L")
        places = digits_on(grey)
        if not places:
            raise UserError(
                f"{file} shows no ink: write dark on light, or light on dark, and take the photo from near."
            )
        found.append((file, grey, places))

    broken = for_each(files, look)
    if not found:
        raise UserError("not one of these photos shows digits that can be read.")
    return found, broken


def print_digits(results: Sequence[tuple[str, Sequence[Answer], Sequence[Found]]], as_json: bool) -> None:
    """Print what each photo says, or JSON with every digit's probability and place."""
    if not as_json:
        for name, answers, _ in results:
            print(f"{name}: {summary(answers)}")
            for answer in answers:
                print(f"  {answer.text}")
        return
    rows = []
    for name, answers, places in results:
        digits: list[dict[str, Any]] = [
            {"digit": answer.digit, "probability": round(float(answer.shares.max()), 4), "sure": answer.sure}
            for answer in answers
        ]
        for row, place in zip(digits, places, strict=False):
            row["box"] = list(place.box)
        rows.append({"photo": name, "digits": digits})
    print(json.dumps(rows, indent=2))
