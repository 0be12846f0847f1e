"""Fooling a pretrained network: a photo that looks the same, and that the network calls something else.

    python apps/fgsm.py                                  turns a cup of espresso into something else
    python apps/fgsm.py photo.jpg --epsilon 2/255 -o out.png
    python apps/fgsm.py photo.jpg --attack pgd --target "golf ball" --model MobileNetV2
    python apps/fgsm.py --fool "golf ball"               images of nothing that the network is sure of
    python apps/fgsm.py --sweep FOLDER                   accuracy against epsilon, with noise for comparison
    python apps/fgsm.py train --data FOLDER              trains a network that is harder to fool
    python apps/fgsm.py evaluate                         how strong the attacks are, in numbers

Method: one step along the sign of the gradient of the loss for the pixels, FGSM (Goodfellow, Shlens & Szegedy 2015,
arXiv:1412.6572), or many small ones, PGD (Madry et al. 2018, arXiv:1706.06083). What counts is the saved file: it is
read again, its label asked for again, and no pixel of it is further from the photo than epsilon. Adversarial training
learns from photos that one step from a random start has changed (Wong et al. 2020, arXiv:2001.03994). Measured
results, with hardware and time, are on the cards of photo_classifier and photo_classifier_robust in saved_models/.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.fgsm.equation import equation, guesses_of_terms, report, save
from apps.parts.fgsm.fooling import Fooler, fool_and_report, success_lines
from apps.parts.fgsm.inputs import Goal, attackable, goal_for, lossless, share
from apps.parts.fgsm.photos import Photos, accuracy, among, described, open_photos
from apps.parts.fgsm.sweeping import SWEPT, sweep
from shared import cli, saved_models
from shared.classifiers import fine_tuning, imagenet
from shared.classifiers.attacks import Attacker, grey_levels, noise, rounded, steady_sign
from shared.classifiers.classifier import find_classifier
from shared.classifiers.fine_tuning import FineTuning, crops, photo_network
from shared.console import print_each, say
from shared.data.images import load_image
from shared.data.photo_files import sample_photos
from shared.data.photo_sets import PhotosInMemory
from shared.data.sizes import crop_square
from shared.drawing.pictures import save_image
from shared.errors import UserError
from shared.files import output_path
from shared.layers.mobilenet import imagenet_weights
from shared.settings import Range, Seed, Settings
from shared.training import devices, fit_loop
from shared.training.optimizers import adamw

if TYPE_CHECKING:
    import keras

APP, UNDEFENDED, DEFENDED = "fgsm", "photo_classifier", "photo_classifier_robust"
TRAINED_BY = {UNDEFENDED: "python apps/photo_classifier.py train", DEFENDED: "python apps/fgsm.py train"}
BATCH = 10


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Attack(Settings):
    """Change a photo invisibly, so that a network calls it something else."""

    photo: tyro.conf.Positional[Path | None] = None
    """A photo file; by default scikit-image's cup of coffee."""
    epsilon: str = "2/255"
    """The most that any pixel may change, as a share of the range of its values: 2/255 or 0.008."""
    target: str | None = None
    """What the network shall call it; by default anything else."""
    attack: Literal["fgsm", "pgd"] = "fgsm"
    """fgsm is one step; pgd many small ones, and stronger."""
    steps: Annotated[int | None, Range(1, 10_000)] = None
    """Steps of pgd; by default 10, with a target 40."""
    model: str = UNDEFENDED
    """One from saved_models/, a .keras file (RGB pixels 0..255 to logits), or MobileNetV2, ResNet50 or any other name
    from keras.applications, whose weights Keras downloads once."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the sheet goes, a .png, .bmp or .tif file; the adversarial photos are saved beside it."""
    sweep: Path | None = None
    """Instead of one photo, a folder: plot accuracy against epsilon, for the defended network, too, if it fits."""
    photos: Annotated[int, Range(1, 100_000)] = 100
    """How many photos of that folder to take, spread evenly."""
    fool: str | None = None
    """Instead of a photo, images that show nothing to people, and that the network is sure are this class."""
    start: Literal["noise", "pattern"] = "noise"
    """What such an image begins as: noise, or what a small coordinate network draws."""
    count: Annotated[int, Range(1, 64)] = 8
    """How many of them."""
    seed: Seed = 1
    """Of the first of them."""


@dataclass(kw_only=True)
class Train(FineTuning):
    """Adversarial training: learn the classes of the data from photos that are attacked at every step."""

    run: Path = Path("outputs/fgsm/train")
    epsilon: str = "4/255"
    """The most that the attack changes a pixel, as a share of the range of its values."""
    step: Annotated[float, Range(0.01, 255)] = 1.25
    """Length of the attack's one step, in epsilons."""
    size: Annotated[int, Range(32, 1024)] = 128
    """Side of the photos that the network takes, in pixels."""
    epochs: Annotated[int, Range(1, 100_000)] = 15
    """Passes over the photos."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 5e-4
    """AdamW's step size after the warm-up, then along a cosine to zero."""


@dataclass
class Evaluate(Settings):
    """How many of the photos that a network names rightly it still names rightly after an attack."""

    data: str = "imagenette/160px-v2"
    """A folder of photos, their ImageNet class (n02102040) in the names of files or folders, or a TFDS name."""
    models: tuple[str, ...] = (UNDEFENDED, DEFENDED)
    """What --model takes, one or more."""
    classes_of: str | None = None
    """Let all of them choose among the classes of this model only, and count all photos of these classes."""
    epsilon: str = "2/255"
    """The size of the attacks and of the noise."""
    steps: Annotated[int, Range(1, 100_000)] = 10
    """Steps of PGD."""
    photos: Annotated[int, Range(1, 100_000)] = 200
    """How many photos to take, spread evenly."""
    fooled: Annotated[int, Range(0, 1000)] = 0
    """Instead: of so many classes, how many have an image of nothing that the network is sure of."""


# ------------------------------------------------------------------------------- The fast gradient sign method


def log_odds(logits: Any, labels: Any) -> Any:
    """The loss: the log odds log((1 - p) / p) against the labels; logits (batch, classes) -> (batch,).

    They rise where the cross-entropy -log(p) rises: their gradient is that of the cross-entropy divided by 1 - p. So
    its sign is the same, but where the network is sure, the gradient of the cross-entropy vanishes in float32.
    """
    from keras import ops

    label = ops.one_hot(labels, logits.shape[-1])
    return ops.logsumexp(logits - 1e9 * label, axis=-1) - ops.sum(logits * label, axis=-1)


def gradient_sign(attacker: Attacker, photos: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Where each pixel must go for the loss to rise: -1 or 1, or between them where its gradient is next to nothing."""
    gradient = attacker.gradient(log_odds, photos, labels)  # (photos, height, width, 3)
    return steady_sign(gradient)


def moved(photos: np.ndarray, direction: np.ndarray, epsilon: float) -> np.ndarray:
    """The photos after one step as long as epsilon, uint8."""
    step = np.float32(255 * epsilon) * direction
    return rounded(np.clip(photos + step, 0, 255), photos, epsilon)  # a file holds whole grey levels


def fgsm(
    attacker: Attacker, photos: np.ndarray, labels: np.ndarray, epsilon: float, targeted: bool = False
) -> np.ndarray:
    """photos + epsilon x sign(gradient of the loss): away from the labels, or with `targeted`, to them."""
    direction = gradient_sign(attacker, photos, labels)
    return moved(photos, -direction if targeted else direction, epsilon)


# ---------------------------------------------------------------------------------------- Adversarial training


def pretrained(size: int, wnids: Sequence[str]) -> tuple[keras.Model, list[str]]:
    """ImageNet's MobileNetV2 for these classes, and their labels; a class that ImageNet lacks begins at random."""
    labels, known = imagenet.imagenet_classes()
    columns = [known.index(wnid) if wnid in known else None for wnid in wnids]
    *features, kernel, bias = imagenet_weights()  # kernel: (channels, 1000)
    new = np.random.default_rng(0).normal(0, kernel.std(), (len(kernel), len(wnids)))
    kernel = np.stack([new[:, n] if at is None else kernel[:, at] for n, at in enumerate(columns)], axis=1)
    bias = np.array([0 if at is None else bias[at] for at in columns])
    names = [wnid if at is None else labels[at] for wnid, at in zip(wnids, columns, strict=True)]
    return photo_network(size, [*features, kernel, bias]), names


def batches(photos: PhotosInMemory, config: Train, epoch: int) -> Iterator[tuple]:
    """((photos uint8, labels), labels) without end: the network under attack takes the labels, too."""
    for (cropped,), labels in crops(photos, [config.size], config, epoch):
        yield (cropped, labels), labels


def fast_fgsm(network: keras.Model, photos: Any, labels: Any, epsilon: float, step: float, noise: Any) -> Any:
    """FGSM from a random place within epsilon (both in grey levels): fast enough for every step of a training."""
    import keras
    from keras import ops

    from shared.training.steps import input_gradient

    def loss(x: Any) -> Any:  # BatchNorm as at inference (Pang et al. 2021, arXiv:2010.00467): that network is attacked
        return ops.sum(ops.sparse_categorical_crossentropy(labels, network(x, training=False), from_logits=True))

    photos = ops.cast(photos, "float32")
    low, high = ops.maximum(photos - epsilon, 0.0), ops.minimum(photos + epsilon, 255.0)
    start = photos + keras.random.uniform(ops.shape(photos), -epsilon, epsilon, seed=noise)
    start = ops.clip(start, low, high)
    _, gradient = input_gradient(loss, start)
    return ops.stop_gradient(ops.clip(start + step * ops.sign(gradient), low, high))


def under_attack(network: keras.Model, config: Train) -> keras.Model:
    """What `fit` trains: (photos, labels) -> the network's logits, in training for the attacked photos."""
    import keras

    class UnderAttack(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.noise = network, keras.random.SeedGenerator(config.seed)
            self.epsilon = 255 * share(config.epsilon)

        def call(self, inputs: tuple, training: bool = False) -> Any:
            photos, labels = inputs
            if training:
                photos = fast_fgsm(network, photos, labels, self.epsilon, config.step * self.epsilon, self.noise)
            return network(photos, training=training)

    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.95  # MobileNetV2 has 0.999, for a training a hundred times as long
    built = UnderAttack()
    built((np.zeros((1, *network.input_shape[1:]), np.uint8), np.zeros(1, np.int32)))
    return built


def fit(config: Train, photos: PhotosInMemory, held_out: PhotosInMemory) -> float:
    """The training itself; returns the smallest share of the photos held out that PGD-10 makes it get wrong."""
    import keras

    network, labels = pretrained(config.size, photos.classes)
    steps = len(photos) // config.batch
    if config.init:
        saved_models.start_from(network, config.init, wnids=photos.classes)
    learner = under_attack(network, config)
    optimizer = adamw(config.epochs * steps, config.learning_rate, config.weight_decay, config.average)
    learner.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    say(f"{len(photos):,} photos, {len(labels):,} classes; {network.count_params():,} parameters.")

    def save_best(epoch: int, loss: float) -> None:
        record = asdict(config) | {"epoch": epoch, "val_loss": loss, "labels": labels, "wnids": photos.classes}
        saved_models.save(network, config.run, record)

    validate = validation(network, held_out, config)
    epochs = partial(batches, photos, config)
    return fit_loop.fit(
        learner, epochs, validate, save_best, config.run, epochs=config.epochs, steps=steps, resume=config.resume
    )


def validation(network: keras.Model, held_out: PhotosInMemory, config: Train) -> Callable[[], float]:
    """Gives the share of photos held out that the network gets wrong after PGD-10."""
    attacker, pictures, best = Attacker(network, BATCH), held_out.squares(config.size), 0.0

    def validate() -> float:
        nonlocal best
        clean = accuracy(attacker, pictures, held_out.labels)
        one_step, pgd = robustness(attacker, pictures, held_out.labels, share(config.epsilon))
        print(f"\nPhotos held out: {clean:.1f}% right, {one_step:.1f}% after FGSM, {pgd:.1f}% after PGD-10.")
        if pgd < best - 15 and pgd < one_step - 20:
            say(
                "Catastrophic overfitting: it withstands the one step it trains with, and PGD no longer. "
                "The best network so far stays saved; --step 1 or a smaller --epsilon avoids this."
            )
        best = max(best, pgd)
        return 1 - pgd / 100

    return validate


def robustness(
    attacker: Attacker, pictures: np.ndarray, truth: np.ndarray, epsilon: float, steps: int = 10
) -> tuple[float, float]:
    """Accuracy in percent after FGSM, and after PGD."""
    after_fgsm = fgsm(attacker, pictures, truth, epsilon)
    after_pgd = attacker.pgd(pictures, truth, epsilon, steps)
    return accuracy(attacker, after_fgsm, truth), accuracy(attacker, after_pgd, truth)


def train(config: Train) -> None:
    """Adversarial training: a network that is harder to fool; Ctrl-C saves, --resume goes on."""
    share(config.epsilon)
    config, photos, held_out = fine_tuning.begin(config, classes=True)
    with devices.training(config):
        best = fit(config, photos, held_out)
    print(f"Best on photos held out: {best:.1%} wrong after PGD-10. The model and its curve are in {config.run}.")
    print(f"Try it: python apps/{APP}.py --model {config.run}")


# --------------------------------------------------------------------------------- Evaluation: folders of photos


def attacked(config: Attack, attacker: Attacker, photos: Photos) -> dict[str, Iterator[np.ndarray]]:
    """The photos under attack and under noise, for each epsilon of the sweep."""
    epsilons, given = [k / 255 for k in SWEPT], (photos.pictures, photos.truth)
    noisy = (noise(photos.pictures, epsilon) for epsilon in epsilons)
    if config.attack == "fgsm":
        direction = gradient_sign(attacker, *given)  # one for all
        return {"FGSM": (moved(photos.pictures, direction, epsilon) for epsilon in epsilons), "noise": noisy}
    steps = config.steps or 10
    return {f"PGD-{steps}": (attacker.pgd(*given, epsilon, steps) for epsilon in epsilons), "noise": noisy}


def evaluate(config: Evaluate) -> None:
    """How many of the photos that a network names rightly it still names rightly after an attack."""
    epsilon = share(config.epsilon)
    if config.fooled:
        return print_each(
            success_lines([find_classifier(name, 1, TRAINED_BY) for name in config.models], log_odds, config.fooled)
        )
    wnids = find_classifier(config.classes_of, BATCH, TRAINED_BY).wnids if config.classes_of else []
    if config.classes_of and not wnids:
        raise UserError(f"the classes of {config.classes_of} have no ImageNet names: name another by --classes-of.")
    for row, name in enumerate(config.models):
        classifier = find_classifier(name, BATCH, TRAINED_BY)
        if wnids:
            classifier = among(classifier, wnids)
        photos, attacker = open_photos(config.data, config.photos, classifier), classifier.attacker
        right = attacker.logits(photos.pictures).argmax(-1) == photos.truth
        counted = right | bool(wnids)
        pictures, truth = photos.pictures[counted], photos.truth[counted]
        cells = [100 * right.mean(), accuracy(attacker, noise(pictures, epsilon), truth)]
        cells += robustness(attacker, pictures, truth, epsilon, config.steps)
        if row == 0:
            then = f"of all photos of {len(wnids)} classes" if wnids else "of those"
            print(f"right: of all photos, in %; then, {then}, the share still right at epsilon {config.epsilon}")
            print(f"{'':32}{'photos':>8}{'right':>8}{'noise':>8}{'FGSM':>8}{f'PGD-{config.steps}':>8}")
        print(f"{classifier.name:32}{len(right):8}" + "".join(f"{cell:8.1f}" for cell in cells), flush=True)
        say(described(classifier, photos))


# ------------------------------------------------------------------------------------------ The demo: one photo


def checked(config: Attack) -> float:
    """Epsilon as a number; UserError for a wrong one, and for flags that do not go together."""
    if (config.sweep or config.fool) and (config.photo or config.target or (config.sweep and config.fool)):
        raise UserError("--sweep and --fool take neither a photo nor a --target, nor each other.")
    if config.steps is not None and config.attack == "fgsm":
        raise UserError("--steps is for --attack pgd: FGSM is one step.")
    return share(config.epsilon)


def craft(config: Attack, attacker: Attacker, photo: np.ndarray, goal: Goal) -> np.ndarray:
    """The adversarial photo, uint8, in the photo's own size."""
    epsilon, given = share(config.epsilon), (photo[None], np.array([goal.label]))
    if config.attack == "fgsm":
        return fgsm(attacker, *given, epsilon, goal.targeted)[0]
    steps = config.steps or (40 if goal.targeted else 10)
    return attacker.pgd(*given, epsilon, steps, targeted=goal.targeted)[0]


def attack(config: Attack) -> None:
    """Change a photo invisibly, so that a network calls it something else."""
    epsilon = checked(config)
    if config.fool:
        path = lossless(config.output, "fooled.png")
        fooler = Fooler(find_classifier(config.model, 1, TRAINED_BY), log_odds)
        return fool_and_report(fooler, config.fool, config.start, config.count, config.seed, path)
    if config.sweep:
        path = lossless(config.output, "sweep.png")
        defended = [DEFENDED] if saved_models.is_shipped(DEFENDED) and config.model != DEFENDED else []
        networks = [find_classifier(name, BATCH, TRAINED_BY) for name in (config.model, *defended)]
        return sweep(config.sweep, config.photos, networks, partial(attacked, config), path)
    source = config.photo or next(path for path in sample_photos() if path.stem == "coffee")
    photo, sheet = attackable(load_image(source), source.name), lossless(config.output, f"{source.stem}.png")
    classifier = find_classifier(config.model, 1, TRAINED_BY)
    goal, small = goal_for(classifier, photo, config.target), crop_square(photo, classifier.size)
    sizes = [(small, f"-{classifier.size}"), (photo, "")]
    results = []
    for original, ending in sizes[: 1 if photo.shape == small.shape else 2]:
        found = craft(config, classifier.attacker_at(original.shape), original, goal)
        path = output_path(sheet.parent, APP, f"{sheet.stem}-adversarial{ending}{sheet.suffix}")
        results.append(save(path, found, original, classifier, goal))
        assert np.abs(results[-1].change).max() <= grey_levels(epsilon), f"{path} goes beyond epsilon"
        if original is photo and len(results) == 2 and not results[-1].fooled:
            path.unlink()
    best = [result for result in results if result.path.exists()][-1]
    guesses = guesses_of_terms(classifier, photo, best)
    save_image(sheet, equation(classifier.name, config.attack, config.epsilon, best, guesses))
    report(classifier, results, best, guesses, noise(small, epsilon))
    print(f"The sheet: {sheet}")
    print(f"Try next: python apps/{APP}.py --attack pgd --target 'golf ball', or: python apps/{APP}.py my_photo.jpg")


if __name__ == "__main__":
    cli.run(__doc__, attack, {"train": train, "evaluate": evaluate})
