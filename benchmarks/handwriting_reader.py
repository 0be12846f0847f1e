"""Can it be read? A reader that learned from real handwriting reads real words, and the same words as we write them.

    python benchmarks/handwriting_reader.py --data unipen_words.npz      about ten minutes on 2 cores

The reader is a convolutional network with CTC (Graves et al. 2006), over the steps of the pen. It learns from the words
of the training writers, and never sees what our network writes. Then it reads words of writers that neither network
met, and the same words in our hands, one after the other, at several neatnesses. Character error is the edit distance
to the true text over its length, over all words; answers are greedy, without a dictionary. As in the app, the pen tries
a word that it did not finish again, three times in all; what it did not finish then counts as it is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps import handwriting
from apps.parts.handwriting import sources
from apps.parts.handwriting.lines import FIRST_CHARACTER, Lines, Sample, ids_of, steps_of
from shared import cli
from shared.console import say
from shared.errors import UserError
from shared.settings import Range, Seed, Settings
from shared.training import devices
from shared.training.inference import compiled_inference
from shared.training.optimizers import adamw

LENGTHS = (64, 128, 192, 256)  # points of a row; a word with more is left out
LONGEST = 24  # characters
HALF = 2  # points for each answer of the reader


@dataclass
class Read(Settings):
    """Train the reader, and let it read real words and written ones."""

    data: str
    """An .npz file or a folder, as `apps/handwriting.py train --data` takes."""
    model: Path | None = None
    """The network that writes; by default the one in saved_models/."""
    words: Annotated[int, Range(1, 100_000)] = 1000
    """How many words of the test writers to read."""
    bias: Annotated[tuple[float, ...], Range(0, 10)] = (0.0, 1.0, 2.0)
    """Neatnesses of ours."""
    epochs: Annotated[int, Range(1, 1000)] = 12
    """Passes over the training writers' words."""
    units: Annotated[int, Range(8, 4096)] = 128
    """Maps of each layer."""
    batch: Annotated[int, Range(1, 10_000)] = 64
    """Words in a step."""
    seed: Seed = 1
    """Of everything random."""


def reader_network(symbols: int, units: int) -> Any:
    """Steps float32 (batch, time, 4): dx, dy, stroke ends, 1 -> logits (batch, time / 2, symbols), 0 is blank."""
    import keras
    from keras import layers

    steps = keras.Input((None, 4))
    x = layers.Conv1D(units, 5, strides=HALF, padding="same", activation="relu")(steps)
    for dilation in (1, 2, 4, 8, 1, 2, 4, 8):
        y = layers.Conv1D(units, 5, dilation_rate=dilation, padding="same", activation="relu")(
            layers.LayerNormalization()(x)
        )
        x = x + layers.Dropout(0.1)(y)
    return keras.Model(steps, layers.Dense(symbols, dtype="float32")(layers.LayerNormalization()(x)))


def words_of(config: Read, split: str, characters: str) -> list[Sample]:
    """The words of a split's writers that are short enough, their base lines at 0."""
    found = Lines(sources.read(config.data, split), characters).by_writer.values()
    words = [word for each in found for word in each]
    return [word for word in words if len(word.points) <= LENGTHS[-1] and len(word.text) <= LONGEST]


def rows_of(points: Sequence[np.ndarray], length: int, rng: np.random.Generator) -> np.ndarray:
    """The steps of some words, float32 (n, length, 4)."""
    rows = np.zeros((len(points), length, 4), np.float32)
    for row, each in zip(rows, points, strict=True):
        row[: len(each), :3], row[: len(each), 3] = steps_of(each, rng), 1
    return rows


def varied(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A word a little larger or smaller, more or less slanted."""
    scale, slant = np.exp(rng.uniform(-0.2, 0.2, 2)), rng.uniform(-0.2, 0.2)
    x, y, ends = points.T
    return np.stack([scale[0] * (x + slant * y), scale[1] * y, ends], axis=1)


def batches(words: Sequence[Sample], characters: str, config: Read, rng: np.random.Generator) -> Iterator[tuple]:
    """One epoch: (steps, number of answers, text, its length), words of about one length side by side."""
    waiting: dict[int, list[Sample]] = {length: [] for length in LENGTHS}
    for n in rng.permutation(len(words)):
        length = next(length for length in LENGTHS if length >= len(words[n].points))
        waiting[length].append(words[n])
        if len(waiting[length]) == config.batch:
            chosen, waiting[length] = waiting[length], []
            text = np.zeros((config.batch, LONGEST), np.int32)
            for row, word in zip(text, chosen, strict=True):
                ids = ids_of(word.text, characters)[:-1]
                row[: len(ids)] = np.array(ids) - FIRST_CHARACTER + 1
            steps = rows_of([varied(word.points, rng) for word in chosen], length, rng)
            points = np.array([-(-len(word.points) // HALF) for word in chosen], np.int32)
            yield steps, points, text, np.count_nonzero(text, axis=1).astype(np.int32)


def trained_reader(words: Sequence[Sample], characters: str, config: Read) -> Any:
    """The reader, as a function from words' points to texts."""
    from keras import ops

    from shared.training.steps import compile_step, value_and_grad

    network, rng = reader_network(len(characters) + 1, config.units), np.random.default_rng(config.seed)
    steps = config.epochs * (len(words) // config.batch)
    optimizer = adamw(steps, 2e-3)
    optimizer.build(network.trainable_variables)

    def update(x: Any, points: Any, text: Any, characters: Any) -> Any:
        def loss() -> Any:
            return ops.mean(ops.ctc_loss(text, network(x, training=True), characters, points, mask_index=0))

        value, gradients = value_and_grad(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        return value

    step = compile_step(update, network, optimizer)
    for epoch in range(config.epochs):
        losses = [step(*batch) for batch in batches(words, characters, config, rng)]
        say(f"Epoch {epoch + 1} of {config.epochs}: CTC loss {np.mean([np.asarray(each) for each in losses]):.2f}")
    logits = compiled_inference(lambda x: network(x, training=False), network, batch=config.batch)

    def read(points: Sequence[np.ndarray]) -> list[str]:
        length = max(*map(len, points), LENGTHS[-1])
        likeliest = logits(rows_of(points, length, np.random.default_rng(0))).argmax(-1)
        return [spelt(row[: -(-len(each) // HALF)], characters) for row, each in zip(likeliest, points, strict=True)]

    return read


def spelt(ids: np.ndarray, characters: str) -> str:
    """Ids of the answers, 0 for none, as a text: what is repeated counts once."""
    kept = ids[np.concatenate([[True], ids[1:] != ids[:-1]])]
    return "".join(characters[n - 1] for n in kept if n)


def edits(ours: str, theirs: str) -> int:
    """The edit distance (Levenshtein 1966)."""
    row = list(range(len(theirs) + 1))
    for n, letter in enumerate(ours, 1):
        last, row[0] = row[0], n
        for m, other in enumerate(theirs, 1):
            last, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, last + (letter != other))
    return row[-1]


def error(read: Sequence[str], true: Sequence[str]) -> float:
    """The share of characters that are wrong."""
    return sum(map(edits, read, true)) / sum(map(len, true))


def compare(config: Read) -> None:
    """Print the reader's error on real words, and on written ones."""
    pen = handwriting.load(config.model)
    with devices.setup(config.seed, "auto"):
        words = words_of(config, "train", pen.characters)
        tested = words_of(config, "test", pen.characters)
        if len(words) < config.batch or not tested:
            raise UserError(f"{config.data} has too few words.")
        chosen = np.random.default_rng(config.seed).permutation(len(tested))[: config.words]
        tested = [tested[n] for n in chosen]
        texts = [word.text for word in tested]
        began_s = time.perf_counter()
        read = trained_reader(words, pen.characters, config)
        say(f"The reader learned from {len(words):,} words in {time.perf_counter() - began_s:.0f} s.")
        real = error(read([word.points for word in tested]), texts)
        print(f"{len(texts)} words of writers held out, {sum(map(len, texts)):,} characters: {real:.2%} read wrongly")
        for bias in config.bias:
            count = len(pen.hands)
            parts = [handwriting.written(pen, texts[n::count], [n], bias, config.seed + n)[0] for n in range(count)]
            written = [parts[n % count][n // count] for n in range(len(texts))]
            assert [line.text for line in written] == texts
            ours = error(read([line.points for line in written]), texts)
            unfinished = sum(not line.finished for line in written)
            found = f"{ours:.2%}, {ours / real:.2f} times as many; {unfinished} unfinished"
            print(f"as we write them at bias {bias:g}: {found}")


if __name__ == "__main__":
    cli.run(__doc__, compare, {})
