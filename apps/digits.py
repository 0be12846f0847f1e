"""Digits: draw one, and see what every layer sees; the oldest famous result, with its numbers from 1989 to today.

    python apps/digits.py                              ten test digits, some drawn by code, and a look inside
    python apps/digits.py PHOTO.jpg                    reads the digits on a photo of handwriting
    python apps/digits.py train --data mnist           learns; --network lenet5 is that of 1998, --quick takes minutes
    python apps/digits.py evaluate --data mnist        recomputes the numbers of the model card

Method: convolutions that learn their filters (LeCun et al. 1989, "Backpropagation applied to handwritten zip code
recognition"; LeCun et al. 1998, "Gradient-based learning applied to document recognition"), with batch normalisation
(arXiv:1502.03167) and drawings distorted anew each time (Simard et al. 2003). Of letters, scribbles and noise the
network learns to be unsure (outlier exposure, Hendrycks et al. 2019, arXiv:1812.04606). What is on a photo is made as
MNIST's digits were. Measured results, with hardware and time, are in saved_models/digits/README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.digits import distortions, measures, mnist
from apps.parts.digits.ink import SIDE, Found
from apps.parts.digits.inputs import print_digits, read_photos, sample_digits
from apps.parts.digits.mnist import Digits
from apps.parts.digits.reader import NEIGHBOURS, Answer, Reader, as_picture, known_digits
from apps.parts.digits.sheets import save_errors, save_inside
from shared import cli, saved_models, settings
from shared.classifiers.metrics import softmax
from shared.console import finish_batch, say
from shared.data.batches import shuffled, spread
from shared.data.photo_files import named_files
from shared.drawing import pictures
from shared.errors import UserError
from shared.settings import Range, Settings, Training
from shared.training import devices, fit_loop
from shared.training.inference import compiled_inference
from shared.training.optimizers import adamw

if TYPE_CHECKING:
    import keras

APP = "digits"
BATCH = 250  # drawings at a time where nothing is learned
NEIGHBOURS_KEPT = 2000  # training digits that are kept beside the model, to show the nearest
DOUBTED = 0.01  # share of the digits held out of which the network may say that they are none
Answers = Callable[[np.ndarray], np.ndarray]  # drawings uint8 (n, 28, 28) -> logits (n, 10)


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Read(Settings):
    """Read digits, and show what the layers of the network see of one."""

    photos: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Photos or scans of handwritten digits; by default ten test digits and some drawn by code."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the picture goes; of several photos, each has its number in the name."""
    inside: Annotated[int, Range(1, 1_000_000)] = 1
    """Which digit to look at from inside, counted from 1."""
    json: bool = False
    """Print JSON."""


@dataclass
class Train(Training):
    """Learn to read digits; the network with the lowest loss on digits held out is saved as RUN/model.keras."""

    QUICK: ClassVar = {"epochs": 2}

    run: Path = Path("outputs/digits/train")
    data: str = "mnist"
    """mnist, an .npz file with x_train, y_train, x_test, y_test, or a folder with folders 0 to 9."""
    network: Literal["cnn", "lenet5", "lecun1989", "mlp"] = "cnn"
    """Which network: the one that ships, LeNet-5 of 1998, that of 1989, or one with a single hidden layer."""
    units: Annotated[int, Range(1, 10_000)] = 120
    """Hidden units of the mlp."""
    examples: Annotated[int, Range(10, 10_000_000)] = 10_000_000
    """Learn from so many digits at most; 7291 are as many as in 1989."""
    epochs: Annotated[int, Range(1, 10_000)] = 40
    """Passes over the digits."""
    batch: Annotated[int, Range(1, 100_000)] = 128
    """Digits in a batch."""
    distortion: Annotated[float, Range(0, 3)] = 1.0
    """How much each drawing is turned, bent and stretched; 0 leaves them as they are."""
    outliers: Annotated[float, Range(0, 0.5)] = 0.06
    """Share of a batch that are letters, scribbles and noise, of which it learns to be unsure."""
    dropout: Annotated[float, Range(0, 0.9)] = 0.4
    """Share of the last features that are left out in training (cnn)."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 3e-3
    """AdamW's step size after the warm-up; it falls to zero along a cosine."""
    weight_decay: Annotated[float, Range(0, 1)] = 0.02
    """AdamW's weight decay, of everything but biases."""
    average: Annotated[float, Range(1e-9, 1)] = 0.02
    """Share of the run over which the weights are averaged."""
    held_out: Annotated[int, Range(1, 1_000_000)] = 5000
    """Digits of the training split that choose the best epoch."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers on test digits: errors, doubt, other pens and places."""

    data: str = "mnist"
    """mnist, an .npz file, or a folder, as of train --data."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    changed: Annotated[int, Range(10, 1_000_000)] = 1000
    """How many test digits to shift, turn and scale."""
    classical: Annotated[int, Range(0, 10_000_000)] = 0
    """Also train scikit-learn's methods, on so many digits at most; 55000 take about ten minutes."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the picture of the wrong digits goes."""


# ------------------------------------------------------------------------------------------------------ Networks


def modern_network(config: Train, dtype: str) -> keras.Model:
    """Six convolutions in two stages, each stage's last one at half the resolution; 325,000 weights."""
    import keras
    from keras import layers

    def convolution(x: Any, filters: int, size: int, name: str, **options: Any) -> Any:
        x = layers.Conv2D(filters, size, use_bias=False, name=name, dtype=dtype, **options)(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm", dtype=dtype)(x)
        return layers.ReLU(name=f"{name}_relu", dtype=dtype)(x)

    drawings = keras.Input((SIDE, SIDE, 1), dtype="uint8", name="drawings")
    x = layers.Rescaling(1 / 255, dtype=dtype)(drawings)
    for stage, filters in enumerate((32, 64), 1):
        x = convolution(x, filters, 3, f"conv{stage}a")
        x = convolution(x, filters, 3, f"conv{stage}b")
        x = convolution(x, filters, 5, f"conv{stage}c", strides=2, padding="same")
    x = layers.Flatten(dtype=dtype)(x)  # (batch, 4 * 4 * 64)
    x = layers.Dense(128, use_bias=False, name="features", dtype=dtype)(x)
    x = layers.BatchNormalization(momentum=0.9, name="features_norm", dtype=dtype)(x)
    x = layers.ReLU(name="features_relu", dtype=dtype)(x)
    x = layers.Dropout(config.dropout, dtype=dtype)(x)
    return keras.Model(drawings, layers.Dense(10, name="logits", dtype="float32")(x), name=APP)


def lenet5(config: Train, dtype: str) -> keras.Model:
    """LeNet-5 (LeCun et al. 1998, figure 2), with all maps of S2 connected to C3, and softmax instead of RBF units."""
    import keras
    from keras import layers

    tanh = {"activation": "tanh", "dtype": dtype}
    drawings = keras.Input((SIDE, SIDE, 1), dtype="uint8", name="drawings")
    x = layers.Rescaling(1 / 255, dtype=dtype)(drawings)
    x = layers.ZeroPadding2D(2, dtype=dtype)(x)  # (batch, 32, 32, 1)
    x = layers.Conv2D(6, 5, name="c1", **tanh)(x)
    x = layers.AveragePooling2D(2, name="s2", dtype=dtype)(x)
    x = layers.Conv2D(16, 5, name="c3", **tanh)(x)
    x = layers.AveragePooling2D(2, name="s4", dtype=dtype)(x)
    x = layers.Conv2D(120, 5, name="c5", **tanh)(x)
    x = layers.Dense(84, name="f6", **tanh)(layers.Flatten(dtype=dtype)(x))
    return keras.Model(drawings, layers.Dense(10, name="logits", dtype="float32")(x), name=APP)


def lecun1989(config: Train, dtype: str) -> keras.Model:
    """The network of 1989: 16 x 16 pixels, two layers of 12 maps at half the resolution each, 30 units."""
    import keras
    from keras import layers

    tanh = {"activation": "tanh", "dtype": dtype}
    drawings = keras.Input((SIDE, SIDE, 1), dtype="uint8", name="drawings")
    x = layers.Rescaling(2 / 255, -1, dtype=dtype)(drawings)
    x = layers.Cropping2D(2, dtype=dtype)(x)
    x = layers.Resizing(16, 16, antialias=True, dtype="float32")(x)
    x = layers.Conv2D(12, 5, strides=2, padding="same", name="h1", **tanh)(x)  # (batch, 8, 8, 12)
    x = layers.Conv2D(12, 5, strides=2, padding="same", name="h2", **tanh)(x)  # (batch, 4, 4, 12)
    x = layers.Dense(30, name="h3", **tanh)(layers.Flatten(dtype=dtype)(x))
    return keras.Model(drawings, layers.Dense(10, name="logits", dtype="float32")(x), name=APP)


def mlp(config: Train, dtype: str) -> keras.Model:
    """One hidden layer, which sees pixels and no neighbourhoods."""
    import keras
    from keras import layers

    drawings = keras.Input((SIDE, SIDE, 1), dtype="uint8", name="drawings")
    x = layers.Flatten(dtype=dtype)(layers.Rescaling(1 / 255, dtype=dtype)(drawings))
    x = layers.Dense(config.units, activation="relu", name="hidden", dtype=dtype)(x)
    return keras.Model(drawings, layers.Dense(10, name="logits", dtype="float32")(x), name=APP)


NETWORKS = {"cnn": modern_network, "lenet5": lenet5, "lecun1989": lecun1989, "mlp": mlp}


def network_of(config: Train, dtype: str = "float32") -> keras.Model:
    """Drawings uint8 (batch, 28, 28, 1) -> logits float32 (batch, 10)."""
    return NETWORKS[config.network](config, dtype)


# ---------------------------------------------------------------------------------------------------------- Data


def split(digits: Digits, config: Train) -> tuple[Digits, Digits]:
    """Those to learn from, and those held out; UserError if there are too few."""
    order = np.random.default_rng(config.seed).permutation(len(digits))
    held, learned = np.split(order, [config.held_out])
    if len(learned) < config.batch:
        raise UserError(f"--data has {len(digits):,} digits: too few for --held-out {config.held_out:,} and a batch.")
    return digits.take(learned[: max(config.examples, config.batch)]), digits.take(held)


def batches(digits: Digits, config: Train, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(drawings uint8 (batch, 28, 28, 1), wanted probabilities (batch, 10)) without end.

    Each digit is distorted anew. What is no digit has a tenth for each: the network learns to be unsure of it.
    """
    wanted = np.eye(10, dtype=np.float32)
    letters = distortions.letters(distortions.TRAINING_FONTS)
    for chosen, rng in shuffled(len(digits), config.batch, config.seed, epoch):
        drawings, targets = digits.images[chosen], wanted[digits.labels[chosen]]
        if config.distortion:
            drawings = distortions.with_marks(drawings, digits.labels[chosen], rng)
        strange = int(rng.binomial(len(chosen), config.outliers))
        if strange:
            drawings[:strange] = distortions.no_digits(strange, rng, letters)
            targets[:strange] = 0.1
        if config.distortion:
            drawings = distortions.distorted(drawings, rng, config.distortion)
        yield drawings[..., None], targets


# ------------------------------------------------------------------------------------------------------ Training


def cross_entropy(wanted: Any, logits: Any) -> Any:
    """The loss: minus the mean logarithm of the probability of what is wanted, (batch,)."""
    from keras import ops

    return -ops.sum(wanted * ops.log_softmax(logits), axis=-1)


def logits_of(network: keras.Model) -> Answers:
    """The network's answers to drawings, uint8 (n, 28, 28) -> float32 (n, 10)."""
    answers = compiled_inference(lambda drawings: network(drawings, training=False), network, batch=BATCH)
    return lambda drawings: answers(drawings[..., None])


def fit(config: Train, learned: Digits, held_out: Digits, precision: str = "float32") -> float:
    """The training itself; returns the lowest loss on the digits held out, in nats."""
    from shared.training.batch_norm import fused

    network, shipped = fused(network_of(config, precision)), network_of(config)
    if config.init:
        saved_models.start_from(shipped, config.init)
        network.set_weights(shipped.get_weights())
    steps = len(learned) // config.batch
    optimizer = adamw(config.epochs * steps, config.learning_rate, config.weight_decay, config.average)
    network.compile(optimizer, cross_entropy)
    say(f"{len(learned):,} digits, {len(held_out):,} held out; {network.count_params():,} parameters.")
    answers = logits_of(shipped)

    known = learned.take(spread(len(learned), NEIGHBOURS_KEPT))

    def validate() -> float:
        shipped.set_weights(network.get_weights())
        logits = answers(held_out.images)
        errors = int(np.sum(logits.argmax(axis=-1) != held_out.labels))
        print(f"\nDigits held out: {errors} of {len(held_out):,} wrong ({errors / len(held_out):.2%}).")
        return float(np.mean(np.asarray(cross_entropy(np.eye(10, dtype=np.float32)[held_out.labels], logits))))

    def save_best(epoch: int, loss: float) -> None:
        surest = softmax(answers(held_out.images)).max(axis=-1)
        record: dict[str, Any] = {"epoch": epoch, "val_loss": loss, "least": float(np.quantile(surest, DOUBTED))}
        record["neighbours"] = "".join(map(str, known.labels))
        pictures.save_image(config.run / NEIGHBOURS, as_picture(known.images))
        saved_models.save(shipped, config.run, asdict(config) | record)

    epochs = partial(batches, learned, config)
    return fit_loop.fit(
        network, epochs, validate, save_best, config.run, epochs=config.epochs, steps=steps, resume=config.resume
    )


def train(config: Train) -> None:
    """Learn to read digits; Ctrl-C saves, --resume goes on."""
    config = settings.resumed(config)
    digits, _ = mnist.read(config.data)
    learned, held_out = split(digits, config)
    settings.begin(config, digits.digest)
    with devices.training(config) as device:
        best = fit(config, learned, held_out, device.precision)
    print(f"Best loss on digits held out: {best:.4f} nats. The model and its curve are in {config.run}.")
    print(f"Try it: python apps/{APP}.py --model {config.run}")


# ---------------------------------------------------------------------------------------------------- Evaluation


def load(model: Path | None = None) -> Reader:
    """A saved network, ready to read; UserError if this app did not train it."""
    network, record = saved_models.load_for(APP, model)
    least = record.get("least", 0.0)
    if network.name != APP or network.input_shape[1:] != (SIDE, SIDE, 1) or not isinstance(least, float):
        raise UserError(f"{model} is not a network that this app trained, with its record in config.json.")
    return Reader(network, least, *known_digits(saved_models.folder_of(model or APP), record))


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers, and draw the wrong digits."""
    path = pictures.picture_path(config.output, APP, "wrong.png")
    reader = load(config.model)
    answers = logits_of(reader.network)
    learned, test = mnist.read(config.data)
    logits = answers(test.images)
    found = logits.argmax(axis=-1)
    print(f"{reader.network.count_params():,} parameters; {len(test):,} test digits of {config.data}")
    print(measures.error_line("this network", found, test.labels))
    some = test.take(spread(len(test), config.changed))
    for lines in (
        measures.report(logits, test.labels),
        measures.robustness(answers, some),
        measures.pen_lines(answers),
        measures.doubt_lines(reader, test),
        [measures.speed_line(answers, test.images)],
        measures.classical(learned, test, config.classical) if config.classical else (),
    ):
        for line in lines:
            print(line, flush=True)
    wrong = np.flatnonzero(found != test.labels)
    if len(wrong):
        save_errors(path, reader.read(test.images[wrong]), test.labels[wrong])
        say(f"The test digits that it gets wrong: {path}")


# ---------------------------------------------------------------------------------------------------------- Demo


def read(config: Read) -> None:
    """Read digits, print them, and draw what the layers see."""
    path = pictures.picture_path(config.output, APP, "inside.png")
    files = named_files(config.photos)
    if not files:
        reader = load(config.model)
        answers = reader.read(sample_digits())
        show(config, reader, path, answers)
        print_digits([("samples", answers, [])], config.json)
        say(f"Try next: python apps/{APP}.py YOUR_PHOTO.jpg, or draw one: python apps/gallery.py")
        return
    found, broken = read_photos(files)
    reader = load(config.model)
    results = []
    for n, (file, photo, places) in enumerate(found, 1):
        answers = reader.read(np.stack([place.drawing for place in places]))
        results.append((str(file), answers, places))
        target = path if len(found) == 1 else path.with_stem(f"{path.stem}-{n}")
        show(config, reader, target, answers, photo, places)
    print_digits(results, config.json)
    finish_batch(broken, len(files), "cannot be read", f"python apps/{APP}.py YOUR_PHOTO.jpg --inside 2")


def show(
    config: Read,
    reader: Reader,
    path: Path,
    answers: list[Answer],
    photo: np.ndarray | None = None,
    places: Sequence[Found] = (),
) -> None:
    """Draw the answers, and what the layers see of one."""
    chosen = min(config.inside, len(answers)) - 1
    if chosen != config.inside - 1:
        say(f"--inside is {config.inside}, and there are {len(answers)} digits: this is the last one.")
    save_inside(path, answers, reader.look_inside(answers[chosen].drawing), chosen, photo, places)
    say(f"What the layers see: {path}")


if __name__ == "__main__":
    cli.run(__doc__, read, {"train": train, "evaluate": evaluate})
