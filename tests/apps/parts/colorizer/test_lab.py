"""CIELAB against scikit-image's, and the edge of what a screen can show."""

import numpy as np
import pytest
from skimage import color

from apps.parts.colorizer import lab


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    corners = np.stack(np.meshgrid(*[np.uint8([0, 1, 9, 10, 11, 128, 254, 255])] * 3), -1).reshape(-1, 3)
    return np.concatenate([corners, np.random.default_rng(0).integers(0, 256, (5000, 3), np.uint8)])


def test_numbers_are_scikit_images(pixels):
    expected = color.rgb2lab(pixels)
    L, ab = lab.from_rgb(pixels)
    np.testing.assert_allclose(np.stack([L, *ab], -1), expected, atol=0.01)
    np.testing.assert_array_equal(lab.lightness(pixels), L)
    assert {x.dtype for x in (L, *ab)} == {np.dtype(np.float32)}


def test_there_and_back_is_where_it_was(pixels):
    np.testing.assert_array_equal(lab.to_rgb(*lab.from_rgb(pixels)), pixels)


def test_back_is_scikit_images_within_a_grey_level():
    rng = np.random.default_rng(1)
    L = rng.uniform(20, 80, 2000).astype(np.float32)
    ab = tuple(rng.uniform(-20, 20, (2, 2000)).astype(np.float32))
    expected = 255 * color.lab2rgb(np.stack([L, *ab], -1))
    assert np.abs(lab.to_rgb(L, ab) - expected).max() < 1


def test_gamut_keeps_lightness_and_hue_of_any_chroma():
    rng = np.random.default_rng(2)
    L = rng.uniform(0, 100, (200, 200)).astype(np.float32)
    ab = tuple(rng.uniform(-110, 110, (2, 200, 200)).astype(np.float32))
    a, b = lab.within_gamut(L, ab)
    change = np.abs(lab.lightness(lab.to_rgb(L, (a, b))) - L)
    assert np.percentile(change, 99) < 0.5
    assert change.max() < 1
    np.testing.assert_allclose(a * ab[1], b * ab[0], atol=0.05)
    assert (np.abs(lab.lightness(lab.to_rgb(L, ab)) - L) > 1).mean() > 0.2, "clipping alone would not do"


def test_gamut_leaves_what_a_screen_can_show(pixels):
    L, ab = lab.from_rgb(pixels)
    np.testing.assert_array_equal(lab.to_rgb(L, lab.within_gamut(L, ab)), pixels)


def test_reachable_are_the_squares_with_a_colour_in_them(pixels):
    ab = np.stack(lab.from_rgb(pixels)[1], -1)
    assert lab.reachable(ab, 2.0).all()
    assert not lab.reachable(np.array([[-110, -110], [110, 110], [-100, 0]]), 5.0).any()
    assert lab.reachable(np.array([[0, 0]]), 5.0).all()


@pytest.mark.parametrize(
    ("colours", "grey"),
    [
        ([(90, 90, 90)], True),
        ([(91, 90, 89)], True),
        ([(130, 90, 60)], False),
        ([(90, 90, 90)] * 99 + [(200, 0, 0)], True),
        ([(90, 90, 90)] * 9 + [(200, 0, 0)], False),
    ],
)
def test_a_photo_is_grey_if_next_to_nothing_is_coloured(colours, grey):
    picture = np.uint8(np.broadcast_to(np.uint8(colours)[:, None], (len(colours), 50, 3)))
    assert lab.is_grey(picture) == grey
