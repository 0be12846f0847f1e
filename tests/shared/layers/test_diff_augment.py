"""What the critic sees: shifted, partly cut out and recoloured, by known instead of random numbers."""

from __future__ import annotations

import numpy as np
import pytest

from shared.layers.diff_augment import UNIFORMS, augment
from shared.training.runtime import import_keras

STILL, AWAY = 0.5, 0.0  # shifts by nothing; leaves a quarter of the cut-out inside


@pytest.fixture(scope="module", autouse=True)
def keras():
    return import_keras()


def images(n: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, 16, 16, 3)).astype("float32")


def augmented(policy, *numbers):
    uniforms = np.float32([[*numbers, *[0.5] * (UNIFORMS - len(numbers))]])
    return np.asarray(augment(images(), uniforms, policy))


def test_nothing_changes_without_augmentation():
    np.testing.assert_array_equal(augmented("none", 0.1, 0.9, 0.3, 0.3), images())


@pytest.mark.parametrize(("numbers", "shift"), [((0.0, 0.5), (2, 0)), ((0.99, 0.5), (-2, 0)), ((0.5, 0.99), (0, -2))])
def test_a_shift_moves_zeros_in(numbers, shift):
    left_out = 16 + 4  # pixels of zeros around
    expected = np.pad(images(), ((0, 0), (left_out, left_out), (left_out, left_out), (0, 0)))
    expected = np.roll(expected, shift, (1, 2))[:, left_out:-left_out, left_out:-left_out]
    got = augmented("geometry", *numbers, AWAY, AWAY)
    np.testing.assert_allclose(got[:, 4:, 4:], expected[:, 4:, 4:], atol=1e-6)
    np.testing.assert_array_equal(got[:, :4, :4], 0, err_msg="the visible quarter of the cut-out")


def test_the_cut_out_is_half_of_the_side():
    got = augmented("geometry", STILL, STILL, 0.5, 0.5)
    hidden = np.zeros((16, 16), bool)
    hidden[4:12, 4:12] = True
    np.testing.assert_array_equal(got[0][hidden], 0)
    np.testing.assert_allclose(got[0][~hidden], images()[0][~hidden], atol=1e-6)


def test_colours_change_only_when_asked():
    plain = augmented("geometry", STILL, STILL, AWAY, AWAY, 0.9, 0.1, 0.9)
    np.testing.assert_allclose(plain, augmented("all", STILL, STILL, AWAY, AWAY, 0.5, 0.5, 0.5), atol=1e-5)
    brighter = augmented("all", STILL, STILL, AWAY, AWAY, 0.75, 0.5, 0.5)
    np.testing.assert_allclose((brighter - plain)[:, 5:, 5:], 0.25, atol=1e-5)
    grey = augmented("all", STILL, STILL, AWAY, AWAY, 0.5, 0.0, 0.5)
    np.testing.assert_allclose(grey.std(axis=-1), 0, atol=1e-5)
    flatter = augmented("all", STILL, STILL, AWAY, AWAY, 0.5, 0.5, 0.0)[:, 5:, 5:]
    assert flatter.std() == pytest.approx(plain[:, 5:, 5:].std() / 2, rel=0.01)


def test_each_image_has_numbers_of_its_own():
    uniforms = np.full((2, UNIFORMS), 0.5, np.float32)
    uniforms[1, :2] = 0.0
    got = np.asarray(augment(images(2), uniforms, "geometry"))
    np.testing.assert_allclose(got[0, :4], images(2)[0, :4], atol=1e-6)
    np.testing.assert_allclose(got[1, 2:4, 2:], images(2)[1, :2, :-2], atol=1e-6)


def test_a_gradient_comes_through():
    from keras import ops

    from shared.training.steps import input_gradient

    uniforms = np.full((1, UNIFORMS), 0.5, np.float32)
    _, gradient = input_gradient(lambda x: ops.sum(augment(x, uniforms, "geometry")), images())
    gradient = np.asarray(gradient)[0, :, :, 0]
    assert gradient[0, 0] == 1
    assert gradient[8, 8] == 0
