"""An LSTM that reads a text while it writes: a soft window slides over the characters."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

FIRST_STEP = -2.7  # the logarithm of how far a window moves at a step before it has learned: 1/15 of a character


@keras.saving.register_keras_serializable("keras_arcade")
class WindowLSTM(keras.layers.Layer):
    """An LSTM whose every step also sees some characters of a text, through a window that only moves on.

    The window is that of Graves 2013, "Generating sequences with recurrent neural networks", arXiv:1308.0850,
    equations 46 to 51. At step t the hidden state gives K Gaussians over the text's positions: their weights alpha,
    their widths beta, and how far their middles kappa move. The window is the sum of the characters, each weighted by
    the Gaussians at its place; with the next input it enters the LSTM at step t + 1.

    Args:
        units: size of the hidden state.
        gaussians: K.
        **kwargs: those of `keras.layers.Layer`.

    Call arguments:
        sequences: (batch, time, features).
        text: one row for each character, (batch, characters, symbols); zeros after the end.

    Returns: the hidden states (batch, time, units) and the windows (batch, time, symbols).

    Example:
        >>> hidden, windows = WindowLSTM(256)([np.ones((2, 100, 3)), np.eye(60)[None, [4, 8, 8]].repeat(2, 0)])
        >>> hidden.shape, windows.shape
        (TensorShape([2, 100, 256]), TensorShape([2, 100, 60]))
    """

    def __init__(self, units: int, gaussians: int = 10, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.gaussians = units, gaussians

    def build(self, input_shape: list[tuple]) -> None:
        """Make the weights."""
        (*_, features), (*_, symbols) = input_shape
        gates, gaussians = (4 * self.units,), 3 * self.gaussians
        self.kernel = self.add_weight((features, *gates), "glorot_uniform", name="kernel")
        self.recurrent_kernel = self.add_weight((self.units, *gates), "orthogonal", name="recurrent_kernel")
        self.window_kernel = self.add_weight((symbols, *gates), "glorot_uniform", name="window_kernel")
        self.bias = self.add_weight(gates, _gate_bias, name="bias")
        self.gaussian_kernel = self.add_weight((self.units, gaussians), _small, name="gaussian_kernel")
        self.gaussian_bias = self.add_weight((gaussians,), _gaussian_bias, name="gaussian_bias")

    def call(self, inputs: list) -> tuple:
        """The hidden states and windows of whole sequences."""
        sequences, text = inputs
        driven = ops.transpose(self.driven(sequences), (1, 0, 2))  # time first, in here
        states = self.first_states(ops.shape(sequences)[0], text.shape[-1])
        recurrent = self.recurrent_weights()

        def step(states: list, driven_t: Any) -> tuple[list, list]:
            states, _ = self.step(states, driven_t, text, recurrent)
            return states, states

        _, (hidden, _, _, window) = ops.scan(step, states, driven)
        return ops.transpose(hidden, (1, 0, 2)), ops.transpose(window, (1, 0, 2))

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        """Those of the hidden states and of the windows."""
        (batch, time, _), (*_, symbols) = input_shape
        return (batch, time, self.units), (batch, time, symbols)

    def driven(self, sequences: Any) -> Any:
        """The gates' share of the inputs, (..., 4 * units): all steps at once."""
        kind = self.compute_dtype
        return ops.add(ops.matmul(ops.cast(sequences, kind), ops.cast(self.kernel, kind)), ops.cast(self.bias, kind))

    def recurrent_weights(self) -> Any:
        """From the hidden state and the window to the gates, (units + symbols, 4 * units)."""
        joined = ops.concatenate([ops.convert_to_tensor(self.recurrent_kernel), self.window_kernel])
        return ops.cast(joined, self.compute_dtype)

    def first_states(self, batch: Any, symbols: int) -> list:
        """Hidden state and window of zeros, of the layer's type; carry and middles of zeros, float32."""
        kind = self.compute_dtype
        hidden, carry = ops.zeros((batch, self.units), kind), ops.zeros((batch, self.units), "float32")
        return [hidden, carry, ops.zeros((batch, self.gaussians), "float32"), ops.zeros((batch, symbols), kind)]

    def step(self, states: list, driven_t: Any, text: Any, recurrent: Any) -> tuple[list, Any]:
        """One step: the new states, and how much of each character the window takes, (batch, characters)."""
        hidden, carry, kappa, window = states
        kind = self.compute_dtype
        gates = driven_t + ops.matmul(ops.concatenate([hidden, window], axis=-1), recurrent)
        i, f, g, o = ops.split(ops.cast(gates, "float32"), 4, axis=-1)
        carry = ops.sigmoid(f) * carry + ops.sigmoid(i) * ops.tanh(g)
        hidden = ops.cast(ops.sigmoid(o) * ops.tanh(carry), kind)

        numbers = ops.matmul(hidden, ops.cast(self.gaussian_kernel, kind))
        numbers = ops.exp(ops.cast(numbers, "float32") + self.gaussian_bias)
        alpha, beta, moved = ops.split(numbers, 3, axis=-1)  # (batch, K) each
        kappa = kappa + moved
        places = ops.arange(ops.shape(text)[1], dtype="float32")
        off = ops.expand_dims(kappa, -1) - places  # (batch, K, characters)
        phi = ops.expand_dims(alpha, -1) * ops.exp(-ops.expand_dims(beta, -1) * ops.square(off))
        phi = ops.sum(phi, axis=1)  # (batch, characters)
        window = ops.matmul(ops.expand_dims(ops.cast(phi, kind), 1), ops.cast(text, kind))[:, 0]
        return [hidden, carry, kappa, window], phi

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this layer again."""
        return {**super().get_config(), "units": self.units, "gaussians": self.gaussians}


def _small(shape: tuple, dtype: Any = None) -> Any:
    return keras.initializers.RandomNormal(stddev=0.02)(shape, dtype)


def _gate_bias(shape: tuple, dtype: Any = None) -> Any:
    """Ones for the forget gates, as in `keras.layers.LSTM`, and zeros."""
    units = shape[0] // 4
    return ops.concatenate([ops.zeros((units,)), ops.ones((units,)), ops.zeros((2 * units,))])


def _gaussian_bias(shape: tuple, dtype: Any = None) -> Any:
    """Gaussians of weight 1/K and width of about one character, that move slowly."""
    count = shape[0] // 3
    start = (-float(ops.log(float(count))), 0.0, FIRST_STEP)
    return ops.repeat(ops.convert_to_tensor(start, "float32"), count)
