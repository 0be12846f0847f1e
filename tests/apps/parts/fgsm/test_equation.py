"""The picture of an attack: its three terms are there, whole, with what the network says of them."""

from __future__ import annotations

import numpy as np

from apps.parts.fgsm.equation import GAP, HEAD, MARGIN, SIDE, Term, draw_equation, percent
from shared.drawing.bars import BACKGROUND, CHOSEN

GUESSES = [("espresso", 0.839), ("consomme", 0.034), ("eggnog", 0.007)]


def terms(side: int = SIDE) -> list[Term]:
    pictures = np.random.default_rng(0).integers(0, 256, (3, side, side, 3)).astype(np.uint8)
    return [Term("a title", picture, GUESSES, grainy=True) for picture in pictures]


def shows(sheet: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((sheet == colour).all(axis=-1).any())


def test_pictures_stand_side_by_side_unchanged():
    three = terms()
    sheet = draw_equation(three, ("+ .008 x", "="), "a note")
    for n, term in enumerate(three):
        left, top = MARGIN + n * (SIDE + GAP), MARGIN + HEAD
        np.testing.assert_array_equal(sheet[top : top + SIDE, left : left + SIDE], term.picture)
    between = sheet[MARGIN + HEAD : MARGIN + HEAD + SIDE, MARGIN + SIDE : MARGIN + SIDE + GAP]
    assert (between != BACKGROUND).any(), "the sign"
    assert (between[:, :4] == BACKGROUND).all(), "which touches neither picture"
    assert (between[:, -4:] == BACKGROUND).all()


def test_small_and_large_pictures_fill_their_place():
    assert draw_equation(terms(1), ("+", "="), "").shape == draw_equation(terms(900), ("+", "="), "").shape


def test_only_success_stands_out():
    plain = [Term("", np.zeros((8, 8, 3), np.uint8), GUESSES) for _ in range(3)]
    assert shows(draw_equation(plain, ("+", "="), "", proud=True), CHOSEN)
    assert not shows(draw_equation(plain, ("+", "="), "", proud=False), CHOSEN)


def test_long_names_stay_in_their_place():
    long = [Term("t" * 200, np.zeros((8, 8, 3), np.uint8), [("a very long name " * 9, 1.0)]) for _ in range(3)]
    sheet = draw_equation(long, ("+ .1234567 x", "="), "note " * 100)
    assert (sheet[:, : MARGIN - 4] == BACKGROUND).all()
    assert (sheet[:, MARGIN + SIDE + 2 : MARGIN + SIDE + 6] == BACKGROUND).all(axis=-1)[:-80].all()


def test_percent():
    assert [percent(share) for share in (0.577, 1.0, 0.00012)] == ["57.7 %", "100.0 %", "0.0 %"]
