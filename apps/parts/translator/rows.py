"""Sentences of about the same length side by side, so that little of a batch is padding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

LENGTHS = (8, 12, 16, 20, 24, 32, 48, 64, 96, 128)  # of rows; a compiled function sees no others
LONGEST = LENGTHS[-1]

Example = tuple[list[int], list[int]]
"""Ids of a sentence, and of its translation from START to END."""
Batch = tuple[tuple[np.ndarray, np.ndarray], np.ndarray]
"""(sources, what was written so far), what comes next; int32 (rows, length) each, padded with zeros."""


def row_length(tokens: int) -> int:
    """The smallest length of a row that holds so many tokens."""
    return next(length for length in LENGTHS if length >= tokens)


def length_of(example: Example) -> int:
    """The length of the row that an example needs."""
    return row_length(max(len(example[0]), len(example[1]) - 1))


def padded(rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """Rows of ids as one array, int32 (rows, length), with zeros after each."""
    array = np.zeros((len(rows), length), np.int32)
    for n, ids in enumerate(rows):
        array[n, : len(ids)] = ids
    return array


def batches(
    first: Sequence[Example],
    more: Sequence[Example],
    share: float,
    tokens: int,
    steps: int,
    seed: int,
    multiple: int,
    epoch: int,
) -> Iterator[Batch]:
    """Batches without end, `steps` of them an epoch, from epoch number `epoch` on; the seed and it decide everything.

    Args:
        first: examples of which every one is in every epoch.
        more: examples of which a part is, another part in the next epoch.
        share: of an epoch's examples that come from `more`.
        tokens: the most in a batch, padding included, on either side.
        multiple: what the number of rows is filled up to a multiple of, with rows of padding.
    """
    while True:
        count = 0
        waiting: dict[int, list[Example]] = defaultdict(list)
        for example in _shuffled(first, more, share, np.random.default_rng([seed, epoch])):
            length = length_of(example)
            rows = waiting[length]
            rows.append(example)
            if len(rows) == max(tokens // length, 1):
                yield _batch([*rows, *[([], [])] * (-len(rows) % multiple)], length)
                waiting[length] = []
                count += 1
                if count == steps:
                    break
        epoch += 1


def steps_of(first: Sequence[Example], more: Sequence[Example], share: float, tokens: int) -> int:
    """About how many batches an epoch has: a little fewer than the examples fill, and at least one."""
    mean = sum(map(length_of, first)) / len(first)
    if more:
        mean = (1 - share) * mean + share * sum(map(length_of, more)) / len(more)
    examples = len(first) / (1 - share) if more else len(first)
    return max(int(0.95 * examples * mean / tokens), 1)


def _shuffled(
    first: Sequence[Example], more: Sequence[Example], share: float, rng: np.random.Generator
) -> Iterator[Example]:
    """The examples of one epoch in random order, and then of another, without end."""
    added = round(len(first) * share / (1 - share)) if more else 0
    while True:
        chosen = rng.integers(len(more), size=added) if added else ()
        examples = [*first, *(more[n] for n in chosen)]
        yield from (examples[n] for n in rng.permutation(len(examples)))


def _batch(examples: Sequence[Example], length: int) -> Batch:
    sources, targets = zip(*examples, strict=True)
    written = padded([ids[:-1] for ids in targets], length)
    return (padded(sources, length), written), padded([ids[1:] for ids in targets], length)
