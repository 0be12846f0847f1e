"""Shuffled batches: an epoch depends on the seed and its number alone."""

from __future__ import annotations

from itertools import islice

import numpy as np

from shared.data.batches import shuffled


def taken(steps: int, **options) -> list[tuple[list[int], float]]:
    return [(chosen.tolist(), rng.random()) for chosen, rng in islice(shuffled(**options), steps)]


def test_an_epoch_has_every_example_once_but_for_what_fills_no_batch():
    chosen = [chosen for chosen, _ in taken(6, count=10, batch=3, seed=1)]
    for epoch, parts in enumerate((chosen[:3], chosen[3:])):
        order = np.random.default_rng([1, epoch]).permutation(10)
        assert [n for part in parts for n in part] == order[:9].tolist()
    assert len(taken(4, count=6, batch=3, seed=1)[3][0]) == 3, "nothing is left over where batches divide them"


def test_beginning_at_an_epoch_equals_going_on_to_it():
    assert taken(7, count=10, batch=3, seed=5)[3:] == taken(4, count=10, batch=3, seed=5, epoch=1)
    assert taken(2, count=10, batch=3, seed=5) != taken(2, count=10, batch=3, seed=6)
