"""The character network: its layer's gradients, a little training, and what it writes."""

from __future__ import annotations

import numpy as np

from tests.parity_worker import build, data, scenario


@scenario
def weight_drop_lstm() -> dict:
    """Loss and gradients, for weights, inputs and states, of Keras' LSTM and of ours."""
    import keras
    from keras import ops

    from shared.layers.weight_drop_lstm import WeightDropLSTM
    from shared.training.steps import value_and_grad

    x, target, start = data(3, 7, 5), data(3, 7, 4, seed=1), 0.5 * data(2, 3, 4, seed=2)

    def outcome(kind):
        layer = kind(4, return_sequences=True, return_state=True)
        layer.build(x.shape)
        given = [keras.Variable(value) for value in (x, *start)]

        def loss():
            sequence, *states = (variable.value for variable in given)
            outputs, hidden, carry = build(layer)(sequence, initial_state=states, training=True)
            return ops.sum(outputs * target) + ops.sum(hidden * hidden) + ops.sum(ops.sin(carry))

        value, gradients = value_and_grad(loss, build(layer).trainable_variables + given)
        return [float(value), *(np.asarray(gradient).tolist() for gradient in gradients)]

    return {"keras": outcome(keras.layers.LSTM), "ours": outcome(WeightDropLSTM)}


def tiny(batch: int | None = None):
    """The app's network with weights that do not depend on the backend, without dropout."""
    from apps.char_rnn import Train, char_model

    config = Train(layers=2, units=8, embedding=6, dropout=0.0, weight_dropout=0.0, forget=0.0)
    return build(char_model(7, config, batch), seed=1)


@scenario
def char_rnn_trains() -> dict:
    """Two epochs of three batches through `fit`: states go on, a symbol that repeats is one gradient, averages."""
    import keras

    network = tiny(batch=4)
    optimizer = keras.optimizers.Adam(0.05, epsilon=1.0, use_ema=True, ema_momentum=0.5)  # epsilon: the size shows
    network.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    ids = np.random.default_rng(0).integers(0, 7, (12, 11)).astype("int32")
    history = network.fit(ids[:, :-1], ids[:, 1:], batch_size=4, shuffle=False, epochs=2, verbose=0)
    states = [v.numpy().tolist() for layer in network.layers for v in getattr(layer, "kept_states", [])]
    optimizer.finalize_variable_values(network.trainable_variables)
    weights = [float(np.sum(np.square(v.numpy()))) for v in network.trainable_variables]
    return {"loss": history.history["loss"], "states": states, "weights": weights}


@scenario
def char_rnn_writes() -> dict:
    """Greedily, and by chance with the same random numbers."""
    from apps.parts.char_rnn.writer import Writer, joined

    network, prompt = tiny(), np.array([1, 2, 3])

    def text(length, temperature, chunk=64, **rules):
        pieces = Writer(network, chunk).write(prompt, length, np.random.default_rng(5), temperature, **rules)
        ids, scores = joined(pieces)
        return {"ids": ids.tolist(), "scores": scores.tolist()}

    return {"greedy": text(150, 1.0, top_k=1), "chance": text(40, 0.7, top_p=0.9), "chunks": text(40, 0.7, chunk=7)}
