"""Two writers who write bars for letters, and a network that can learn that."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.apps.toy import Toy

SHAPES = {
    "i": [[0, -70, 0], [0, 0, 1]],
    "l": [[0, -150, 0], [0, 0, 1]],
    "u": [[0, -70, 0], [0, 0, 0], [40, 0, 0], [40, -70, 1]],
}


def drawn(word: str, slant: float = 0.0) -> np.ndarray:
    """The bars of a word, int16 (n, 3), slanted by so many units a unit of height."""
    points = [[x + 60 * n - slant * y, y, end] for n, letter in enumerate(word) for x, y, end in SHAPES[letter]]
    return np.array(points, np.int16)


def bars(folder: Path) -> list:
    folder.mkdir()
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list(SHAPES), rng.integers(2, 6))) for _ in range(240)]
    writers = np.arange(len(words)) % 6
    found = [drawn(word, 0.1 * writer) for word, writer in zip(words, writers, strict=True)]
    offsets = np.cumsum([0, *map(len, found)]).astype(np.int32)
    np.savez(folder / "bars.npz", points=np.concatenate(found), offsets=offsets, text=np.array(words), writer=writers)
    return ["--data", folder / "bars.npz"]


TOY = Toy(
    data=bars,
    train="--units 24 --gaussians 3 --hand-size 2 --batch 4 --epochs 3 --learning-rate 0.01 --average 0.1",
    demo="ill --hands 1",
    output="handwriting.png",
)
