"""Distances between sets of features, against their definitions; the networks that features come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apps.parts.gan_faces import distances
from shared import saved_models
from shared.errors import UserError
from shared.training.runtime import import_keras


def normal(n: int, d: int, seed: int, mean=0.0, scale=1.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, d)) * scale + mean).astype("float32")


# ------------------------------------------------------------------------------------------------------ measures


def test_frechet_of_normal_distributions_is_known():
    scales = np.array([1.0, 2.0, 0.5])
    a, b = normal(40_000, 3, 0), normal(40_000, 3, 1, mean=1.0, scale=scales)
    assert distances.frechet(a, b) == pytest.approx(3 + np.sum((scales - 1) ** 2), rel=0.03)
    assert distances.frechet(a, a) == pytest.approx(0, abs=1e-6)
    assert distances.frechet(a, b) == pytest.approx(distances.frechet(b, a), rel=1e-9)


def test_frechet_knows_correlation():
    a = normal(40_000, 2, 0)
    turn = np.array([[2.0, 0.0], [1.0, 1.0]])
    covariance = turn.T @ turn
    expected = np.trace(covariance) + 2 - 2 * np.sqrt(np.linalg.eigvals(covariance)).sum()
    assert distances.frechet(a, a @ turn) == pytest.approx(expected, rel=0.02)


def test_frechet_with_fewer_rows_than_columns_is_finite():
    assert np.isfinite(distances.frechet(normal(5, 30, 0), normal(9, 30, 1)))


def test_kernel_distance_equals_its_definition():
    a, b = normal(6, 4, 0), normal(5, 4, 1, mean=0.5)
    size = 5

    def kernel(x, y):
        return (float(x @ y) / 4 + 1) ** 3

    def slowly(a, b):
        within = [np.mean([kernel(x[i], x[j]) for i in range(size) for j in range(size) if i != j]) for x in (a, b)]
        return sum(within) - 2 * np.mean([kernel(x, y) for x in a for y in b])

    rng = np.random.default_rng(7)
    picks = [(a[rng.choice(6, 5, replace=False)], b[rng.choice(5, 5, replace=False)]) for _ in range(3)]
    values = [slowly(*pick) for pick in picks]
    mean, error = distances.kernel_distance(a, b, subsets=3, seed=7)
    assert mean == pytest.approx(np.mean(values), rel=1e-5)
    assert error == pytest.approx(np.std(values) / np.sqrt(3), rel=1e-4)


def test_kernel_distance_is_unbiased():
    small = [distances.kernel_distance(normal(20, 5, n), normal(20, 5, n + 500), subsets=1)[0] for n in range(150)]
    assert abs(np.mean(small)) < 4 * np.std(small) / np.sqrt(150)
    assert distances.kernel_distance(normal(500, 5, 1), normal(500, 5, 2, mean=0.5))[0] > 0.5


@pytest.mark.parametrize("measure", [distances.frechet, distances.kernel_distance])
def test_one_row_has_no_distribution(measure):
    with pytest.raises(ValueError, match="needs two rows or more"):
        measure(normal(1, 3, 0), normal(5, 3, 1))


def test_spread_is_the_mean_distance_of_two():
    assert distances.spread(np.float32([[0, 0], [3, 4], [6, 8]])) == pytest.approx((5 + 5 + 10) / 3)
    assert distances.spread(np.ones((4, 3), "float32")) == 0


def test_nearest_over_several_blocks():
    a, b = normal(1200, 6, 0), normal(700, 6, 1)
    index, how_far = distances.nearest(a, b)
    for i in (0, 599, 1199):
        far = np.linalg.norm(b - a[i], axis=1)
        assert (index[i], how_far[i]) == (far.argmin(), pytest.approx(far.min(), rel=1e-5))
    assert (distances.nearest(b[:9], b)[0] == np.arange(9)).all()


# ------------------------------------------------------------------------------------------------------ networks


def pictures(n: int, size: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), np.uint8)


@pytest.fixture
def classifier(tmp_path) -> Path:
    """A stand-in: RGB 0..255 (batch, 16, 16, 3) -> logits; its features are the mean colour."""
    keras = import_keras()
    x = pixels = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(x))
    saved_models.save(keras.Model(pixels, keras.layers.Dense(10)(x)), tmp_path / "classifier", {})
    return tmp_path / "classifier"


def test_a_classifiers_features_are_what_its_last_layer_sees(classifier):
    photos = np.repeat(np.repeat(pictures(130, 1), 8, axis=1), 8, axis=2)  # plain colours; more than two batches
    got = distances.classifier_features(classifier)(photos)
    assert (got.shape, got.dtype) == ((130, 3), np.float32)
    np.testing.assert_allclose(got, photos[:, 0, 0] / 255, atol=1e-5)


def test_what_is_not_a_classifier(tmp_path):
    keras = import_keras()
    saved_models.save(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()]), tmp_path / "other", {})
    with pytest.raises(UserError, match="does not end with a Dense layer"):
        distances.classifier_features(tmp_path / "other")
    with pytest.raises(UserError, match="there is no model nowhere"):
        distances.classifier_features("nowhere")


def test_random_features_are_the_same_ones_every_time():
    photos = pictures(5, 64)
    first, again = (distances.random_features()(photos) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (5, 4 * 4 * 64)
    assert distances.spread(first) > 0


def test_inception_is_not_fetched_unasked(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    keras = import_keras()

    def fetched(**options):
        raise AssertionError("a download began")

    monkeypatch.setattr(keras.applications, "InceptionV3", fetched)
    assert distances.inception_features() is None
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "No FID and KID" in said[0]
    monkeypatch.setattr(keras.applications, "InceptionV3", lambda **options: 1 / 0)
    assert distances.inception_features(download=True) is None
    assert "is not available (division by zero)" in capsys.readouterr().err
