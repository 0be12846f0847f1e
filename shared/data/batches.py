"""Which examples, and in which order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def shuffled(count: int, batch: int, seed: int, epoch: int = 0) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    """Batches without end, from epoch number `epoch` on: the indices of examples, and a generator for their views.

    An epoch depends on the seed and on its number alone, so that a resumed training sees what it would have seen. It
    holds every example once, but for those that do not fill a batch.

    Args:
        count: of all examples; at least a batch.
        batch: examples in a batch.
    """
    while True:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(count)
        for start in range(0, count - batch + 1, batch):
            yield order[start : start + batch], rng
        epoch += 1


def spread(count: int, most: int) -> list[int]:
    """At most so many numbers of range(count), spread evenly, the first and the last included."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
