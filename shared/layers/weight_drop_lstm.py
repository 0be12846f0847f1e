"""An LSTM for training on small data: whole connections are dropped, and the gradient takes half of the time."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_arcade")
class WeightDropLSTM(keras.layers.LSTM):
    """`keras.layers.LSTM` with dropout on its recurrent weights, and with a gradient of its own.

    In training, each weight from the hidden state to the gates is dropped with probability `weight_dropout`, for all
    time steps of a call alike (Merity et al. 2017, "Regularizing and Optimizing LSTM Language Models",
    https://arxiv.org/abs/1708.02182, section 2). Outside of training it computes what LSTM computes, and its weights
    are an LSTM's, in the same order: train with this layer, and ship an LSTM with its weights.

    Keras differentiates an LSTM step by step, with two matrix products and two weight gradients in each. Here all that
    does not depend on the step before is one product over the whole sequence, and the gate arithmetic is in float32
    whatever the precision of the products. Gradients are first-order only.

    With `stateful`, a training batch goes on where the one before it ended, so that a model never meets an empty state
    but at the very start of the text; `forget` makes it meet one more often.

    Args:
        units: size of the hidden state.
        weight_dropout: share of the recurrent weights to drop in training, from 0 to below 1.
        forget: the chance that a sequence of a training batch begins with states of zero instead of those it is given.
            Stacked layers of one `seed` forget the same sequences.
        seed: of what is dropped and forgotten.
        **kwargs: those of `keras.layers.LSTM`, without its dropouts, activations, `go_backwards` and `unroll`. Masks
            are not supported either.

    Example:
        >>> layer = WeightDropLSTM(512, weight_dropout=0.4, return_sequences=True)
        >>> layer(np.ones((64, 128, 32), "float32"), training=True).shape
        TensorShape([64, 128, 512])
    """

    def __init__(
        self, units: int, weight_dropout: float = 0.0, forget: float = 0.0, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(units, seed=seed, **kwargs)
        if not (0 <= weight_dropout < 1 and 0 <= forget <= 1):
            raise ValueError(f"weight_dropout ({weight_dropout}) must be in [0, 1) and forget ({forget}) in [0, 1]")
        fixed = (self.dropout, self.recurrent_dropout, self.go_backwards, self.unroll) == (0, 0, False, False)
        usual = (self.activation, self.recurrent_activation) == (keras.activations.tanh, keras.activations.sigmoid)
        if not (fixed and usual and self.use_bias):
            raise ValueError("WeightDropLSTM takes no dropout, activation, go_backwards or unroll, and has a bias")
        self.weight_dropout, self.forget = weight_dropout, forget
        self.weight_seed, self.forget_seed = keras.random.SeedGenerator(seed), keras.random.SeedGenerator(seed)

    def build(self, sequences_shape: tuple, initial_state_shape: tuple | None = None) -> None:
        """Make the weights, and with `stateful` the states."""
        super().build(sequences_shape, initial_state_shape)
        self.kept_states = self.states or []  # Keras tracks its own attribute nowhere, and JAX would lose the states

    def inner_loop(self, sequences: Any, initial_state: list, mask: Any, training: bool = False) -> tuple:
        """The hook of `keras.layers.RNN`: (batch, time, features) -> last output, all outputs, both states."""
        if mask is not None:
            raise ValueError("WeightDropLSTM does not support masks")
        kind = self.compute_dtype
        recurrent = ops.convert_to_tensor(self.cell.recurrent_kernel)
        if training and self.weight_dropout:
            recurrent = keras.random.dropout(recurrent, self.weight_dropout, seed=self.weight_seed)
        if training and self.forget:
            chance = keras.random.uniform((ops.shape(sequences)[0], 1), seed=self.forget_seed)
            initial_state = [ops.where(chance < self.forget, ops.zeros_like(s), s) for s in initial_state]
        inputs = ops.transpose(sequences, (1, 0, 2))  # time first, in here
        driven = ops.add(ops.matmul(inputs, ops.cast(self.cell.kernel, kind)), ops.cast(self.cell.bias, kind))
        hidden, carry = (ops.cast(state, kind) for state in initial_state)
        outputs, hidden, carry = _recurrence(driven, ops.cast(recurrent, kind), hidden, carry)
        return hidden, ops.transpose(outputs, (1, 0, 2)), [hidden, carry]

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this layer again."""
        return {**super().get_config(), "weight_dropout": self.weight_dropout, "forget": self.forget}


@ops.custom_gradient
def _recurrence(driven, recurrent, first_hidden, first_carry):
    """driven (T, B, 4H): the gates' share of the inputs; recurrent (H, 4H); states (B, H), all of one dtype.

    Returns the hidden states (T, B, H) and the last hidden state and carry (B, H); and, for Keras, their gradient.
    """
    kind, units = driven.dtype, first_hidden.shape[-1]

    def step(state, driven_t):
        hidden, carry, _ = state
        i, f, g, o = _activated(driven_t + ops.matmul(hidden, recurrent))
        carry = f * carry + i * g
        new = [ops.cast(o * ops.tanh(carry), kind), carry, ops.cast(ops.concatenate([i, f, g, o], axis=-1), kind)]
        return new, new  # on TensorFlow, what a scan stacks has the form of what it carries

    start = [first_hidden, ops.cast(first_carry, "float32"), ops.zeros_like(driven[0])]
    (hidden, carry, _), (hiddens, carries, gates) = ops.scan(step, start, driven)

    def gradient(*upstream):
        d_hiddens, d_hidden, d_carry = keras.tree.flatten(upstream)  # TensorFlow gives three, JAX a tuple of three

        def step_back(state, at_t):
            d_hidden, d_carry, _ = state
            d_output, gates, carry, carry_before = at_t
            (i, f, g, o), squashed = _gates(gates), ops.tanh(carry)
            d_hidden = ops.cast(d_hidden + d_output, "float32")
            d_carry = d_carry + d_hidden * o * (1 - squashed * squashed)
            d_i, d_f = d_carry * g * i * (1 - i), d_carry * carry_before * f * (1 - f)
            d_g, d_o = d_carry * i * (1 - g * g), d_hidden * squashed * o * (1 - o)
            d_driven = ops.cast(ops.concatenate([d_i, d_f, d_g, d_o], axis=-1), kind)
            new = [ops.matmul(d_driven, ops.transpose(recurrent)), d_carry * f, d_driven]
            return new, new

        start_back = [d_hidden, ops.cast(d_carry, "float32"), ops.zeros_like(driven[0])]
        at = [d_hiddens, gates, carries, _shifted(carries, start[1])]
        (d_hidden, d_carry, _), (_, _, d_driven) = ops.scan(step_back, start_back, at, reverse=True)
        before = ops.reshape(_shifted(hiddens, first_hidden), (-1, units))
        d_recurrent = ops.matmul(ops.transpose(before), ops.reshape(d_driven, (-1, 4 * units)))
        return d_driven, d_recurrent, d_hidden, ops.cast(d_carry, kind)

    return (hiddens, hidden, ops.cast(carry, kind)), gradient


def _activated(sums):
    """The input, forget, cell and output gates (B, H) each, of their weighted sums (B, 4H)."""
    i, f, g, o = _gates(sums)
    return ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)


def _gates(joined):
    """(B, 4H) of any precision -> input, forget, candidate and output gate in float32, (B, H) each, in Keras' order."""
    return ops.split(ops.cast(joined, "float32"), 4, axis=-1)


def _shifted(states, first):
    """The state before each step: (T, B, H) moved on by one."""
    return ops.concatenate([ops.expand_dims(first, 0), states[:-1]], axis=0)
