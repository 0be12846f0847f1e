"""Prefetched batches are the same batches, no more of them, and no later."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from shared.data.prefetch import prefetch


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_the_same_items_in_the_same_order(count):
    rng, other = np.random.default_rng(1), np.random.default_rng(1)
    expected = [rng.random() for _ in range(count)]
    assert list(prefetch(other.random() for _ in range(count))) == expected
    assert rng.bit_generator.state == other.bit_generator.state, "not one item too many"


def test_the_next_item_is_made_while_one_is_in_use():
    made = threading.Event()

    def items():
        yield "first"
        made.set()
        yield "second"

    for item in prefetch(items()):
        assert made.wait(timeout=10), item


def test_an_item_is_none_like_any_other():
    assert list(prefetch([None, 0, None])) == [None, 0, None]


def test_what_goes_wrong_in_the_other_thread_is_raised_in_its_place():
    def items():
        yield 1
        raise RuntimeError("no second")

    made = prefetch(items())
    assert next(made) == 1
    with pytest.raises(RuntimeError, match="no second"):
        next(made)


def test_a_reader_who_leaves_early_leaves_no_thread_behind():
    before = threading.active_count()
    made = prefetch(iter(range(100)))
    next(made)
    del made
    assert threading.active_count() == before


def test_the_time_that_items_take_is_counted():
    def slow():
        for n in range(3):
            time.sleep(0.1)
            yield n

    made = prefetch(slow())
    assert list(made) == [0, 1, 2]
    assert 0.3 <= made.made_s < 2


def test_waiting_for_whoever_uses_the_items_is_not_counted():
    made = prefetch(range(4))
    for _ in made:
        time.sleep(0.2)
    assert made.made_s < 0.4
