"""The network that is trained further, and the random crops that it learns from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shared import saved_models
from shared.classifiers import fine_tuning
from shared.data.photo_sets import PhotosInMemory
from shared.training.runtime import import_keras


def test_the_network_is_mobilenet_with_the_preprocessing_inside(tmp_path):
    keras = import_keras()
    published = keras.applications.MobileNetV2((96, 96, 3), weights=None, classifier_activation=None)
    *features, kernel, bias = published.get_weights()
    whole = fine_tuning.photo_network(96, [*features, kernel, bias])
    few = fine_tuning.photo_network(96, [*features, kernel[:, [7, 999]], bias[[7, 999]]])
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), np.uint8)
    theirs, ours = np.asarray(published(pixels / np.float32(127.5) - 1)), np.asarray(whole(pixels))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_allclose(np.asarray(few(pixels)), theirs[:, [7, 999]], atol=1e-4)
    np.testing.assert_array_equal(np.asarray(whole(pixels.astype("float32"))), ours)
    assert all(type(layer).__module__.startswith("keras.") for layer in whole.layers), "nobody needs this repository"
    assert saved_models.save(whole, tmp_path / "whole", {}).stat().st_size < 7.9 * 2**20
    assert saved_models.save(few, tmp_path / "few", {}).stat().st_size < 4.9 * 2**20


def ramps(count: int) -> PhotosInMemory:
    """Photos that are bright on one side, so that a crop's mean colour tells which it was; the blue is the label."""
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    images = [
        np.stack([np.tile(ramp, (64, 1)), np.tile(ramp[:, None], 64), np.full((64, 64), n)], -1) for n in range(count)
    ]
    return PhotosInMemory(tuple(image.astype(np.uint8) for image in images), np.arange(count, dtype=np.int32), ())


def settings(**given) -> fine_tuning.FineTuning:
    return fine_tuning.FineTuning(run=Path("run"), batch=8, **given)


def test_a_crop_is_the_same_in_each_size():
    (small, large), _ = next(fine_tuning.crops(ramps(20), [32, 40], settings(scale=0.3), epoch=0))
    assert (small.shape, small.dtype, large.shape) == ((8, 32, 32, 3), np.uint8, (8, 40, 40, 3))
    np.testing.assert_allclose(small.mean((1, 2)), large.mean((1, 2)), atol=1)
    assert np.ptp(small.mean((1, 2))[:, 0]) > 10, "the crops differ"


def test_an_epoch_depends_on_its_number_alone_and_misses_nothing():
    config, photos = settings(seed=5), ramps(20)
    batches = fine_tuning.crops(photos, [32], config, epoch=0)
    epochs = [[next(batches) for _ in range(2)] for _ in range(2)]
    labels = [np.concatenate([labels for _, labels in epoch]) for epoch in epochs]
    assert all(len(set(seen)) == 16 for seen in labels)
    assert (labels[0] != labels[1]).any()
    (seen,), labels = next(fine_tuning.crops(photos, [32], config, epoch=1))
    np.testing.assert_array_equal(seen, epochs[1][0][0][0])
    np.testing.assert_array_equal(seen[:, 0, 0, 2], labels)
