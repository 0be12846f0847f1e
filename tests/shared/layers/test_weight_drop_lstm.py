"""The layer is an LSTM, gradient and all, that drops weights and forgets in training only."""

from __future__ import annotations

import numpy as np
import pytest

from shared.training.runtime import import_keras
from tests.parity_worker import data


@pytest.fixture(scope="module")
def layer_class():
    import_keras()
    from shared.layers.weight_drop_lstm import WeightDropLSTM

    return WeightDropLSTM


@pytest.mark.slow
def test_value_and_gradients_are_those_of_keras_lstm(here):
    outcome = here("weight_drop_lstm")
    assert len(outcome["ours"]) == 1 + 3 + 3, "the loss; kernel, recurrent kernel, bias; inputs, two states"
    for ours, keras in zip(outcome["ours"], outcome["keras"], strict=True):
        np.testing.assert_allclose(ours, keras, rtol=1e-4, atol=1e-5)


def test_its_weights_are_an_lstms(layer_class):
    keras, x = import_keras(), data(2, 9, 3)
    ours, theirs = layer_class(5, weight_dropout=0.5, forget=0.5, return_sequences=True), keras.layers.LSTM(5)
    outputs, _ = ours(x), theirs(x)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(np.asarray(outputs)[:, -1], np.asarray(theirs(x)), atol=1e-6)


def test_weights_are_dropped_in_training_for_all_steps_alike(layer_class):
    layer, x = layer_class(64, weight_dropout=0.5, return_sequences=True, seed=3), np.zeros((2, 2, 1), "float32")
    layer.build(x.shape)
    kernel, recurrent, bias = layer.trainable_variables
    recurrent.assign(np.full(recurrent.shape, 1e-3))
    bias.assign(np.repeat([0.0, 0.0, 1.0, 0.0], 64))  # so that there is a hidden state to see
    first, second = (np.asarray(layer(x, training=True)) for _ in range(2))
    np.testing.assert_array_equal(first[0], first[1])  # the same weights for the whole batch
    assert np.abs(first - second).max() > 1e-6, "and others in the next call"
    steady = np.asarray(layer(x))
    np.testing.assert_allclose(first.mean(), steady.mean(), rtol=0.01)  # what is left is scaled up
    np.testing.assert_array_equal(np.asarray(layer_class.from_config(layer.get_config()).weight_dropout), 0.5)
    assert kernel.shape == (1, 256)


def test_states_last_between_batches_and_are_forgotten_together(layer_class):
    keras = import_keras()
    sequence = keras.Input(batch_shape=(200, 3, 2))
    options = {"stateful": True, "return_sequences": True, "forget": 0.3, "seed": 7}
    layers = [layer_class(4, **options), layer_class(4, **options)]
    model = keras.Sequential([sequence, *layers])
    x = np.broadcast_to(data(1, 3, 2), (200, 3, 2))
    model(x, training=True)
    before = np.asarray(model(np.zeros_like(x), training=True))[:, 0]  # differs by what was remembered
    rounded = {tuple(row) for row in before.round(5).tolist()}
    assert len(rounded) == 2, "all of the memory or none, in both layers"
    remembered = (np.abs(before - before[0]).max(axis=-1) < 1e-5).mean()
    assert 0.15 < min(remembered, 1 - remembered) < 0.45
    assert len([v for v in model.variables if v.path.endswith("rnn_state")]) == 4, "checkpoints hold the states"
    layers[0].reset_state()
    assert not np.asarray(layers[0].kept_states[0]).any()


def test_it_is_saved_and_loaded(layer_class, tmp_path):
    keras = import_keras()
    layer = layer_class(4, weight_dropout=0.25, forget=0.1, seed=5, return_sequences=True)
    model = keras.Sequential([keras.Input((None, 3)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_config() == layer.get_config()
    np.testing.assert_array_equal(np.asarray(loaded(data(2, 6, 3))), np.asarray(model(data(2, 6, 3))))


def test_in_bfloat16_it_stays_close(layer_class):
    x = data(4, 30, 8)
    full, half = layer_class(16), layer_class(16, dtype="mixed_bfloat16")
    full(x), half(x)
    half.set_weights(full.get_weights())
    np.testing.assert_allclose(np.asarray(half(x), "float32"), np.asarray(full(x)), atol=0.02)


@pytest.mark.parametrize(
    "options",
    [
        {"weight_dropout": 1.0},
        {"weight_dropout": -0.1},
        {"forget": 1.5},
        {"dropout": 0.1},
        {"recurrent_dropout": 0.1},
        {"activation": "relu"},
        {"go_backwards": True},
        {"unroll": True},
        {"use_bias": False},
    ],
)
def test_what_it_cannot_do_it_refuses(layer_class, options):
    with pytest.raises(ValueError, match=r"weight_dropout|WeightDropLSTM takes no"):
        layer_class(4, **options)


def test_masks_are_refused(layer_class):
    with pytest.raises(ValueError, match="does not support masks"):
        layer_class(4)(data(1, 3, 2), mask=np.ones((1, 3), bool))
