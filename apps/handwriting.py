"""It writes by hand: a network that moves a pen, point by point, while it reads the text that it writes.

    python apps/handwriting.py "Machine learning Mastery"       three hands, as a picture
    python apps/handwriting.py "Dear Ann," --hand 4 -o ann.svg   one hand, as lines; .webp and .gif are films
    python apps/handwriting.py train --data unipen_words.npz      learns; --quick takes minutes
    python apps/handwriting.py evaluate --data unipen_words.npz   recomputes the model card's numbers

Method: Graves 2013, "Generating sequences with recurrent neural networks", arXiv:1308.0850. An LSTM gets the pen's last
step, and sees the text through a soft window that slides over its characters (shared/layers/window_lstm.py); a second
LSTM follows. For the next step the network gives no place, but a density of places, a mixture of Gaussians
(shared/layers/mixture_density.py), and the chances that a stroke ends and that all is written. Learning makes what
people did likely; writing draws from the density, narrowed by `--bias`. A small vector says whose hand it is.
Measured results, with hardware and time, are in saved_models/handwriting/README.md.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.handwriting import hands, lines, measures, sheets, sources
from apps.parts.handwriting.inputs import given_text, lines_of, spelled
from apps.parts.handwriting.lines import Lines
from apps.parts.handwriting.pen import Pen, Written, pen_of
from shared import cli, saved_models, settings
from shared.console import say
from shared.drawing.pictures import format_of
from shared.errors import UserError, in_range
from shared.files import output_path
from shared.settings import Range, Settings, Training
from shared.training import devices, fit_loop
from shared.training.inference import compiled_inference
from shared.training.losses import mean_of_batch
from shared.training.optimizers import adamw

if TYPE_CHECKING:
    import keras

APP = "handwriting"
OFTEN = 50  # times that a character must occur to be learned


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Write(Settings):
    """Write a text by hand."""

    text: tyro.conf.Positional[tuple[str, ...]] = ()
    """What to write; by default a sample. Long texts get several lines."""
    file: Path | None = None
    """A text file to write."""
    hands: Annotated[int, Range(1, 100)] = 3
    """How many hands write it, one below the other."""
    hand: Annotated[int | None, Range(1, 100)] = None
    """One hand alone, by its number."""
    bias: Annotated[float, Range(0, 10)] = 1.0
    """Neatness: 0 writes as people do, with all their slips."""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 1
    """Seed of what is drawn from the densities."""
    line: Annotated[int, Range(10, 60)] = 30
    """Characters in a line, at most."""
    window: bool = False
    """Draw the window's path over the text instead: which characters the network read at each point."""
    model: Path | None = None
    """A model.keras file, with its config.json beside it, or their folder; by default those in saved_models/."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where it goes: .png, .jpg, .svg, or a film of the pen as .webp or .gif."""


@dataclass
class Train(Training):
    """Learn to write; the network that finds held-out writers' steps likeliest is saved as RUN/model.keras."""

    QUICK: ClassVar = {"epochs": 2, "units": 128, "batch": 21}

    run: Path = Path("outputs/handwriting/train")
    data: tuple[str, ...] = ("unipen_words.npz",)
    """Handwriting: .npz files, folders of IAM-OnDB or UNIPEN, or a folder of one's own strokes (.svg or .json)."""
    epochs: Annotated[int, Range(1, 10_000)] = 30
    """Passes over the data."""
    batch: Annotated[int, Range(1, 100_000)] = 42
    """Lines in a batch, each of 384 points of the pen."""
    units: Annotated[int, Range(8, 4096)] = 256
    """Size of each LSTM's state."""
    layers: Annotated[int, Range(1, 2)] = 2
    """LSTMs, that with the window included."""
    reads: Literal["window", "nothing"] = "window"
    """nothing leaves the text out, for comparison: then it learns to scribble."""
    gaussians: Annotated[int, Range(1, 100)] = 20
    """Gaussians in the mixture."""
    hand_size: Annotated[int, Range(1, 1000)] = 16
    """Numbers that say whose hand it is."""
    nobody: Annotated[float, Range(0, 1)] = 0.15
    """Share of the lines that do not say who wrote them, so that it can write as nobody in particular."""
    dropout: Annotated[float, Range(0, 0.9)] = 0.1
    """Share of the first LSTM's outputs that the second one does not get."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 3e-3
    """AdamW's step size after the warm-up; it falls to zero along a cosine."""
    average: Annotated[float, Range(1e-9, 1)] = 0.03
    """Share of the run over which the weights are averaged."""
    blends: Annotated[int, Range(1, 100)] = 10
    """Hands to ship, each a blend of five writers or more."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers: nats a point on held-out writers, and how alike two lines of a hand are."""

    data: tuple[str, ...] = ("unipen_words.npz",)
    """Handwriting, in the forms of train --data."""
    split: Literal["train", "validation", "test"] = "test"
    """Whose writing: no writer is in two splits."""
    model: Path | None = None
    """A model.keras file, with its config.json beside it, or their folder; by default those in saved_models/."""


# ------------------------------------------------------------------------------------------------------- Network


def handwriting_network(symbols: int, config: Train, dtype: str = "float32", training: bool = False) -> keras.Model:
    """[steps (batch, time, 3), text int32 (batch, characters), hand (batch, size)] -> numbers of a density.

    The numbers, (batch, time, 6 * gaussians + 2), are those of shared/layers/mixture_density.py, for the next step.
    """
    import keras
    from keras import layers, ops

    from shared.layers.mixture_density import numbers_of
    from shared.layers.weight_drop_lstm import WeightDropLSTM
    from shared.layers.window_lstm import WindowLSTM

    steps = keras.Input((None, 3), name="steps")
    text = keras.Input((None,), dtype="int32", name="text")
    hand = keras.Input((config.hand_size,), name="hand")
    characters = ops.one_hot(text - 1, symbols) * float(config.reads == "window")  # padding becomes zeros
    hands = ops.expand_dims(hand, 1) + ops.zeros_like(steps[..., :1])  # (batch, time, size)

    seen = ops.concatenate([steps, hands], axis=-1)
    hidden, windows = WindowLSTM(config.units, name="window", dtype=dtype)([seen, characters])
    found = [ops.cast(layers.Dropout(config.dropout)(hidden), "float32")]
    if config.layers > 1:
        lstm = WeightDropLSTM if training else layers.LSTM  # the same numbers; the first has the faster gradient
        below = ops.concatenate([seen, *found, ops.cast(windows, "float32")], axis=-1)
        found.append(ops.cast(lstm(config.units, return_sequences=True, name="lstm", dtype=dtype)(below), "float32"))
    numbers = layers.Dense(numbers_of(config.gaussians), name="density", dtype=dtype)
    return keras.Model([steps, text, hand], ops.cast(numbers(ops.concatenate(found, axis=-1)), "float32"), name=APP)


def with_writers(network: keras.Model, writers: int) -> keras.Model:
    """The network for training, which learns the vectors of the writers: one-hot (batch, writers), zeros for nobody."""
    import keras
    from keras import layers

    steps, text, hand = network.inputs
    who = keras.Input((writers,), name="writers")
    table = layers.Dense(hand.shape[-1], use_bias=False, name="hands", kernel_initializer="random_normal")
    given = [keras.Input(steps.shape[1:]), keras.Input(text.shape[1:], dtype="int32"), who]
    return keras.Model(given, network([*given[:2], table(who)]))


# ---------------------------------------------------------------------------------------------------------- Loss


def nats(targets: Any, numbers: Any) -> tuple[Any, Any, Any]:
    """Minus the logarithms of what the network gave the true steps: of place, stroke's end, text's end; (batch, time).

    Targets are those of a `Batch`; steps that are padding count zero.
    """
    from shared.layers.mixture_density import chance_nats, density, place_nats

    found = density(numbers)
    is_step = targets[..., 4]
    place = place_nats(found, targets[..., :2])
    end, finished = chance_nats(found.end_logit, targets[..., 2]), chance_nats(found.finished_logit, targets[..., 3])
    return place * is_step, end * is_step, finished * is_step


def loss(targets: Any, numbers: Any) -> Any:
    """The mean of all three over the steps that are some."""
    return sum(nats(targets, numbers)) / mean_of_batch(targets[..., 4])


# ---------------------------------------------------------------------------------------------------------- Data


def checked(config: Train) -> tuple[Train, Lines, Lines]:
    """The settings to train with, and lines to learn from and to validate with; or a UserError."""
    config = settings.resumed(config)
    numbered = sources.numbered([sources.read(source, "train") for source in config.data])
    counts = Counter(character for sample in numbered for character in sample.text)
    known = {character for character, count in counts.items() if count >= OFTEN}
    characters = "".join(sorted(known | {" "}))  # which is between words that are joined
    rare = sorted(set(counts) - set(characters))
    if rare:
        say(f"Seen fewer than {OFTEN} times, and not learned: {' '.join(rare)}")
    validation = sources.numbered([sources.read(source, "validation") for source in config.data])
    learned, held_out = Lines(numbered, characters), Lines(validation, characters)
    if not learned.points or not held_out.points:
        raise UserError(f"There is too little handwriting in {', '.join(config.data)}: some characters {OFTEN} times.")
    config = settings.begin(config, sources.digest_of_samples([*numbered, *validation]))
    return config, learned, held_out


# ------------------------------------------------------------------------------------------------------ Training


def fit(config: Train, learned: Lines, held_out: Lines, precision: str) -> float:
    """The training itself; returns the fewest nats a point on the held-out writers."""
    symbols, writers = len(learned.characters) + 1, max(learned.by_writer)
    steps = max(sum(1 for _ in learned.lines(np.random.default_rng(0))) // config.batch, 1)
    core = handwriting_network(symbols, config, precision, training=True)
    shipped = handwriting_network(symbols, config)
    if config.init:
        saved_models.start_from(shipped, config.init, characters=learned.characters)
        core.set_weights(shipped.get_weights())
    network = with_writers(core, writers)
    network.compile(adamw(config.epochs * steps, config.learning_rate, average=config.average), loss)
    say(f"{learned.points:,} points by {len(learned.by_writer)} writers; {shipped.count_params():,} parameters.")
    counts = np.array([len(learned.by_writer.get(writer, ())) for writer in range(1, writers + 1)])
    measure = measure_of(shipped)

    def batches(epoch: int) -> Iterator[tuple]:
        for batch in learned.batches(config.batch, epoch, config.seed, config.nobody, steps):
            yield (batch.steps, batch.text, np.eye(writers + 1, dtype=np.float32)[batch.writers, 1:]), batch.targets

    def validate() -> float:
        shipped.set_weights(core.get_weights())
        return sum(measure(held_out)[:2])

    def save_best(epoch: int, score: float) -> None:
        vectors = network.get_layer("hands").get_weights()[0]
        found = hands.blended(vectors, counts, config.blends)
        record = {"epoch": epoch, "nats": score, "characters": learned.characters, "hands": found.tolist()}
        saved_models.save(shipped, config.run, asdict(config) | record)

    options: dict[str, Any] = {"epochs": config.epochs, "steps": steps, "metric": "val_loss", "resume": config.resume}
    return fit_loop.fit(network, batches, validate, save_best, config.run, **options)


def measure_of(network: keras.Model) -> Any:
    """A function from lines to their mean nats a point: of the place, the stroke's end, the text's end; and the errors.

    The last number is the share of points of which the network is wrong about whether the stroke ends there. It is not
    told whose hand it is: these are writers that it never met.
    """
    size = network.inputs[2].shape[-1]

    def found(steps: Any, text: Any, targets: Any) -> Any:
        from keras import ops

        numbers = network([steps, text, ops.zeros((ops.shape(steps)[0], size))], training=False)
        wrong = ops.not_equal(numbers[..., -2] > 0, targets[..., 2] > 0.5)
        parts = *nats(targets, numbers), ops.cast(wrong, "float32") * targets[..., 4]
        return [ops.sum(part, axis=1) for part in parts]

    compiled = compiled_inference(found, network)

    def measure(held_out: Lines) -> np.ndarray:
        total: Any = 0.0
        for batch in held_out.batches(40, epoch=0, seed=0, nobody=1.0):
            total = total + np.array([part.sum() for part in compiled(batch.steps, batch.text, batch.targets)])
        return total / held_out.points

    return measure


def train(config: Train) -> None:
    """Learn to write; Ctrl-C saves, --resume goes on."""
    config, learned, held_out = checked(config)
    with devices.training(config) as device:
        best = fit(config, learned, held_out, device.precision)
    print(f"Fewest nats a point on held-out writers: {best:.3f}. The model and its curve are in {config.run}.")
    print(f'Try it: python apps/{APP}.py --model {config.run} "Machine learning Mastery"')


# ---------------------------------------------------------------------------------------------------- Evaluation


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers: nats of the steps of writers that it never met, and how hands differ."""
    network, record = saved_models.load_for(APP, config.model)
    pen = pen_of(network, record, config.model or APP)
    measure = measure_of(network)
    print(f"{network.count_params():,} parameters, {len(pen.characters)} characters, {len(pen.hands)} hands")
    for source in config.data:
        found = Lines(sources.read(source, config.split), pen.characters)
        if not found.points:
            raise UserError(f"{source} has nothing in {config.split} that this network's characters write.")
        place, end, finished, wrong = measure(found)
        print(
            f"{source}, {config.split}, {found.points:,} points by {len(found.by_writer)} writers, without their hands:"
        )
        print(f"  {place + end:.3f} nats a point: {place:.3f} of the place, {end:.3f} of the stroke's end")
        print(f"  in steps of {lines.STEP:.0f} units; in units they are {2 * np.log(lines.STEP):.3f} more")
        print(f"  {wrong:.2%} wrong about whether a stroke ends; {finished:.4f} nats of the text's end, not counted")
    same, other = alike(pen)
    print("Two lines, in slant, height of letters, width of letters and points in a stroke, differ by")
    print(f"  {same:.2f} standard deviations if one hand wrote them, {other:.2f} if two did")


def alike(pen: Pen, each: int = 8) -> tuple[float, float]:
    """How far apart the styles of two lines are, in standard deviations: of one hand, and of two; other texts each."""
    texts = [spelled(measures.TEXTS[n % len(measures.TEXTS)], pen.characters)[0] for n in range(each)]
    rows = [(hand, text) for hand in range(len(pen.hands)) for text in texts]
    written = pen.write([text for _, text in rows], [hand for hand, _ in rows], 1.0, range(len(rows)))
    return measures.distances([measures.style_of(line) for line in written], [hand for hand, _ in rows])


# ---------------------------------------------------------------------------------------------------------- Demo


def load(model: Path | None = None) -> Pen:
    """The pen of a saved network; UserError if this app did not train it."""
    return pen_of(*saved_models.load_for(APP, model), model or APP)


def written(pen: Pen, texts: Sequence[str], chosen: Sequence[int], bias: float, seed: int) -> list[list[Written]]:
    """The lines in each of the hands, numbered from 0. A line that the pen did not finish is written once more."""
    rows = [(hand, text) for hand in chosen for text in texts]
    found: dict[int, Written] = {}
    for attempt in range(3):
        again = [n for n in range(len(rows)) if n not in found or not found[n].finished]
        seeds = [seed + 7919 * n + 104_729 * attempt for n in again]
        new = pen.write([rows[n][1] for n in again], [rows[n][0] for n in again], bias, seeds)
        found |= dict(zip(again, new, strict=True))
    return [[found[n] for n, (hand, _) in enumerate(rows) if hand == each] for each in chosen]


def write(config: Write) -> None:
    """Write a text by hand, as a picture, a vector drawing, or a film of the pen."""
    path = output_path(config.output, APP, "window.png" if config.window else "handwriting.png")
    if path.suffix.lower() != ".svg" or config.window:
        format_of(path)
    text = given_text(config.text, config.file)
    pen = load(config.model)
    if config.hand:
        in_range("--hand", config.hand, 1, len(pen.hands))
    text, told = spelled(text, pen.characters)
    if told:
        say(f"This network does not know all of these characters: {told}.")
    chosen = [config.hand - 1] if config.hand else list(range(in_range("--hands", config.hands, 1, len(pen.hands))))
    texts = lines_of(text, config.line)
    if path.suffix.lower() in (".webp", ".gif") and len(texts) * len(chosen) > sheets.FILM_LINES:
        raise UserError(f"a film has at most {sheets.FILM_LINES} lines: give a shorter text, fewer hands, or -o x.png.")
    if config.window and len(texts) > sheets.WINDOW_LINES:
        say(f"The window's path is drawn for the first {sheets.WINDOW_LINES} lines.")
        texts = texts[: sheets.WINDOW_LINES]
    found = written(pen, texts, chosen[:1] if config.window else chosen, config.bias, config.seed)
    unfinished = sum(not line.finished for each in found for line in each)
    if unfinished:
        say(f"{unfinished} lines were broken off: give a higher --bias, or another --seed.")
    if config.window:
        sheets.save_window(path, found[0])
    else:
        sheets.save(path, sheets.page_of(found), text)
    points = sum(len(line.points) for each in found for line in each)
    print(f"{len(text)} characters in {len(found)} hands, {points:,} points of the pen: {path}")
    say(f'Try next: python apps/{APP}.py "Your own words" --hand 2 -o pen.webp, or --window')


if __name__ == "__main__":
    cli.run(__doc__, write, {"train": train, "evaluate": evaluate})
