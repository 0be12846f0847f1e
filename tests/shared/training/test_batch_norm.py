"""The fast batch normalisation learns what Keras' own does, and the network that is saved knows nothing of it."""

from __future__ import annotations

import numpy as np
import pytest

from shared.training.runtime import import_keras
from shared.training.steps import compile_step, value_and_grad
from tests.parity_worker import data


def network_of(dtype: str):
    keras = import_keras()
    pixels, options = keras.Input((6, 5, 2)), {"padding": "same", "use_bias": False, "dtype": dtype}
    x = keras.layers.Conv2D(4, 3, **options)(pixels)
    x = keras.layers.BatchNormalization(momentum=0.8, dtype=dtype, name="norm")(x)
    x = keras.layers.Flatten(dtype=dtype)(keras.layers.ReLU(dtype=dtype)(x))
    x = keras.layers.BatchNormalization(dtype=dtype)(keras.layers.Dense(3, use_bias=False, dtype=dtype)(x))
    return keras.Model(pixels, keras.layers.Dense(1, dtype="float32")(x))


def after(network) -> list[np.ndarray]:
    """Losses and gradients of three steps of SGD, then all weights, moving statistics among them."""
    keras = import_keras()
    optimizer, seen = keras.optimizers.SGD(0.1), []
    optimizer.build(network.trainable_variables)

    def update(x):
        def loss():
            return keras.ops.mean(keras.ops.square(network(x, training=True) - 1.0))

        value, gradients = value_and_grad(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        return {"loss": value} | {str(n): gradient for n, gradient in enumerate(gradients)}

    step = compile_step(update, network, optimizer)
    for n in range(3):
        seen += [np.asarray(value) for value in step(3 * data(8, 6, 5, 2, seed=n) + 1).values()]
    return [*seen, *network.get_weights(), np.asarray(network(data(2, 6, 5, 2), training=False))]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("mixed_bfloat16", 0.06)])
def test_it_learns_what_keras_own_does(dtype, tolerance):
    from shared.training.batch_norm import FusedBatchNormalization, fused

    theirs = network_of(dtype)
    ours = fused(theirs)
    assert isinstance(ours.get_layer("norm"), FusedBatchNormalization)
    for mine, other in zip(after(ours), after(theirs), strict=True):
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)


def test_the_network_that_was_given_stays_as_it_is_and_takes_the_weights(tmp_path):
    from shared.training.batch_norm import fused

    keras, given = import_keras(), network_of("float32")
    faster = fused(given)
    for mine, other in zip(faster.get_weights(), given.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)
    after(faster)
    given.set_weights(faster.get_weights())
    given.save(tmp_path / "model.keras")
    saved = keras.saving.load_model(tmp_path / "model.keras")
    assert type(saved.get_layer("norm")) is keras.layers.BatchNormalization
    x = data(2, 6, 5, 2)
    np.testing.assert_allclose(np.asarray(saved(x)), np.asarray(faster(x, training=False)), rtol=1e-5, atol=1e-6)


def test_frozen_it_keeps_its_statistics():
    from shared.training.batch_norm import FusedBatchNormalization

    layer, x = FusedBatchNormalization(), data(4, 3, 3, 2)
    layer.build(x.shape)
    layer.trainable = False
    layer(x, training=True)
    np.testing.assert_array_equal(np.asarray(layer.moving_mean), 0)
