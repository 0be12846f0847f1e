"""How fast one stream of text is written here: a compiled loop against one call a character; CPU cores.

    python benchmarks/char_rnn_speed.py

The same weights, the same run, the same machine, in rounds, so that a slow minute falls on all rows: the app's
`Writer` as it is (64 characters a call, sampling and all); a `tf.function` that is called once a character and hands
the states back, as the TensorFlow tutorial "Text generation with an RNN" does; the network called eagerly, once a
character. Every character reaches Python as an integer in each of them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps import char_rnn as app
from apps.parts.char_rnn.writer import Writer, joined
from shared import cli, saved_models
from shared.console import say
from shared.errors import UserError
from shared.settings import Range, Settings
from shared.training.runtime import backend_name, import_keras

GOALS = {"one tf.function call a character": 3.0, "one eager call a character": 20.0}
GOAL_PER_S, TEMPERATURE = 3000, 0.8


@dataclass
class Compare(Settings):
    """Write with each, and print characters per second."""

    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/, or else random weights of its size."""
    length: Annotated[int, Range(300, 1_000_000)] = 3000
    """Characters in a measurement of the compiled loop; the others write a third and a thirtieth of it."""
    rounds: Annotated[int, Range(1, 100)] = 5
    """Measurements of each; the table has their median."""


def step_network(network: Any) -> Any:
    """The same weights for one step: ids (1, 1) and states -> logits (1, symbols) and states, as the tutorial's."""
    import keras
    from keras import layers

    table, head = network.get_layer("symbols"), network.get_layer("head")
    ids = keras.Input((1,), batch_size=1, dtype="int32")
    x, before, after = table(ids), [], []
    for layer in network.layers:
        if isinstance(layer, layers.LSTM):
            states = [keras.Input((layer.units,), batch_size=1) for _ in range(2)]
            copy = layers.LSTM(layer.units, return_sequences=True, return_state=True)
            x, *kept = copy(x, initial_state=states)
            copy.set_weights(layer.get_weights())
            before, after = before + states, after + kept
    return keras.Model([ids, *before], [table(head(x), reverse=True)[:, -1], *after])


def one_call_a_character(network: Any, compiled: bool) -> Callable[[int], None]:
    """A writer that calls the network once a character; `write(length)`."""
    import tensorflow as tf

    step = step_network(network)

    def next_character(ids, states):
        logits, *states = step([ids, *states])
        return tf.random.categorical(logits / TEMPERATURE, 1, dtype=tf.int32), states

    call = tf.function(next_character) if compiled else next_character

    def write(length: int) -> None:
        ids, states = tf.zeros((1, 1), tf.int32), [tf.zeros(x.shape) for x in step.inputs[1:]]
        for _ in range(length):
            ids, states = call(ids, states)
            int(ids[0, 0].numpy() if compiled else ids.numpy()[0, 0])

    return write


def compare(config: Compare) -> None:
    """Write with each, and print characters per second."""
    if backend_name() != "tensorflow":
        raise UserError("the peers are TensorFlow's: run this with KERAS_BACKEND=tensorflow.")
    if (load := os.getloadavg()[0]) > 0.5:
        say(f"This machine is not idle (load {load:.1f}): every number will be too low, and the ratios doubtful.")
    keras = import_keras()
    if config.model or (saved_models.MODELS / app.APP).is_dir():
        network, _ = app.load(config.model)
    else:
        say("No shipped model: random weights of the same size.")
        network = app.char_model(65, app.Train())
    writer, rng = Writer(network), np.random.default_rng(1)
    rows: dict[str, tuple[Callable[[int], Any], int]] = {
        "ours, one call for 64 characters": (lambda n: joined(writer.write(np.array([0]), n, rng, TEMPERATURE)), 1),
        "one tf.function call a character": (one_call_a_character(network, compiled=True), 3),
        "one eager call a character": (one_call_a_character(network, compiled=False), 30),
    }
    speeds: dict[str, list[float]] = {name: [] for name in rows}
    for number in range(config.rounds + 1):  # the first round compiles, and does not count
        for name, (write, part) in rows.items():
            began_s = time.perf_counter()
            write(config.length // part)
            if number:
                speeds[name].append(config.length // part / (time.perf_counter() - began_s))
    ours, *_ = (median(values) for values in speeds.values())
    print(f"{network.count_params():,} parameters, Keras {keras.__version__}, load {load:.1f} before")
    print(f"{'':36}{'characters/s':>14}{'(range)':>18}{'ours/it':>10}{'goal':>8}")
    for name, values in speeds.items():
        goal = f"{GOALS[name]:.0f}x" if name in GOALS else f"{GOAL_PER_S:,}/s"
        spread = f"({min(values):,.0f}-{max(values):,.0f})"
        print(f"{name:36}{median(values):14,.0f}{spread:>18}{ours / median(values):9.1f}x{goal:>8}")


if __name__ == "__main__":
    cli.run(__doc__, compare, {})
