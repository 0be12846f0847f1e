"""The panel: text and bars that fit, and say by length and colour what the numbers say."""

from __future__ import annotations

import numpy as np
import pytest

from shared.drawing.bars import BACKGROUND, BAR, CHOSEN, bar_panel

HEADING = (("SCORE", "401"), ("TIME", "12 s"))


def panel(values, labels=None, *, size=(200, 420), limits=(0.0, 1.0), chosen=0) -> np.ndarray:
    labels = labels or [f"ACTION {i}" for i in range(len(values))]
    return bar_panel(size, HEADING, labels, values, limits, chosen, "Q-values")


def lengths(picture: np.ndarray, colour: tuple[int, int, int]) -> list[int]:
    """The length of each bar of this colour, from the top: bars are apart, and letters on them are another colour."""
    rows = [np.flatnonzero(row) for row in (picture == colour).all(axis=-1)]
    spans = [int(row[-1] - row[0]) + 1 if len(row) else 0 for row in rows]
    starts = [y for y in range(1, len(spans)) if spans[y] and not spans[y - 1]]
    return [max(spans[y : y + 4]) for y in starts]


def test_size_and_type():
    picture = panel([0.1, 0.9])
    assert (picture.shape, picture.dtype) == ((420, 200, 3), np.uint8)
    assert (picture[0] == BACKGROUND).all()


def test_a_longer_bar_is_a_larger_value_and_the_chosen_one_stands_out():
    picture = panel(np.float32([0.25, 0.5, 1.0]), chosen=1)
    low, high = lengths(picture, BAR)
    (middle,) = lengths(picture, CHOSEN)
    assert high == pytest.approx(2 * middle, abs=2)
    assert high == pytest.approx(4 * low, abs=3)


def test_values_beyond_the_limits_stay_inside_the_panel():
    within, beyond = panel([0.0, 1.0]), panel([-7.0, 50.0])
    assert lengths(within, BAR) == lengths(beyond, BAR)
    assert lengths(within, CHOSEN) == lengths(beyond, CHOSEN)
    assert (beyond[:, -8:] == BACKGROUND).all()


def test_equal_limits_are_no_division_by_zero():
    assert len(lengths(panel([3.0, 3.0], limits=(3.0, 3.0)), BAR)) == 1


@pytest.mark.parametrize("actions", [1, 4, 6, 18])
def test_every_action_set_of_atari_has_room(actions):
    labels = [f"DOWNRIGHTFIRE{i}" for i in range(actions)]
    picture = panel(np.linspace(0.5, 1, actions), labels, chosen=0)
    assert len(lengths(picture, BAR)) == actions - 1
    assert len(lengths(picture, CHOSEN)) == 1
    assert (picture[-8:] == BACKGROUND).all()


def test_the_heading_is_drawn():
    with_heading = panel([1.0])
    without = bar_panel((200, 420), (), ["ACTION 0"], [1.0], (0.0, 1.0), 0, "Q-values")
    assert (with_heading[:120] != without[:120]).any()
    assert (with_heading[-60:] == without[-60:]).all()


def test_labels_and_values_must_match():
    with pytest.raises(ValueError, match="shorter"):
        panel([1.0], ["one", "two"])
