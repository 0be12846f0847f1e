"""The LSTM with a window: its equations in NumPy, its steps, and that it learns where it is in a text."""

import keras
import numpy as np
from keras import ops

from shared.layers.window_lstm import WindowLSTM


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(layer, sequences, text):
    """Graves 2013, equations 46 to 51, one step after the other."""
    kernel, recurrent, window_kernel, bias, gaussian_kernel, gaussian_bias = layer.get_weights()
    batch, _, _ = sequences.shape
    hidden, carry = np.zeros((batch, layer.units)), np.zeros((batch, layer.units))
    kappa, window = np.zeros((batch, layer.gaussians)), np.zeros((batch, text.shape[-1]))
    hiddens, windows = [], []
    for x in sequences.transpose(1, 0, 2):
        i, f, g, o = np.split(x @ kernel + bias + hidden @ recurrent + window @ window_kernel, 4, axis=-1)
        carry = sigmoid(f) * carry + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(carry)
        alpha, beta, moved = np.split(np.exp(hidden @ gaussian_kernel + gaussian_bias), 3, axis=-1)
        kappa = kappa + moved
        phi = np.zeros((batch, text.shape[1]))
        for u in range(text.shape[1]):
            phi[:, u] = (alpha * np.exp(-beta * (kappa - u) ** 2)).sum(axis=-1)
        window = np.einsum("bu,bus->bs", phi, text)
        hiddens.append(hidden)
        windows.append(window)
    return np.stack(hiddens, 1), np.stack(windows, 1)


def test_it_computes_the_papers_equations():
    rng = np.random.default_rng(0)
    sequences = rng.normal(size=(2, 7, 3)).astype("float32")
    text = np.eye(5, dtype="float32")[rng.integers(5, size=(2, 6))]
    layer = WindowLSTM(8, gaussians=3)
    found = layer([sequences, text])
    layer.set_weights([value + rng.normal(scale=0.3, size=value.shape) for value in layer.get_weights()])
    found = layer([sequences, text])
    for ours, theirs in zip(found, reference(layer, sequences, text), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(ours), theirs, atol=2e-5)


def test_its_steps_are_the_whole():
    rng = np.random.default_rng(1)
    sequences = rng.normal(size=(1, 5, 3)).astype("float32")
    text = np.eye(4, dtype="float32")[[[0, 2, 1]]]
    layer = WindowLSTM(6, gaussians=2)
    hidden, windows = layer([sequences, text])
    states = layer.first_states(1, 4)
    for n in range(5):
        states, phi = layer.step(states, layer.driven(sequences[:, n]), text, layer.recurrent_weights())
        np.testing.assert_allclose(states[0], hidden[:, n], atol=1e-6)
        np.testing.assert_allclose(states[3], windows[:, n], atol=1e-6)
        np.testing.assert_allclose(states[3], ops.einsum("bu,bus->bs", phi, text), atol=1e-6)


def test_it_learns_to_spell():
    """Each symbol of a text is to be told for three steps: only the window says which one it is."""
    rng = np.random.default_rng(2)
    keras.utils.set_random_seed(0)
    letters = rng.integers(4, size=(128, 5))
    text, wanted = np.eye(4, dtype="float32")[letters], np.repeat(letters, 3, axis=1)
    steps, symbols = keras.Input((None, 1)), keras.Input((None, 4))
    hidden, windows = WindowLSTM(16, gaussians=3)([steps, symbols])
    logits = keras.layers.Dense(4)(ops.concatenate([hidden, windows], axis=-1))
    model = keras.Model([steps, symbols], logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["sparse_categorical_accuracy"])
    model.fit([np.ones((128, 15, 1), "float32"), text], wanted, epochs=40, batch_size=32, verbose=0)
    assert model.evaluate([np.ones((128, 15, 1), "float32"), text], wanted, verbose=0)[1] > 0.9


def test_it_is_saved_and_loaded(tmp_path):
    steps, symbols = keras.Input((None, 3)), keras.Input((None, 4))
    model = keras.Model([steps, symbols], WindowLSTM(5, gaussians=2)([steps, symbols]))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    inputs = [np.ones((1, 6, 3), "float32"), np.eye(4, dtype="float32")[[[1, 3]]]]
    for one, other in zip(model(inputs), again(inputs), strict=True):
        np.testing.assert_array_equal(one, other)
