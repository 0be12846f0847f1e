"""Latents: the images they give, in batches, the path between them, and their sums."""

from __future__ import annotations

import numpy as np
import pytest

from apps.parts.gan_faces.generators import interpolation, latent_sum, sampler
from shared.training.runtime import import_keras


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_more_than_a_batch_is_generated():
    keras = import_keras()
    shape = keras.layers.Reshape((1, 1, 3))
    plain_colours = keras.Sequential([keras.Input((3,)), keras.layers.Activation("sigmoid"), shape])
    latents = normal(130, 3)
    images = sampler(plain_colours)(latents)
    assert (images.shape, images.dtype) == ((130, 1, 1, 3), np.uint8)
    np.testing.assert_allclose(images[:, 0, 0], 255 / (1 + np.exp(-latents)), atol=0.51)


def test_a_path_goes_through_all_latents_at_their_distance():
    latents = normal(3, 128)
    path = interpolation(latents, 10)
    assert path.shape == (30, 128)
    np.testing.assert_allclose(path[::10], latents, atol=1e-5)
    steps = np.linalg.norm(path - np.roll(path, 1, axis=0), axis=1)
    assert steps.max() < 1.5 * steps.min(), "the last step, back to the first, too"
    assert np.linalg.norm(path, axis=1).min() > 0.9 * np.linalg.norm(latents, axis=1).min()


def test_a_path_of_equal_latents_or_of_zeros():
    np.testing.assert_allclose(interpolation(np.ones((2, 4)), 3), 1, atol=1e-5)
    np.testing.assert_array_equal(interpolation(np.zeros((2, 4)), 3), 0)


def test_a_sum_is_as_long_as_its_terms_are():
    latents = normal(3, 128)
    lengths = np.linalg.norm(latents, axis=1)
    np.testing.assert_allclose(latent_sum(latents[:1], [1]), latents[:1])
    total = latent_sum(latents, [1, 1, -1])
    assert total.shape == (1, 128)
    assert np.linalg.norm(total) == pytest.approx(lengths.mean())
    direction = latents[0] + latents[1] - latents[2]
    np.testing.assert_allclose(total[0] / np.linalg.norm(total), direction / np.linalg.norm(direction))
    np.testing.assert_array_equal(latent_sum(latents[[0, 0]], [1, -1]), 0)
