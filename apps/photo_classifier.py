"""What is on the photo? A pretrained network made ready for small photos, and one that withstands attacks.

    python apps/photo_classifier.py                          names the photos that come with the libraries used here
    python apps/photo_classifier.py PHOTO FOLDER --json      names yours
    python apps/photo_classifier.py train --data FOLDER      learns from the 224-pixel network; no labels needed
    python apps/photo_classifier.py train --adversarial      learns the classes of the data, under attack
    python apps/photo_classifier.py evaluate --data FOLDER   recomputes the numbers of the model card

Method: MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) with its ImageNet weights, fine-tuned whole. On smaller
photos it is worse than it could be (Touvron et al. 2019, arXiv:1906.06423), so it learns to say what the 224-pixel
network says of the same crops (Hinton et al. 2015, arXiv:1503.02531; Beyer et al. 2022, arXiv:2106.05237). The robust
network learns from photos that an adversary changes in one step from a random start: "Fast is better than free" (Wong
et al. 2020, arXiv:2001.03994). Measured results, with hardware and time, are on the cards in saved_models/.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from shared import cli, saved_models, settings
from shared.classifiers import imagenet
from shared.classifiers.attacks import Attacker
from shared.classifiers.classifier import Classifier, find_classifier
from shared.classifiers.metrics import accuracies
from shared.console import JsonKeys, finish_batch, loading, print_answers, say
from shared.data.batches import shuffled
from shared.data.images import crop_square, load_each, named_files, random_crop, resize, sample_photos
from shared.data.labelled import labelled_photos
from shared.data.photo_sets import PhotosInMemory, load_and_split, open_train_splits
from shared.drawing import pictures
from shared.drawing.bars import bar_panel
from shared.errors import UserError
from shared.files import output_path
from shared.layers.mobilenet import imagenet_weights
from shared.settings import Precision, Range, Settings, Training
from shared.training import devices, fit_loop
from shared.training.optimizers import adamw

if TYPE_CHECKING:
    import keras

APP, ROBUST = "photo_classifier", "photo_classifier_robust"
TEACHER_SIZE = 224  # pixels
BATCH = 32  # photos that are judged at a time
TILE = 256  # pixels, the side of a photo on the sheet
JSON_KEYS = JsonKeys("guesses", "label", "confidence")


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Classify(Settings):
    """Name what is on photos: the most likely classes with confidences, and all on a sheet."""

    photos: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Picture files, and folders of them; by default those that come with scikit-image and Matplotlib."""
    model: str = APP
    """A name in saved_models/, a path, or a name in keras.applications, whose weights Keras downloads."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A file for the sheet."""
    top: Annotated[int, Range(1, 8)] = 5
    """Classes for each photo."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclass
class Train(Training):
    """Make ImageNet's network ready for smaller photos or, with --adversarial, for attacked ones."""

    QUICK: ClassVar = {"epochs": 2, "photos": 3000}

    run: Path = Path("outputs/photo_classifier/train")
    data: str = "imagenette/160px-v2"
    """Folders of photos or TFDS names, with commas between; the train split of each. Labels count if --adversarial."""
    adversarial: bool = False
    """Learn the data's classes from photos under attack, instead of ImageNet's from the 224-pixel network."""
    epsilon: Annotated[float, Range(0.01, 255)] = 4.0
    """The most that the adversary changes a pixel, in grey levels of 255."""
    step: Annotated[float, Range(0.01, 255)] = 1.25
    """Length of the adversary's one step, in epsilons."""
    size: Annotated[int | None, Range(32, 1024)] = None
    """Side of the photos that the network takes, in pixels; by default 160, if --adversarial 128."""
    epochs: Annotated[int | None, Range(1, 100_000)] = None
    """Passes over the photos; by default 8, if --adversarial 15."""
    learning_rate: Annotated[float | None, Range(1e-9, 1)] = None
    """AdamW's step size after the warm-up, then along a cosine to zero; by default 5e-5, if --adversarial 5e-4."""
    batch_norm: Literal["kept", "learned"] | None = None
    """BatchNorm's statistics: those of ImageNet's network, or the batch's own; learned by default if --adversarial."""
    batch: Annotated[int, Range(1, 100_000)] = 64
    """Photos in a step."""
    weight_decay: Annotated[float, Range(0, 1)] = 1e-4
    """AdamW's, of everything but biases."""
    average: Annotated[float, Range(1e-9, 1)] = 0.05
    """Share of the run over which the weights are averaged."""
    mix: Annotated[float | None, Range(0, 1)] = None
    """Share of the learned weights in those saved, beside the first ones; by default 0.5, if --adversarial 1."""
    scale: Annotated[float, Range(0.01, 1)] = 0.4
    """The smallest share of a photo's area that a crop may have."""
    photos: Annotated[int, Range(0, 2**31)] = 0
    """Learn from so many photos only; 0 for all."""
    held_out: Annotated[int, Range(1, 100_000)] = 400
    """Photos of the train split to choose the best epoch by."""
    precision: Precision = "float32"
    """On CPUs float32 is the fastest for this network."""


PURPOSE: dict[bool, dict[str, Any]] = {  # what None means, by `adversarial`
    False: {"size": 160, "epochs": 8, "learning_rate": 5e-5, "batch_norm": "kept", "mix": 0.5},
    True: {"size": 128, "epochs": 15, "learning_rate": 5e-4, "batch_norm": "learned", "mix": 1.0},
}


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers; with --under-attack also those of the defence."""

    data: str = "imagenette/160px-v2"
    """A folder of photos with their class (n01440764) in the name of the file or of its folder, or a TFDS name."""
    model: str = APP
    """A name in saved_models/, a path, or a name in keras.applications."""
    photos: Annotated[int, Range(1, 10_000_000)] = 5000
    """How many photos to take at most, spread evenly."""
    under_attack: bool = False
    """Also attack the network, and beside it an undefended one."""
    beside: str = APP
    """The undefended network, which chooses among the same classes."""
    epsilon: Annotated[float, Range(0.01, 255)] = 4.0
    """The most that an attack changes a pixel, in grey levels of 255."""


# ------------------------------------------------------------------------------------------------------- Network


def photo_network(size: int, classes: int) -> keras.Model:
    """RGB 0..255, uint8 or float32 (batch, size, size, 3) -> logits (batch, classes), with random weights."""
    import keras

    photo = keras.Input((size, size, 3), dtype="float32", name="photo")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32")(photo)  # bfloat16 rounds pixels
    features = keras.applications.MobileNetV2(include_top=False, weights=None, input_tensor=scaled, pooling="avg")
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(features.output)
    return keras.Model(photo, logits, name=APP)


def filled(network: keras.Model, weights: list[np.ndarray], rows: list[int | None]) -> keras.Model:
    """The network with `weights`: its class n is their class rows[n], or where that is None a new one."""
    *features, kernel, bias = weights
    new = np.random.default_rng(0).normal(0, kernel.std(), (len(kernel), len(rows)))
    kernel = np.stack([new[:, n] if row is None else kernel[:, row] for n, row in enumerate(rows)], axis=1)
    network.set_weights([*features, kernel, np.array([0 if row is None else bias[row] for row in rows])])
    return network


# ---------------------------------------------------------------------------------------------------------- Data


def batches(data: PhotosInMemory, teacher: Attacker | None, config: Train, epoch: int) -> Iterator[tuple]:
    """((photos uint8, answers), answers) without end; an answer is the teacher's logits, or else the class."""
    sizes = (config.size, TEACHER_SIZE) if teacher else (config.size,)
    for chosen, rng in shuffled(len(data), config.batch, config.seed, epoch):
        crops = [random_crop(data.images[n], config.scale, rng) for n in chosen]
        seen, *larger = (np.stack([resize(crop, size, size) for crop in crops]) for size in sizes)
        answers = teacher.logits(larger[0]) if teacher else data.labels[chosen]
        yield (seen, answers), answers


# ---------------------------------------------------------------------------------------------- Loss and attack


def divergence(taught: Any, logits: Any) -> Any:
    """Kullback-Leibler divergence from the teacher's answers, in nats: logits (batch, classes), twice -> (batch,)."""
    from keras import ops

    taught, logits = ops.log_softmax(taught), ops.log_softmax(logits)
    return ops.sum(ops.exp(taught) * (taught - logits), axis=-1)


def fast_fgsm(network: keras.Model, photos: Any, labels: Any, epsilon: float, step: float, noise: Any) -> Any:
    """The photos after one step along the gradient's sign, from a random place within epsilon (both grey levels)."""
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


def learner(network: keras.Model, config: Train) -> keras.Model:
    """What `fit` trains: (photos, answers) -> the network's logits, in training for attacked photos if asked to."""
    import keras

    class Learner(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.noise = network, keras.random.SeedGenerator(config.seed)

        def call(self, inputs: tuple, training: bool = False) -> Any:
            photos, answers = inputs
            if training and config.adversarial:
                step = config.step * config.epsilon
                photos = fast_fgsm(network, photos, answers, config.epsilon, step, self.noise)
            return network(photos, training=training and config.batch_norm == "learned")

    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.95  # MobileNetV2 has 0.999, for a training a hundred times as long
    built = Learner()
    built((np.zeros((1, *network.input_shape[1:]), np.uint8), np.zeros(1, np.int32)))
    return built


# ------------------------------------------------------------------------------------------------------ Training


def checked(config: Train) -> tuple[Train, list]:
    """The settings to train with, and the data, not read yet; or a UserError."""
    config = settings.resumed(config)
    usual = {name: value for name, value in PURPOSE[config.adversarial].items() if getattr(config, name) is None}
    config = replace(config, **usual)
    sources = open_train_splits(config.data, same_classes=config.adversarial)
    if sum(map(len, sources)) < config.held_out + config.batch or 0 < config.photos < config.batch:
        raise UserError(
            f"{config.data} has too few photos for {config.held_out} held out and a batch of {config.batch}: "
            "give more, or lower --held-out or --batch."
        )
    return settings.begin(config), sources


def fit(config: Train, data: PhotosInMemory, held: PhotosInMemory) -> float:
    """The training itself; returns the best validation loss."""
    import keras

    labels, wnids = imagenet.imagenet_classes()
    weights, teacher = imagenet_weights(), None
    if config.adversarial:
        places = {wnid: n for n, wnid in enumerate(wnids)}
        rows, wnids = [places.get(name) for name in data.classes], data.classes
        labels = tuple(name if row is None else labels[row] for name, row in zip(wnids, rows, strict=True))
    else:
        rows = list(range(len(labels)))
        teacher = Attacker(filled(photo_network(TEACHER_SIZE, len(rows)), weights, rows), BATCH)
    network = filled(photo_network(config.size, len(rows)), weights, rows)
    if config.init:
        saved_models.start_from(network, config.init)
    steps = len(data) // config.batch
    student = learner(network, config)
    loss = divergence if teacher else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    student.compile(adamw(config.epochs * steps, config.learning_rate, config.weight_decay, config.average), loss)
    say(f"{len(data):,} photos, {len(rows):,} classes; {network.count_params():,} parameters.")

    # What photos of a few kinds teach makes a network forget the other classes; half-way it keeps both (Wortsman et al.
    # 2022, "Robust fine-tuning of zero-shot models", arXiv:2109.01903). That mean is what is judged and kept.
    began_with, mean = network.get_weights(), photo_network(config.size, len(rows))
    measure = judge_of(mean, teacher, config, held)

    def validate() -> float:
        pairs = zip(began_with, network.get_weights(), strict=True)
        mean.set_weights([(1 - config.mix) * old + config.mix * new for old, new in pairs])
        return measure()

    def save_best(epoch: int, loss: float) -> None:
        saved_models.save(
            mean, config.run, dict(asdict(config), epoch=epoch, val_loss=loss, labels=labels, wnids=wnids)
        )

    lessons = partial(batches, data, teacher, config)
    return fit_loop.fit(
        student, lessons, validate, save_best, config.run, epochs=config.epochs, steps=steps, resume=config.resume
    )


def judge_of(
    network: keras.Model, teacher: Attacker | None, config: Train, held: PhotosInMemory
) -> Callable[[], float]:
    """Gives the divergence from the teacher on photos held out, or the share of them that PGD-10 gets wrong."""
    pupil, seen = Attacker(network, BATCH), held.squares(config.size)
    taught = teacher.logits(held.squares(TEACHER_SIZE)) if teacher else None

    def as_taught() -> float:
        logits = pupil.logits(seen)
        agreement = np.mean(logits.argmax(-1) == taught.argmax(-1))
        print(f"\nPhotos held out: {agreement:.1%} named as the teacher names them.")
        return float(np.mean(divergence(taught, logits)))

    best = 0.0

    def under_attack() -> float:
        nonlocal best
        clean, fgsm, pgd = withstood(pupil, seen, held.labels, config.epsilon)
        print(f"\nPhotos held out: {clean:.1%} right, {fgsm:.1%} after FGSM, {pgd:.1%} after PGD-10.")
        if pgd < best - 0.15 and pgd < fgsm - 0.2:
            say(
                "Catastrophic overfitting: it withstands the one step it trains with, and PGD no longer. "
                "The best network so far is kept; --step 1 or a smaller --epsilon avoids this."
            )
        best = max(best, pgd)
        return 1 - pgd

    return as_taught if teacher else under_attack


def withstood(attacker: Attacker, photos: np.ndarray, truth: np.ndarray, epsilon: float) -> tuple[float, float, float]:
    """Accuracy on photos, uint8, as they are, after FGSM, and after PGD-10 with `epsilon` grey levels."""
    attacked = (attack(photos, truth, epsilon / 255) for attack in (attacker.fgsm, attacker.pgd))
    clean, fgsm, pgd = (float(np.mean(attacker.logits(x).argmax(-1) == truth)) for x in (photos, *attacked))
    return clean, fgsm, pgd


# --------------------------------------------------------------------------------------------------------- Verbs


def train(config: Train) -> None:
    """Make ImageNet's network ready for small photos or for attacks; Ctrl-C saves, --resume goes on."""
    config, sources = checked(config)
    loading("the photos")
    data, held = load_and_split(sources, config.held_out, config.seed)
    data = data.take(np.arange(len(data))[: config.photos or None])
    with devices.setup(config.seed, config.precision) as device:
        say(f"Training on {device.description}.")
        best = fit(config, data, held)
    what = f"{best:.1%} wrong after PGD-10" if config.adversarial else f"{best:.4f} nats from the teacher"
    print(f"Best on photos held out: {what}. The model and its curve are in {config.run}.")
    print(f"Try it: python apps/{APP}.py --model {config.run}")


def seen_by(
    classifier: Classifier, wnids: list[str], config: Evaluate, shares: tuple[float, ...] = (1.0,)
) -> tuple[np.ndarray, ...]:
    """The photos whose class is one of `wnids`, as the network sees them, once for each share; then their classes."""
    known = {wnid: n for n, wnid in enumerate(wnids)}
    found = [
        (*(crop_square(photo, classifier.size, share) for share in shares), known[wnid])
        for photo, wnid in labelled_photos(config.data, config.photos)
        if wnid in known
    ]
    if not found:
        raise UserError(f"{config.data} has no photos of {classifier.name}'s classes, as far as their names tell.")
    return tuple(map(np.array, zip(*found, strict=True)))


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers."""
    classifier = find_classifier(config.model, BATCH)
    rows = {"the largest square": 1.0, "its middle, 7/8 wide": 7 / 8}  # the second is ImageNet's usual protocol
    *views, truth = seen_by(classifier, classifier.wnids, config, tuple(rows.values()))
    parameters = classifier.network.count_params()
    print(f"{config.model}: {parameters:,} parameters, {classifier.size} pixels; {len(truth):,} photos")
    for name, view in zip(rows, views, strict=True):
        result = accuracies(classifier.attacker.logits(view), truth)
        print(f"{name:24}" + ", ".join(f"{what} {value:.1%}" for what, value in result.items()))
    if config.under_attack:
        print(f"under attack, {config.epsilon:g}/255")
        compared = [classifier]
        if config.beside != config.model:
            compared.append(find_classifier(config.beside, BATCH))
        for network in compared:
            seen, truth = seen_by(network, classifier.wnids, config)
            left = withstood(among(network, classifier.wnids), seen, truth, config.epsilon)
            print(f"{network.name:24}clean {left[0]:.1%}, FGSM {left[1]:.1%}, PGD-10 {left[2]:.1%}")


def among(classifier: Classifier, wnids: list[str]) -> Attacker:
    """Attacks on the network as it chooses among these classes only; UserError if it does not know them."""
    import keras
    from keras import ops

    if unknown := set(wnids) - set(classifier.wnids):
        raise UserError(f"{classifier.name} knows no class {min(unknown)}: compare with another by --beside.")
    columns = [classifier.wnids.index(wnid) for wnid in wnids]
    return Attacker(keras.Model(classifier.network.input, ops.take(classifier.network.output, columns, axis=-1)), BATCH)


def tile(photo: np.ndarray, name: str, guesses: list[tuple[str, float]]) -> np.ndarray:
    """A photo (TILE, TILE, 3) and beside it the guesses as bars."""
    labels = [textwrap.shorten(label, 24, placeholder=" ...") for label, _ in guesses]
    shares = [share for _, share in guesses]
    panel = bar_panel((TILE * 3 // 2, TILE), [(name[:48], labels[0])], labels, shares, (0, 1), 0, "confidence")
    return np.concatenate([photo, panel], axis=1)


def classify(config: Classify) -> None:
    """Name what is on photos, and draw a sheet."""
    path = output_path(config.output, APP, "photos.png")
    files, photos, broken = load_each(named_files(config.photos) or sample_photos())
    classifier = find_classifier(config.model, batch=1)
    answers = [classifier.guesses(photo, config.top) for photo in photos]
    print_answers(files, answers, JSON_KEYS, config.json)
    shown = list(zip(photos, files, answers, strict=True))[: pictures.SHEET_PHOTOS]
    tiles = [tile(crop_square(photo, TILE), file.name, guesses) for photo, file, guesses in shown]
    pictures.save_photo_sheet(path, pictures.grid(tiles, columns=2, pad=8), len(files))
    next_step = f"python apps/{APP}.py YOUR_PHOTO.jpg, or: python apps/fgsm.py YOUR_PHOTO.jpg"
    finish_batch(broken, len(files) + len(broken), "cannot be read", next_step)


if __name__ == "__main__":
    cli.run(__doc__, classify, {"train": train, "evaluate": evaluate})
