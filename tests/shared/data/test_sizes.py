"""Photos scaled and cropped: shared/data/sizes.py."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.data.sizes import crop_square, fit_within, random_crop, resize
from tests.shared.data.pictures import close, corners


def test_sizes():
    image = np.asarray(corners())
    assert resize(image, 24, 16).shape == (24, 16, 3)
    assert resize(image[..., 0], 10, 11).shape == (10, 11)
    assert resize(image, 48, 32) is image
    assert crop_square(image, 20).shape == (20, 20, 3)
    close(crop_square(image, 32), image[8:40])
    close(crop_square(image, 16, share=0.5), image[16:32, 8:24])
    close(crop_square(image, 28, share=7 / 8), image[10:38, 2:30])
    assert crop_square(image, 9, share=1e-6).shape == (9, 9, 3)
    assert fit_within(image, 24).shape == (24, 16, 3)
    assert fit_within(image, 400) is image
    assert fit_within(np.zeros((1000, 1, 3), np.uint8), 10).shape == (10, 1, 3)


@given(size=st.tuples(st.integers(1, 300), st.integers(1, 300)), side=st.integers(1, 64))
@settings(max_examples=60, deadline=None)
def test_sizes_of_any_picture(size, side):
    image = np.zeros((*size, 3), np.uint8)
    assert crop_square(image, side).shape == (side, side, 3)
    height, width, _ = fit_within(image, side).shape
    assert max(height, width) == min(side, max(size))
    assert min(height, width) >= 1


@given(size=st.tuples(st.integers(1, 80), st.integers(1, 80)), smallest=st.floats(0.01, 1), seed=st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_a_random_crop_is_a_part_of_the_picture(size, smallest, seed):
    image = np.arange(np.prod(size)).reshape(size)[..., None]
    crop = random_crop(image, smallest, np.random.default_rng(seed))
    height, width = crop.shape[:2]
    assert 1 <= height <= size[0]
    assert 1 <= width <= size[1]
    mirrored = crop[:, ::-1]
    upright = crop if crop[0, 0] <= mirrored[0, 0] else mirrored
    top, left = divmod(int(upright[0, 0, 0]), size[1])
    np.testing.assert_array_equal(upright, image[top : top + height, left : left + width])


def test_random_crops_have_the_area_asked_for_and_half_are_mirrored():
    rng, image = np.random.default_rng(0), np.tile(np.arange(200), (200, 1))[..., None]
    crops = [random_crop(image, 0.3, rng) for _ in range(400)]
    areas = np.array([crop.shape[0] * crop.shape[1] / 40_000 for crop in crops])
    ratios = np.array([crop.shape[1] / crop.shape[0] for crop in crops])
    assert 0.28 < areas.min() < 0.35
    assert areas.max() > 0.9
    assert 0.74 < ratios.min() < 0.8
    assert 1.25 < ratios.max() < 1.35
    assert 0.4 < np.mean([crop[0, 0, 0] > crop[0, -1, 0] for crop in crops]) < 0.6


def test_a_random_crop_is_mirrored_only_if_it_may_be():
    rng, image = np.random.default_rng(0), np.tile(np.arange(50), (50, 1))[..., None]
    crops = [random_crop(image, 0.3, rng, mirror=False) for _ in range(50)]
    assert all(crop[0, 0] < crop[0, -1] for crop in crops)
