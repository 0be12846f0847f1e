"""A text with a lot to learn in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.apps.toy import Toy


def play(path: Path) -> list:
    rng = np.random.default_rng(0)
    names, words = ("ROMEO", "JULIET", "NURSE"), ("night", "love", "the", "sweet", "my", "O", "and", "farewell")
    lines = (f"{rng.choice(names)}:\n{' '.join(rng.choice(words, 6))}.\n\n" for _ in range(220))
    path.write_text("".join(lines), encoding="utf-8")
    return ["--data", path]


TOY = Toy(
    data=play,
    train="--units 24 --embedding 8 --batch 8 --window 32 --average 0.2 --epochs 4 --learning-rate 0.02",
    demo="--length 60",
    output="verse.txt",
)
