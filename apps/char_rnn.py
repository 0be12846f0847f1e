"""Shakespeare, character by character: a recurrent network that learned to write from one megabyte of plays.

    python apps/char_rnn.py                              writes a page
    python apps/char_rnn.py --prompt "ROMEO:" --show-confidence
    python apps/char_rnn.py train --data my.txt          learns anybody's text; --quick for a result in minutes
    python apps/char_rnn.py evaluate                     recomputes the numbers of the model card

Method: LSTM layers predict the next character (Graves 2013, arXiv:1308.0850; Karpathy 2015, "The Unreasonable
Effectiveness of Recurrent Neural Networks"). With so little text, regularisation matters most: weight dropout and
averaged weights (Merity et al. 2017, arXiv:1708.02182), dropout of the same units for a whole window (Gal & Ghahramani
2016, arXiv:1512.05287), one embedding for input and output (Press & Wolf 2017, arXiv:1608.05859).
Measured results, with hardware and time, are in saved_models/char_rnn/README.md.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.char_rnn import terminal
from apps.parts.char_rnn.texts import longest_copy, split, words
from apps.parts.char_rnn.writer import BLOCK, Writer, compile_block_losses, joined
from shared import cli, saved_models, settings
from shared.console import say
from shared.data.alphabet import Alphabet
from shared.data.digest import digest_of
from shared.data.text import open_text
from shared.errors import UserError
from shared.files import output_path, write_atomically
from shared.settings import Range, Seed, Settings, Training
from shared.training import devices, fit_loop
from shared.training.optimizers import adamw

if TYPE_CHECKING:
    import keras

APP = "char_rnn"


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Write(Settings):
    """Continue a prompt, character by character."""

    prompt: str | None = None
    """Text to continue (its last 2,000 characters count); by default what a pipe sends, else the start of a line."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A file for the text, besides the terminal."""
    length: Annotated[int, Range(1, 10_000_000)] = 1000
    """Characters to write."""
    temperature: Annotated[float, Range(0.001, 100)] = 0.8
    """1 takes the learned probabilities; higher is bolder, lower more cautious. (--top-k 1 takes the most likely.)"""
    top_k: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Choose among this many most likely characters only: 0 for all, 1 for always the most likely one."""
    top_p: Annotated[float, Range(0.001, 1)] = 1.0
    """Choose among the most likely characters that together have this probability."""
    seed: Annotated[int | None, Range(0, 2**32 - 1)] = None
    """The same seed writes the same text; by default every run writes a new one."""
    samples: Annotated[int, Range(1, 10_000_000)] = 1
    """How many texts to write, one after the other."""
    show_confidence: bool = False
    """Colour each character by the probability that the network gave it: orange is a surprise, blue was expected."""


@dataclass
class Train(Training):
    """Learn to write like a text; the network with the best validation loss is saved as RUN/model.keras."""

    QUICK: ClassVar = {"epochs": 10, "units": 256, "dropout": 0.1, "weight_dropout": 0.1, "learning_rate": 5e-3}

    run: Path = Path("outputs/char_rnn/train")
    data: str = "tiny_shakespeare"
    """A UTF-8 text file or the TFDS name of a text; its last tenth is for validation."""
    epochs: Annotated[int, Range(1, 10_000)] = 70
    """Passes over the training text."""
    batch: Annotated[int, Range(1, 10_000)] = 64
    """Streams of the text that are read in parallel; fewer for a short text."""
    window: Annotated[int, Range(1, 10_000)] = 128
    """Characters that the gradient reaches back over."""
    layers: Annotated[int, Range(1, 10_000)] = 2
    """LSTM layers."""
    units: Annotated[int, Range(1, 10_000)] = 512
    """Size of each layer's state."""
    embedding: Annotated[int, Range(1, 10_000)] = 128
    """Size of a symbol's vector."""
    dropout: Annotated[float, Range(0, 0.9)] = 0.4
    """Share of each layer's outputs left out in training, the same for a whole window; of the embedding, a quarter."""
    weight_dropout: Annotated[float, Range(0, 0.9)] = 0.4
    """Share of the recurrent weights left out in training."""
    forget: Annotated[float, Range(0, 1)] = 0.2
    """Chance that a window begins without memory of the text before it."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 3e-3
    """AdamW's step size after the warm-up; it falls to zero along a cosine."""
    weight_decay: Annotated[float, Range(0, 1)] = 0.05
    """AdamW's weight decay, of everything but biases."""
    average: Annotated[float, Range(1e-9, 1)] = 0.03
    """Share of the run over which the weights are averaged."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers, on the last tenth of a text and on a text that the network writes."""

    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    data: str = "tiny_shakespeare"
    """The text that the network was trained on: a UTF-8 file or a TFDS name."""
    blocks: Annotated[int, Range(1, 10_000_000)] = 12_800
    """Random blocks of 256 characters to measure on (nanoGPT: 200 batches of 64)."""
    seed: Seed = 1
    """Seed of the blocks and of the text that it writes."""


# ------------------------------------------------------------------------------------------------------- Network


def char_model(symbols: int, config: Train, batch: int | None = None) -> keras.Model:
    """ids int32 (batch, time) -> logits float32 (batch, time, symbols), from a state of zeros.

    With `batch`, the form for training: the same weights, dropout, and states that last from batch to batch.
    """
    import keras
    from keras import layers

    from shared.layers.weight_drop_lstm import WeightDropLSTM

    ids = keras.Input((None,), batch_size=batch, dtype="int32", name="ids")
    spread = keras.initializers.RandomNormal(stddev=1.0)  # Keras' own, 0.03, costs the first 200 steps
    table = layers.ReversibleEmbedding(
        symbols, config.embedding, embeddings_initializer=spread, reverse_dtype="float32", name="symbols"
    )
    x = table(ids)
    for n in range(config.layers):
        if batch is None:
            x = layers.LSTM(config.units, return_sequences=True)(x)
        else:
            x = layers.SpatialDropout1D(config.dropout if n else config.dropout / 4)(x)
            rules: dict[str, Any] = {
                "weight_dropout": config.weight_dropout,
                "forget": config.forget,
                "seed": config.seed,
            }
            x = WeightDropLSTM(config.units, **rules, return_sequences=True, stateful=True)(x)
    if batch is not None:
        x = layers.SpatialDropout1D(config.dropout)(x)
    x = layers.Dense(config.embedding, name="head")(x)
    return keras.Model(ids, table(x, reverse=True), name=APP)


def load(model: Path | None) -> tuple[keras.Model, Alphabet]:
    """A saved network and its alphabet; UserError if this app did not train it."""
    network, config = saved_models.load_for(APP, model)
    symbols = config.get("vocabulary")
    if not isinstance(symbols, str) or network.name != APP or network.output_shape[-1] != len(symbols):
        raise UserError(f"{model} is not a network that this app trained, with its vocabulary in config.json.")
    return network, Alphabet(symbols)


# ---------------------------------------------------------------------------------------------------------- Data


def windows(ids: np.ndarray, config: Train, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches (ids, next ids) without end, (batch, window) each; each row continues that of the batch before."""
    shape = config.batch, (steps := len(ids) // (config.batch * config.window)), config.window
    while True:
        # each epoch cuts the text at other places, which depend on the seed and the epoch's number alone
        turned = np.roll(ids, np.random.default_rng([config.seed, epoch]).integers(len(ids)))
        rows, following = np.resize(turned, shape), np.resize(np.roll(turned, -1), shape)
        yield from ((rows[:, n], following[:, n]) for n in range(steps))
        epoch += 1


# ------------------------------------------------------------------------------------------------------ Training


def checked(config: Train) -> tuple[Train, str]:
    """The settings to train with, the batch no larger than the text allows, and the text; or a UserError."""
    config = settings.resumed(config)
    text = open_text(config.data)
    windows = len(split(text)[0]) // config.window
    if windows < config.replicas or len(text) < 20:
        raise UserError(f"{config.data} is shorter than a window of {config.window} characters: give more text.")
    if len(set(text)) < 2:
        raise UserError(f"{config.data} has one symbol only: give a text with something to learn.")
    batch = min(config.batch, windows // config.replicas * config.replicas)
    return replace(settings.begin(config, digest_of([text])), batch=batch), text


def fit(config: Train, text: str, rows: int) -> float:
    """The training itself, `rows` of a batch on each device; returns the best validation loss."""
    import keras

    alphabet = Alphabet.of(text)
    ids, held_out = map(alphabet.encode, split(text))
    steps = len(ids) // (config.batch * config.window)
    network, shipped = char_model(len(alphabet), config, rows), char_model(len(alphabet), config)
    if config.init:
        if load(config.init)[1].symbols != alphabet.symbols:
            raise UserError(f"{config.init} writes other symbols than {config.data} has: train without --init.")
        saved_models.start_from(shipped, config.init)
        for ours, theirs in zip(network.trainable_variables, shipped.trainable_variables, strict=True):
            ours.assign(theirs)
    optimizer = adamw(config.epochs * steps, config.learning_rate, config.weight_decay, config.average)
    network.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    say(f"{len(text):,} characters, {len(alphabet):,} symbols; {shipped.count_params():,} parameters.")
    block_losses, writer = compile_block_losses(shipped), Writer(shipped)

    def validate() -> float:
        shipped.set_weights([variable.numpy() for variable in network.trainable_variables])
        rng = np.random.default_rng(config.seed)
        sample, _ = joined(writer.write(alphabet.encode(alphabet.start), 240, rng, temperature=0.8))
        print(f"\n{'-' * 60}\n{alphabet.decode(sample)}")
        return float(block_losses(held_out).mean())

    def save_best(epoch: int, loss: float) -> None:
        saved_models.save(
            shipped, config.run, dict(asdict(config), epoch=epoch, val_loss=loss, vocabulary=alphabet.symbols)
        )

    batches = partial(windows, ids, config)
    return fit_loop.fit(
        network, batches, validate, save_best, config.run, epochs=config.epochs, steps=steps, resume=config.resume
    )


# --------------------------------------------------------------------------------------------------------- Verbs


def train(config: Train) -> None:
    """Learn to write like a text; Ctrl-C saves, --resume goes on."""
    config, text = checked(config)
    with devices.training(config) as device:
        best = fit(config, text, device.rows(config.batch))
    print(f"Best validation: {best:.4f} nats per character. The model and its curve are in {config.run}.")
    print(f"Let it write: python apps/{APP}.py --model {config.run}")


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers: blocks, the whole stream, words and copies."""
    learned, held_out = split(open_text(config.data))
    if len(held_out) < 2:
        raise UserError(f"{config.data} is too short to measure on its last tenth: give 20 characters or more.")
    network, alphabet = load(config.model)
    ids, rng = alphabet.encode(held_out), np.random.default_rng(config.seed)
    print(f"{network.count_params():,} parameters; the last {len(ids):,} characters of {config.data}")
    print(f"{'':36}{'nats/char':>12}{'bits/char':>12}{'perplexity':>12}")
    starts = rng.integers(0, max(len(ids) - BLOCK, 1), config.blocks)
    blocks = compile_block_losses(network)(ids, starts)
    _, scores = joined(Writer(network, chunk=1024).write(ids, 0, rng))
    for name, nats in ((f"{config.blocks:,} random blocks of {BLOCK}", blocks), ("one pass, state kept", -scores)):
        mean = float(nats.mean())
        print(f"{name:36}{mean:12.4f}{mean / np.log(2):12.4f}{np.exp(mean):12.3f}")
    sample, _ = joined(Writer(network).write(alphabet.encode(alphabet.start), 10_000, rng, temperature=0.8))
    written, known = alphabet.decode(sample), set(words(learned))
    share, usual = (f"{np.mean([word in known for word in words(text)] or 0):.1%}" for text in (written, held_out))
    copied = longest_copy(written, learned)
    print("10,000 characters that it wrote at temperature 0.8, compared with the text it learned from:")
    print(f"words that occur in that text: {share} (of the words in the last tenth: {usual})")
    print(f"longest passage copied from it: {len(copied)} characters, {copied!r}")


def encoded_prompt(config: Write, alphabet: Alphabet, warn: Callable[[str], None] = say) -> np.ndarray:
    """The prompt as ids, after the start symbol; warns of characters that the network does not know."""
    prompt = terminal.read_pipe() if config.prompt is None else config.prompt
    text, changes = alphabet.spell(prompt[-2000:])
    if changes:
        warn(f"The network does not know every character of the prompt: it reads {changes}.")
    return alphabet.encode(alphabet.start + text)


def stream(
    config: Write, alphabet: Alphabet, writer: Writer, prompt: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """A text that begins with the prompt, piece by piece as it is written, with the probability of each character."""
    pieces = writer.write(prompt, config.length, rng, config.temperature, config.top_k, config.top_p)
    return ((alphabet.decode(ids), np.exp(scores)) for ids, scores in pieces)


def write(config: Write) -> None:
    """Continue a prompt, and show the text as it is written."""
    path = config.output and output_path(config.output, APP, "text.txt")
    network, alphabet = load(config.model)
    prompt, writer = encoded_prompt(config, alphabet), Writer(network)
    seed = secrets.randbelow(2**32) if config.seed is None else config.seed
    texts, began_s = [], time.perf_counter()
    if config.show_confidence:
        say(f"Probability: {terminal.colour_legend()}")
    for n in range(config.samples):
        print("-" * 60 + "\n" if n else "", end="")
        pieces = stream(config, alphabet, writer, prompt, np.random.default_rng([seed, n]))
        texts.append(terminal.print_as_written(pieces, config.show_confidence))
    pace = sum(map(len, texts)) / (time.perf_counter() - began_s)
    say(f"{pace:,.0f} characters a second, compiling included; --seed {seed} writes this again.")
    if path:
        with write_atomically(path) as temporary:
            temporary.write_text("\n".join(texts) + "\n", encoding="utf-8")
        say(f"The text is also in {path}.")
    say(f"Try next: python apps/{APP}.py --prompt ROMEO: --show-confidence, or: python apps/{APP}.py train --quick")


if __name__ == "__main__":
    cli.run(__doc__, write, {"train": train, "evaluate": evaluate})
