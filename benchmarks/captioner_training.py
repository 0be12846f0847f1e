"""How well and how fast a captioner learns and writes here, beside the Keras example's; at equal time and features.

    python benchmarks/captioner_training.py --data flickr8k

Two rows, each in a fresh process, one after the other, each with the same minutes of training on the same features of
the same photos (computed once; time for that counts for neither): the app's first stage with its recipe, and the model
and the loop of the Keras example "Image captioning" (examples/vision/image_captioning.py: one encoder block and
one decoder block of 512, a vocabulary of 10,000, five optimizer steps for the five captions, `model.fit`), which
everybody starts from. The same code evaluates both: CIDEr-D on the test split, greedy, and ours by a beam search of
3, too; captions per second from features, compiled where the code compiles. The example computes features anew in each
step and never stops at its end token (it compares with " <end>"); here it gets stored ones and its sentences stop.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps import image_captioner as app
from apps.parts.image_captioner.captions import CaptionedPhoto, read_captions, read_photos
from apps.parts.image_captioner.metrics import Cider, evaluate
from apps.parts.image_captioner.training_data import CaptionIds, Material, RowSizes, stored_features, training_batches
from shared import cli
from shared.console import say
from shared.data.vocabulary import Vocabulary, Words
from shared.decoding.captioner import Captioner, Seen
from shared.decoding.recognised import NAMES
from shared.errors import UserError
from shared.files import output_path, write_atomically
from shared.settings import Range, Settings
from shared.training.optimizers import adamw
from shared.training.runtime import backend_name, import_keras

BATCH, TOKENS, WIDTH, HEADS, LENGTH = 64, 10_000, 512, 2, 20  # the example's
TIMED = 50  # photos that the example's loop is timed with


@dataclass
class Measure(Settings):
    """Train one of the two in this process, and print what came of it as a line of JSON."""

    data: Path
    """A folder in Flickr8k's published form."""
    features: Path
    """A file for the features, made if it is not there."""
    what: Literal["ours", "example"] = "ours"
    """Which one."""
    minutes: Annotated[float, Range(0.01, 1000)] = 10.0
    """Of training."""
    limit: Annotated[int, Range(0, 10_000_000)] = 0
    """So many photos of each split only; 0 for all."""


@dataclass
class Compare(Settings):
    """Train both, and print the table."""

    data: Path = Path("flickr8k")
    """A folder in Flickr8k's published form."""
    minutes: Annotated[float, Range(0.01, 1000)] = 10.0
    """Of training, for each row."""
    limit: Annotated[int, Range(0, 10_000_000)] = 0
    """So many photos of each split only; 0 for all."""
    json: Path | None = None
    """Also write everything measured to this file."""


class TimeIsUp(Exception):
    """Leaves `fit` in the middle of an epoch. (Keras takes a StopIteration for the end of the data.)"""


def fit(network: Any, data: Any, seconds: float) -> tuple[int, float]:
    """Fit for so many seconds once the first batch has compiled everything; the steps and the seconds since."""
    import keras

    class Clock(keras.callbacks.Callback):
        steps, began_s, took_s = 0, 0.0, 0.0

        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            now_s = time.perf_counter()
            if not self.began_s:
                self.began_s = now_s
                return
            self.steps, self.took_s = self.steps + 1, now_s - self.began_s
            if self.took_s >= seconds:
                raise TimeIsUp

    clock = Clock()
    try:
        network.fit(data, epochs=10**6, steps_per_epoch=10**6, shuffle=False, callbacks=[clock], verbose=0)
    except TimeIsUp:
        if network.optimizer.use_ema:
            network.optimizer.finalize_variable_values(network.trainable_variables)
    return clock.steps, clock.took_s


# ---------------------------------------------------------------------------------------------------------- Ours


def ours(
    features: np.ndarray, found: Sequence[CaptionedPhoto], captioner: Captioner, seconds: float, kind: str
) -> dict[str, Any]:
    """Train the app's decoder into the captioner; a short training tells its pace for the cosine."""

    config, vocabulary = app.Train(), captioner.vocabulary
    captions = [CaptionIds.of(photo.captions, vocabulary) for photo in found]
    nothing = np.zeros((len(found), NAMES, 2), np.int32)  # is recognised: the example is not told either
    none_said, references = nothing[..., 0] > 0, Cider([photo.captions for photo in found])
    material = Material(features, captions, nothing, none_said, None, features, nothing, references)
    sizes = RowSizes(min(config.batch, len(found)), 0, app.PACKED, config.longest)

    def input_of(n: int, mirrored: bool, rng: np.random.Generator) -> np.ndarray:
        return features[n, int(mirrored)].astype(np.float32)

    def trained(steps: int, seconds: float) -> tuple[Any, tuple[int, float]]:
        network = app.caption_decoder(len(vocabulary), features.shape[-1], config, kind)
        optimizer = adamw(steps, config.learning_rate, config.weight_decay, config.average)
        network.compile(optimizer, app.smoothed_cross_entropy(config.smoothing))
        return network, fit(network, training_batches(input_of, material, sizes, config.seed, 0), seconds)

    steps, took_s = trained(10_000, seconds / 30)[1]
    network, (steps, took_s) = trained(max(round(seconds * steps / took_s), 1), seconds)
    captioner.decoder.set_weights(network.get_weights())
    return {"parameters": network.count_params(), "epochs": steps * sizes.photos / len(found), "seconds": took_s}


def written(captioner: Captioner, features: np.ndarray, beams: int) -> tuple[list[Words], float]:
    """Captions of features, and how many a second, once compiled."""
    seen = Seen(features, np.zeros((len(features), NAMES, 2), np.int32))
    captioner.write(seen[: captioner.batch], beams)
    began_s = time.perf_counter()
    captions = [best.single_words for best, *_ in captioner.write(seen, beams)]
    return captions, len(features) / (time.perf_counter() - began_s)


# --------------------------------------------------------------------------------------------------- The example


def example_network(words: int) -> Any:
    """The example's model and its train_step, on stored features (batch, cells, features)."""
    import keras
    import tensorflow as tf
    from keras import layers

    class Writer(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.project = layers.Dense(WIDTH, activation="relu")
            self.encoder, self.own, self.cross = (layers.MultiHeadAttention(HEADS, WIDTH) for _ in range(3))
            self.norms = [layers.LayerNormalization() for _ in range(4)]
            self.words, self.places = layers.Embedding(words, WIDTH), layers.Embedding(LENGTH, WIDTH)
            self.dense = keras.Sequential([layers.Dense(WIDTH, activation="relu"), layers.Dense(WIDTH)])
            self.out, self.drop_1, self.drop_2 = layers.Dense(words), layers.Dropout(0.1), layers.Dropout(0.5)

        def encode(self, features: Any) -> Any:
            x = self.project(features)
            return self.norms[0](x + self.encoder(x, x))

        def call(self, inputs: tuple, training: bool = False) -> Any:
            ids, encoded = inputs
            known = ids != 0
            x = self.words(ids) + self.places(tf.range(tf.shape(ids)[1]))
            x = self.drop_1(x, training=training)
            x = self.norms[1](x + self.own(x, x, attention_mask=known[:, None, :], use_causal_mask=True))
            x = self.norms[2](x + self.cross(x, encoded, attention_mask=known[:, :, None]))
            x = self.norms[3](x + self.dense(x))
            return self.out(self.drop_2(x, training=training))

        def train_step(self, data: tuple) -> dict:
            features, ids = data
            for n in range(ids.shape[1]):  # one step of the optimizer for each caption
                with tf.GradientTape() as tape:
                    logits = self((ids[:, n, :-1], self.encode(features)), training=True)
                    targets, known = ids[:, n, 1:], tf.cast(ids[:, n, :-1] != 0, tf.float32)
                    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
                    loss = tf.reduce_sum(entropy * known) / tf.reduce_sum(known)
                gradients = tape.gradient(loss, self.trainable_variables)
                self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"loss": loss}

    return Writer()


def example(
    features: np.ndarray, found: Sequence[CaptionedPhoto], seconds: float
) -> tuple[dict[str, Any], Callable[[np.ndarray], Words]]:
    """Train the example's model; what it took, and its loop that writes a caption of features (cells, features)."""
    import keras
    import tensorflow as tf

    def lines(photo: CaptionedPhoto) -> list[str]:  # always five, as the example's reader has it
        return [f"<start> {' '.join(photo.captions[n % len(photo.captions)])} <end>" for n in range(5)]

    texts = [lines(photo) for photo in found]
    vectorize = keras.layers.TextVectorization(TOKENS, standardize=None, output_sequence_length=LENGTH)
    vectorize.adapt([text for photo in texts for text in photo])
    ids = np.stack([np.asarray(vectorize(photo)) for photo in texts]).astype(np.int32)
    network, vocabulary = example_network(vectorize.vocabulary_size()), vectorize.get_vocabulary()
    network((ids[:1, 0, :-1], network.encode(features[:1, 0].astype(np.float32))))
    network.compile(keras.optimizers.Adam())
    network.optimizer.build(network.trainable_variables)  # within the first step it takes minutes
    batch, rng = min(BATCH, len(found)), np.random.default_rng(0)

    def batches() -> Any:
        while True:
            for chosen in np.split(rng.permutation(len(ids)), range(batch, len(ids), batch))[: len(ids) // batch]:
                yield features[chosen, 0].astype(np.float32), ids[chosen]

    steps, took_s = fit(network, batches(), seconds)

    def write(features: np.ndarray) -> Words:
        encoded, caption = network.encode(tf.constant(features[None])), "<start>"
        for n in range(LENGTH - 1):
            tokens = vectorize([caption])[:, :-1]
            word = vocabulary[int(np.argmax(network((tokens, encoded), training=False)[0, n]))]
            if word == "<end>":
                break
            caption += f" {word}"
        return tuple(caption.split()[1:])

    took = {"parameters": network.count_params(), "epochs": steps * batch / len(found), "seconds": took_s}
    return took, write


# --------------------------------------------------------------------------------------------------- The compare


def measure(config: Measure) -> None:
    """Train one of the two in this process, and print what came of it as a line of JSON."""
    found, tested = (part[: config.limit or None] for part in read_captions(config.data, "train", "test"))
    vocabulary, settings = Vocabulary.of((words for photo in found for words in photo.captions), 5), app.Train()
    import_keras()
    from shared.training import devices

    with devices.setup(1, settings.precision) as device, devices.setup(None, "float32"):
        captioner = Captioner(app.caption_network(len(vocabulary), settings, pretrained=True), vocabulary)
        (photos, found), (tests, tested) = (read_photos(part, settings.size) for part in (found, tested))
        features = np.array(stored_features(photos, captioner, config.features))
        test_features, references = captioner.encode(tests), [photo.captions for photo in tested]
        ways = {}
        if config.what == "ours":
            took = ours(features, found, captioner, 60 * config.minutes, device.precision)
            ways = {f"beams {beams}": written(captioner, test_features, beams) for beams in (1, 3)}
        else:
            took, write = example(features, found, 60 * config.minutes)
            write(test_features[0])
            began_s = time.perf_counter()
            captions = [write(each) for each in test_features[:TIMED]]
            pace = len(captions) / (time.perf_counter() - began_s)
            ways["its loop"] = [*captions, *map(write, test_features[TIMED:])], pace
    results = {way: evaluate(words, references) | {"captions_per_s": pace} for way, (words, pace) in ways.items()}
    print(json.dumps({"what": config.what, **took, "results": results, "device": device.description}))


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Everything measured, and ours beside the example's."""
    print(f"{'':20}{'parameters':>12}{'epochs':>8}{'BLEU-4':>8}{'CIDEr':>8}{'captions/s':>12}  device")
    for row in rows:
        for way, found in row["results"].items():
            print(
                f"{row['what'] + ', ' + way:20}{row['parameters']:12,}{row['epochs']:8.1f}{found['BLEU-4']:8.2f}"
                f"{found['CIDEr']:8.2f}{found['captions_per_s']:12.1f}  {row['device']}"
            )
    peer = rows[0]["results"]["its loop"]
    for way, found in rows[1]["results"].items():
        better, faster = (found[name] / max(peer[name], 1e-9) for name in ("CIDEr", "captions_per_s"))
        print(f"ours, {way}: CIDEr {better:.2f}x, goal 1.2x; captions a second {faster:.1f}x, goal 10x")


def compare(config: Compare) -> None:
    """Train both, and print the table."""
    if backend_name() != "tensorflow":
        raise UserError("the example is TensorFlow's: run this with KERAS_BACKEND=tensorflow.")
    read_captions(config.data, "train", "test")
    path = output_path(config.json, "captioner_training", "captioner_training.json")
    features = path.with_name(f"{path.stem}-features.npy")
    if (load := os.getloadavg()[0]) > 0.5:
        say(f"This machine is not idle (load {load:.1f}): every number will be too low, and the ratios doubtful.")
    rows, shared = [], ["--data", config.data, "--features", features, "--limit", config.limit]
    try:
        for what in ("example", "ours"):
            words = ["measure", "--what", what, "--minutes", config.minutes, *shared]
            done = subprocess.run([sys.executable, __file__, *map(str, words)], stdout=subprocess.PIPE, text=True)
            if done.returncode:
                raise UserError(f"the training of {what} failed; what it said is above.")
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    finally:
        features.unlink(missing_ok=True)
    print(f"{config.minutes:g} minutes of training each, load {load:.1f} before; the test split")
    print_table(rows)
    with write_atomically(path) as temporary:
        temporary.write_text(
            json.dumps({"settings": asdict(config), "load": load, "rows": rows}, default=str, indent=2)
        )
    print(f"Everything measured: {path}")


if __name__ == "__main__":
    cli.run(__doc__, compare, {"measure": measure})
