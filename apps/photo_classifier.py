"""What is on the photo? A pretrained network made ready for small photos by the larger one that it comes from.

    python apps/photo_classifier.py                          names the photos that come with the libraries used here
    python apps/photo_classifier.py PHOTO FOLDER --json      names yours
    python apps/photo_classifier.py train --data FOLDER      learns from the 224-pixel network; no labels needed
    python apps/photo_classifier.py evaluate --data FOLDER   recomputes the numbers of the model card

Method: MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) with its ImageNet weights, fine-tuned whole. On smaller
photos it is worse than it could be (Touvron et al. 2019, arXiv:1906.06423). So a student of 160 pixels learns to say
what the teacher, the network at 224 pixels, says of the same crops: knowledge distillation (Hinton et al. 2015,
arXiv:1503.02531; Beyer et al. 2022, arXiv:2106.05237). Measured results, with hardware and time, are on the card,
saved_models/photo_classifier/README.md.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from shared import cli, saved_models
from shared.classifiers import fine_tuning, imagenet
from shared.classifiers.classifier import find_classifier
from shared.classifiers.fine_tuning import FineTuning, crops, photo_network
from shared.classifiers.metrics import accuracies
from shared.console import JsonKeys, finish_batch, print_answers, say
from shared.data.labelled import labelled_photos
from shared.data.photo_files import load_each, named_files, sample_photos
from shared.data.photo_sets import PhotosInMemory
from shared.data.sizes import crop_square
from shared.drawing import pictures
from shared.drawing.bars import bar_panel
from shared.errors import UserError
from shared.layers.mobilenet import imagenet_weights
from shared.settings import Range, Settings
from shared.training import devices, fit_loop
from shared.training.inference import compiled_inference
from shared.training.optimizers import adamw

if TYPE_CHECKING:
    import keras

APP, ROBUST = "photo_classifier", "photo_classifier_robust"
TRAINED_BY = {APP: "python apps/photo_classifier.py train", ROBUST: "python apps/fgsm.py train"}
TEACHER_SIZE = 224  # pixels
BATCH = 32  # photos at a time where nothing is learned
TILE = 256  # pixels, the side of a photo on the sheet
JSON_KEYS = JsonKeys("guesses", "label", "confidence")
Answers = Callable[[np.ndarray], np.ndarray]  # photos uint8 -> logits (photos, classes)


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Classify(Settings):
    """Name what is on photos: the most likely classes with confidences, and all on a sheet."""

    photos: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Photo files, and folders of them; by default those that come with scikit-image and Matplotlib."""
    model: str = APP
    """A name in saved_models/, a path, or a name in keras.applications, whose weights Keras downloads."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A file for the sheet."""
    top: Annotated[int, Range(1, 8)] = 5
    """Classes for each photo."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclass(kw_only=True)
class Train(FineTuning):
    """Make ImageNet's network ready for smaller photos. They need no labels."""

    run: Path = Path("outputs/photo_classifier/train")
    size: Annotated[int, Range(32, 1024)] = 160
    """Side of the photos that the student takes, in pixels."""
    epochs: Annotated[int, Range(1, 100_000)] = 8
    """Passes over the photos."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 5e-5
    """AdamW's step size after the warm-up, then along a cosine to zero."""
    mix: Annotated[float, Range(0, 1)] = 0.5
    """Share of the learned weights in those saved, beside the first ones."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers."""

    data: str = "imagenette/160px-v2"
    """A folder of photos with their class (n01440764) in the name of the file or of its folder, or a TFDS name."""
    model: str = APP
    """A name in saved_models/, a path, or a name in keras.applications."""
    photos: Annotated[int, Range(1, 10_000_000)] = 5000
    """How many photos to take at most, spread evenly."""


# ----------------------------------------------------------------------------------------- Teacher and student


def student_of(network: keras.Model) -> keras.Model:
    """What `fit` trains: the network, with BatchNorm's statistics of ImageNet and not those of the batch."""
    import keras

    class Student(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def call(self, photos: Any) -> Any:
            return self.network(photos, training=False)

    student = Student()
    student(np.zeros((1, *network.input_shape[1:]), np.uint8))
    return student


def logits_of(network: keras.Model) -> Answers:
    """The network's answers to photos, float32 (photos, classes)."""
    return compiled_inference(lambda photos: network(photos, training=False), network, batch=BATCH)


def batches(
    photos: PhotosInMemory, teacher: Answers, config: Train, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(photos uint8, the teacher's logits for the same crops) without end."""
    for (small, large), _ in crops(photos, [config.size, TEACHER_SIZE], config, epoch):
        yield small, teacher(large)


def divergence(teacher: Any, student: Any) -> Any:
    """The loss: Kullback-Leibler divergence of the answers, in nats; logits (batch, classes), twice -> (batch,)."""
    from keras import ops

    teacher, student = ops.log_softmax(teacher), ops.log_softmax(student)
    return ops.sum(ops.exp(teacher) * (teacher - student), axis=-1)


# ------------------------------------------------------------------------------------------------------ Training


def fit(config: Train, photos: PhotosInMemory, held_out: PhotosInMemory) -> float:
    """The training itself; returns the smallest divergence from the teacher on the photos held out."""
    labels, wnids = imagenet.imagenet_classes()
    weights, steps = imagenet_weights(), len(photos) // config.batch
    teacher = logits_of(photo_network(TEACHER_SIZE, weights))
    network, mean = photo_network(config.size, weights), photo_network(config.size, weights)
    if config.init:
        saved_models.start_from(network, config.init, wnids=wnids)
    student = student_of(network)
    optimizer = adamw(config.epochs * steps, config.learning_rate, config.weight_decay, config.average)
    student.compile(optimizer, divergence)
    say(f"{len(photos):,} photos, {len(labels):,} classes; {network.count_params():,} parameters.")

    # What photos of a few kinds teach makes a network forget the other classes; half-way it knows both (Wortsman et al.
    # 2022, "Robust fine-tuning of zero-shot models", arXiv:2109.01903). That mean is what is validated and saved.
    began_with, measure = network.get_weights(), validation(mean, teacher, held_out)

    def validate() -> float:
        pairs = zip(began_with, network.get_weights(), strict=True)
        mean.set_weights([(1 - config.mix) * old + config.mix * new for old, new in pairs])
        return measure()

    def save_best(epoch: int, loss: float) -> None:
        record = asdict(config) | {"epoch": epoch, "val_loss": loss, "labels": labels, "wnids": wnids}
        saved_models.save(mean, config.run, record)

    epochs = partial(batches, photos, teacher, config)
    return fit_loop.fit(
        student, epochs, validate, save_best, config.run, epochs=config.epochs, steps=steps, resume=config.resume
    )


def validation(network: keras.Model, teacher: Answers, held_out: PhotosInMemory) -> Callable[[], float]:
    """Gives the network's divergence from the teacher on photos held out."""
    student, seen = logits_of(network), held_out.squares(network.input_shape[1])
    expected = teacher(held_out.squares(TEACHER_SIZE))

    def measure() -> float:
        logits = student(seen)
        agreement = np.mean(logits.argmax(-1) == expected.argmax(-1))
        print(f"\nPhotos held out: {agreement:.1%} named as the teacher names them.")
        return float(np.mean(divergence(expected, logits)))

    return measure


# --------------------------------------------------------------------------------------------------------- Verbs


def train(config: Train) -> None:
    """Make ImageNet's network ready for small photos; Ctrl-C saves, --resume goes on."""
    config, photos, held_out = fine_tuning.begin(config)
    with devices.training(config):
        best = fit(config, photos, held_out)
    print(f"Best on photos held out: {best:.4f} nats from the teacher. The model and its curve are in {config.run}.")
    print(f"Try it: python apps/{APP}.py --model {config.run}")


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers."""
    classifier = find_classifier(config.model, BATCH, TRAINED_BY)
    rows = {"the largest square": 1.0, "its middle, 7/8 wide": 7 / 8}  # the second is ImageNet's usual protocol
    views: list[list[np.ndarray]] = [[] for _ in rows]
    truth = []
    for photo, wnid in labelled_photos(config.data, config.photos):
        if wnid in classifier.wnids:
            truth.append(classifier.wnids.index(wnid))
            for view, share in zip(views, rows.values(), strict=True):
                view.append(crop_square(photo, classifier.size, share))
    if not truth:
        raise UserError(f"{config.data} has no photos of {classifier.name}'s classes, as far as their names tell.")
    parameters = classifier.network.count_params()
    print(f"{config.model}: {parameters:,} parameters, {classifier.size} pixels; {len(truth):,} photos")
    for name, view in zip(rows, views, strict=True):
        result = accuracies(classifier.attacker.logits(np.array(view)), np.array(truth))
        print(f"{name:24}" + ", ".join(f"{what} {value:.1%}" for what, value in result.items()))


# ---------------------------------------------------------------------------------------------------------- Demo


def tile(photo: np.ndarray, name: str, guesses: list[tuple[str, float]]) -> np.ndarray:
    """A photo (TILE, TILE, 3) and beside it the guesses as bars."""
    labels = [textwrap.shorten(label, 24, placeholder=" ...") for label, _ in guesses]
    shares = [share for _, share in guesses]
    panel = bar_panel((TILE * 3 // 2, TILE), [(name[:48], labels[0])], labels, shares, (0, 1), 0, "confidence")
    return np.concatenate([photo, panel], axis=1)


def classify(config: Classify) -> None:
    """Name what is on photos, and draw a sheet."""
    path = pictures.picture_path(config.output, APP, "photos.png")
    files, photos, broken = load_each(named_files(config.photos) or sample_photos())
    classifier = find_classifier(config.model, 1, TRAINED_BY)
    answers = [classifier.guesses(photo, config.top) for photo in photos]
    print_answers(files, answers, JSON_KEYS, config.json)
    shown = list(zip(photos, files, answers, strict=True))[: pictures.SHEET_PHOTOS]
    tiles = [tile(crop_square(photo, TILE), file.name, guesses) for photo, file, guesses in shown]
    pictures.save_photo_sheet(path, pictures.grid(tiles, columns=2, pad=8), len(files))
    next_step = f"python apps/{APP}.py YOUR_PHOTO.jpg, or: python apps/fgsm.py YOUR_PHOTO.jpg"
    finish_batch(broken, len(files) + len(broken), "cannot be read", next_step)


if __name__ == "__main__":
    cli.run(__doc__, classify, {"train": train, "evaluate": evaluate})
