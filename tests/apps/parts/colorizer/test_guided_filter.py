"""Joining small chroma to a large photo along its edges, and hints."""

import numpy as np
import pytest

from apps.parts.colorizer import guided_filter, lab
from apps.parts.colorizer.guided_filter import Chroma, Hint
from shared.data.sizes import resize
from shared.errors import UserError


def halves(height: int, width: int) -> np.ndarray:
    """A red half, dark, and a blue half, bright, uint8 (height, width, 3)."""
    photo = np.empty((height, width, 3), np.uint8)
    photo[:, : width // 2], photo[:, width // 2 :] = (120, 40, 40), (120, 160, 230)
    return photo


def looked_at(photo: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The photo's own L and ab, small."""
    L, ab = lab.from_rgb(resize(photo, height, width))
    return L, np.stack(ab, -1)


def error(photo: np.ndarray, painted: np.ndarray) -> float:
    """Mean distance in ab."""
    (a, b), (c, d) = lab.from_rgb(photo)[1], lab.from_rgb(painted)[1]
    return float(np.hypot(a - c, b - d).mean())


def test_colours_end_at_the_photos_edges():
    photo = halves(288, 384)
    L, ab = looked_at(photo, 36, 48)
    joined = guided_filter.apply_chroma(photo, Chroma.along_edges(L, ab))
    blurred = guided_filter.apply_chroma(
        photo, Chroma(np.zeros((2, 36, 48), np.float32), np.moveaxis(ab, -1, 0).copy(), (36, 48))
    )
    assert error(photo, joined) < 0.7 * error(photo, blurred)
    assert error(photo, joined) < 1
    np.testing.assert_allclose(lab.lightness(joined), lab.lightness(photo), atol=1)


def test_only_what_the_photo_fills_counts():
    rng = np.random.default_rng(0)
    L, ab, photo = rng.uniform(0, 100, (24, 24)), rng.normal(0, 9, (24, 24, 2)), halves(40, 30)
    ab[20:], ab[:, 15:] = 99, 99
    part = guided_filter.apply_chroma(photo, Chroma.along_edges(L, ab, (16.0, 12.0)))
    ab[20:], ab[:, 15:] = -99, 0
    np.testing.assert_array_equal(guided_filter.apply_chroma(photo, Chroma.along_edges(L, ab, (16.0, 12.0))), part)


def test_even_chroma_stays_even_whatever_the_guide():
    L = np.random.default_rng(0).uniform(0, 100, (30, 40)).astype(np.float32)
    lines = Chroma.along_edges(L, np.broadcast_to(np.float32([12, -7]), (30, 40, 2)))
    a, b = lines.rows(L, 0, 30)
    np.testing.assert_allclose(a, 12, atol=0.01)
    np.testing.assert_allclose(b, -7, atol=0.01)


@pytest.mark.parametrize("shape", [(33, 70), (70, 33), (1, 9), (9, 1), (300, 200)])
def test_strips_do_not_show(monkeypatch, shape):
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (*shape, 3), np.uint8)
    lines = Chroma.along_edges(rng.uniform(0, 100, (24, 24)), rng.normal(0, 30, (24, 24, 2)))
    whole = guided_filter.apply_chroma(photo, lines)
    monkeypatch.setattr(guided_filter, "STRIP", 5 * shape[1])
    assert np.abs(guided_filter.apply_chroma(photo, lines).astype(int) - whole).max() <= 1


def test_gain_multiplies_the_chroma():
    L = np.random.default_rng(0).uniform(0, 100, (20, 20)).astype(np.float32)
    lines = Chroma.along_edges(L, np.dstack([L, 30 - L]))
    np.testing.assert_allclose((lines * 0.5).rows(L, 0, 20), 0.5 * lines.rows(L, 0, 20), atol=1e-4)


# ----------------------------------------------------------------------------------------------------------- Hints


def square(photo: np.ndarray, side: int = 64) -> np.ndarray:
    """The lightness of a photo as a network sees it."""
    return lab.lightness(resize(photo, side, side))


def nothing(side: int = 16) -> Chroma:
    """No colour at all."""
    return Chroma(*np.zeros((2, 2, side, side), np.float32), (side, side))


def ab_at(lines: Chroma, photo: np.ndarray, x: int, y: int) -> np.ndarray:
    return lines.rows(lab.lightness(photo), 0, len(photo))[:, y, x]


def test_hints_hold_where_they_are_even_close_together():
    photo = np.random.default_rng(0).integers(60, 200, (60, 90, 1), np.uint8).repeat(3, -1)
    hints = [Hint(10, 10, (200, 60, 60)), Hint(14, 12, (60, 60, 200)), Hint(89, 59, (60, 160, 60))]
    lines = guided_filter.with_hints(nothing(), square(photo), photo, hints)
    for hint in hints:
        wanted = np.ravel(lab.from_rgb(np.uint8([hint.rgb]))[1])
        np.testing.assert_allclose(ab_at(lines, photo, hint.x, hint.y), wanted, atol=0.5)


def test_a_hint_spreads_over_its_surface_and_stops_at_the_edge():
    photo = halves(160, 160)
    lines = guided_filter.with_hints(nothing(), square(photo), photo, [Hint(20, 80, (200, 60, 60))])
    own, far, beyond = (np.hypot(*ab_at(lines, photo, x, y)) for x, y in ((20, 80), (60, 60), (100, 80)))
    assert far > 0.25 * own
    assert beyond < 0.05 * own
    np.testing.assert_array_equal(guided_filter.with_hints(lines, square(photo), photo, []).offset, lines.offset)


def test_the_same_hint_twice_is_one():
    photo, hint = halves(40, 40), Hint(5, 5, (200, 60, 60))
    once, twice = (guided_filter.with_hints(nothing(), square(photo), photo, hints) for hints in ([hint], [hint, hint]))
    np.testing.assert_allclose(once.offset, twice.offset, atol=1e-3)


def test_hints_are_read():
    photo = np.zeros((20, 30, 3), np.uint8)
    assert Hint.parse("29, 19, #0a14ff", photo) == Hint(29, 19, (10, 20, 255))
    assert Hint.parse("0,0,FFFFFF", photo).rgb == (255, 255, 255)
    for text in ("1,2", "1,2,#fff", "a,b,#ffffff", "1;2;#ffffff", "1,2,#ffffff0", ""):
        with pytest.raises(UserError, match="is not x,y,#rrggbb"):
            Hint.parse(text, photo)
    for text in ("30,0,#ffffff", "0,20,#ffffff", "-1,0,#ffffff"):
        with pytest.raises(UserError, match="outside the photo, which is 30 x 20"):
            Hint.parse(text, photo)
