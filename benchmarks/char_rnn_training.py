"""How fast and how well a character network learns here, beside the TensorFlow tutorial's; at equal time and size.

    python benchmarks/char_rnn_training.py --data input.txt

Two rows, each in a fresh process, one after the other, each with the same minutes of training, batch, window and number
of parameters on the same text (its first nine tenths): the app's network with its recipe, and the model and the loop of
the TensorFlow tutorial "Text generation with an RNN" (Embedding 256, GRU 1024, Dense; windows of 100 shuffled; Adam;
`model.fit`), which everybody starts from. Both are evaluated by the same code: nats per character on the last tenth, in
blocks of 256 from a zero state. Compiling and evaluating do not count as training.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps import char_rnn as app
from apps.parts.char_rnn.texts import split
from apps.parts.char_rnn.writer import compile_block_losses
from shared import cli
from shared.console import say
from shared.data.alphabet import Alphabet
from shared.data.text import open_text
from shared.errors import UserError
from shared.files import output_path, write_atomically
from shared.settings import Precision, Range, Settings
from shared.training.optimizers import adamw
from shared.training.runtime import backend_name

BATCH, WINDOW = 64, 100  # the tutorial's


@dataclass
class Measure(Settings):
    """Train one of the two in this process, and print what came of it as a line of JSON."""

    what: Literal["ours", "tutorial"] = "ours"
    """Which one."""
    data: str = "tiny_shakespeare"
    """A UTF-8 text file or the TFDS name of a text."""
    minutes: Annotated[float, Range(0.01, 1000)] = 15.0
    """Of training."""
    precision: Precision = "auto"
    """Of ours; the tutorial's is float32."""


@dataclass
class Compare(Settings):
    """Train both, and print the table."""

    data: str = "tiny_shakespeare"
    """A UTF-8 text file or the TFDS name of a text."""
    minutes: Annotated[float, Range(0.01, 1000)] = 15.0
    """Of training, for each row."""
    json: Path | None = None
    """Also write everything measured to this file."""


def clock(seconds: float) -> Any:
    """A callback that counts characters once the first batch has compiled everything, and ends `fit` in time."""
    import keras

    class Clock(keras.callbacks.Callback):
        characters, began_s, took_s = 0, 0.0, 0.0

        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            now_s = time.perf_counter()
            if not self.began_s:
                self.began_s = now_s
                return
            self.characters += BATCH * WINDOW
            self.took_s = now_s - self.began_s
            self.model.stop_training = self.took_s >= seconds
            if self.model.stop_training:
                raise StopIteration

    return Clock()


def fit(network: Any, data: Any, seconds: float) -> Any:
    """Fit for so many seconds; returns the clock."""
    counted = clock(seconds)
    try:
        network.fit(data, epochs=10**6, steps_per_epoch=10**6, shuffle=False, callbacks=[counted], verbose=0)
    except StopIteration:  # in the middle of an epoch
        network.optimizer.finalize_variable_values(network.trainable_variables)
    return counted


def ours(ids: np.ndarray, symbols: int, seconds: float) -> tuple[Any, Any]:
    """The app's network with the tutorial's size, batch and window; a short training tells its pace for the cosine."""
    import keras

    config = app.Train(batch=BATCH, window=WINDOW, units=552, embedding=128)

    def trained(steps: int, seconds: float) -> tuple[Any, Any]:
        network = app.char_model(symbols, config, BATCH)
        optimizer = adamw(steps, config.learning_rate, config.weight_decay, config.average)
        network.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return network, fit(network, app.windows(ids, config, 0), seconds)

    pace = trained(10_000, seconds / 30)[1]
    steps = int(seconds * pace.characters / pace.took_s / BATCH / WINDOW)
    network, counted = trained(max(steps, 1), seconds)
    shipped = app.char_model(symbols, config)
    shipped.set_weights([variable.numpy() for variable in network.trainable_variables])
    return shipped, counted


def tutorial(ids: np.ndarray, symbols: int, seconds: float) -> tuple[Any, Any]:
    """The tutorial's model and its input pipeline."""
    import keras
    import tensorflow as tf

    windows = tf.data.Dataset.from_tensor_slices(ids).batch(WINDOW + 1, drop_remainder=True)
    pairs = windows.map(lambda window: (window[:-1], window[1:])).shuffle(10_000)
    data = pairs.batch(BATCH, drop_remainder=True).repeat().prefetch(tf.data.AUTOTUNE)
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.GRU(1024, return_sequences=True)(keras.layers.Embedding(symbols, 256)(inputs))
    network = keras.Model(inputs, keras.layers.Dense(symbols)(x))
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return network, fit(network, data, seconds)


def measure(config: Measure) -> None:
    """Train one of the two in this process, and print what came of it as a line of JSON."""
    from shared.training import devices

    text = open_text(config.data)
    alphabet = Alphabet.of(text)
    learned, held_out = map(alphabet.encode, split(text))
    train, precision = (ours, config.precision) if config.what == "ours" else (tutorial, "float32")
    with devices.setup(1, precision) as device:
        network, counted = train(learned, len(alphabet), 60 * config.minutes)
        loss = float(compile_block_losses(network)(held_out).mean())
    result = {"parameters": network.count_params(), "characters": counted.characters, "seconds": counted.took_s}
    print(json.dumps(asdict(config) | result | {"val_loss": loss, "device": device.description}))


def compare(config: Compare) -> None:
    """Train both, and print the table."""
    if backend_name() != "tensorflow":
        raise UserError("the tutorial is TensorFlow's: run this with KERAS_BACKEND=tensorflow.")
    open_text(config.data)
    path = output_path(config.json, "char_rnn_training", "char_rnn_training.json") if config.json else None
    if (load := os.getloadavg()[0]) > 0.5:
        say(f"This machine is not idle (load {load:.1f}): every number will be too low, and the ratios doubtful.")
    rows = []
    for what in ("tutorial", "ours"):
        command = [sys.executable, __file__, "measure", "--what", what, "--data", config.data]
        done = subprocess.run([*command, "--minutes", str(config.minutes)], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise UserError(f"the training of {what} failed; what it said is above.")
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{config.minutes:g} minutes of training each, batch {BATCH}, windows of {WINDOW}, load {load:.1f} before")
    print(f"{'':10}{'parameters':>12}{'characters/s':>14}{'epochs':>8}{'val nats/char':>15}  device")
    length = len(split(open_text(config.data))[0])
    for row in rows:
        pace, epochs = row["characters"] / row["seconds"], row["characters"] / length
        print(
            f"{row['what']:10}{row['parameters']:12,}{pace:14,.0f}{epochs:8.1f}{row['val_loss']:15.4f}  {row['device']}"
        )
    if path:
        with write_atomically(path) as temporary:
            temporary.write_text(json.dumps({"load": load, "rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    cli.run(__doc__, compare, {"measure": measure})
