"""What is where? Boxes around the people, dogs, cars and cups on a photo, with their names.

    python apps/detector.py PHOTO FOLDER                     draws boxes; --json, --count, --classes dog,cat
    python apps/detector.py street.jpg --tiles 2             for small things on large photos
    python apps/detector.py evaluate --data coco128          recomputes the numbers of the model card
    python apps/detector.py train --data FOLDER              learns other things from photos with boxes
    python apps/detector.py train --data FOLDER --init imagenet     the same, from a classifier's weights
    python apps/detector.py train --init FILE.tflite         begins with TensorFlow's published detector

Method: SSD (Liu et al. 2016, arXiv:1512.02325) on MobileNetV1 (Howard et al. 2017, arXiv:1704.04861): at each place of
some maps of features, from 38 x 38 to 1 x 1, a few anchors; for each anchor, how to move it onto a thing, and which
thing. It learns with the focal loss (Lin et al. 2017, arXiv:1708.02002). What ships are the published weights of 2018,
set into built-in Keras layers. Measured results, with hardware and time, are in saved_models/detector/README.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.detector import labels as label_files
from apps.parts.detector import published, sheets
from apps.parts.detector.augmenting import augmented
from apps.parts.detector.average_precision import Boxes, overlaps
from apps.parts.detector.backbones import convolution, is_mobilenet_v2, mobilenet_v1, mobilenet_v2, take_over
from apps.parts.detector.finding import Detector, chosen, find_each, measured, precision_lines, speed_line
from apps.parts.detector.labels import LabelledPhotos
from shared import cli, saved_models, settings
from shared.console import finish_batch, print_each, say
from shared.data.batches import shuffled
from shared.data.images import load_image
from shared.data.photo_files import named_files, sample_photos
from shared.drawing import pictures
from shared.errors import UserError
from shared.layers.mobilenet import mobilenet
from shared.settings import Range, Settings, Training
from shared.training import devices, fit_loop
from shared.training.inference import compiled_inference
from shared.training.optimizers import adamw
from shared.training.runtime import import_keras

if TYPE_CHECKING:
    import keras

APP = "detector"
SIZE = 300  # pixels
BATCH = 16  # photos at a time where nothing is learned
EXTRAS = ((192, 384), (96, 192), (96, 192), (48, 96))  # narrow, then wide at half the resolution
GRIDS = (19, 10, 5, 3, 2, 1, 38)  # places of each map, in both directions; the published detector lacks the last
PUBLISHED_MAPS = 6
SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)  # of anchors, as shares of the photo
SMALL = (0.07, 0.12, 0.2)  # those on the last map, which are squares
IMAGENET = Path("imagenet")  # a word of --init
MOVES = np.array([10, 10, 5, 5], np.float32)  # how much finer the network's moves are than shares of an anchor
OVERLAP = 0.6  # a box that shares more with a likelier one of its class is the same thing
CANDIDATES = 400  # boxes of a photo that are compared with one another
SHOWN = 100  # boxes of a photo at most


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Detect(Settings):
    """Find things on photos, and draw boxes around them."""

    photos: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Photo files, and folders of them; by default those that come with scikit-image and Matplotlib."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    classes: str | None = None
    """Only these, with commas between: dog,cat."""
    min_score: Annotated[float, Range(0, 1)] = 0.5
    """The least probability of a box."""
    tiles: Annotated[int, Range(1, 8)] = 1
    """Also look at so many overlapping parts of the photo in each direction: finds smaller things, takes longer."""
    count: bool = False
    """Print how many of each there are, and no boxes."""
    json: bool = False
    """Print JSON: boxes in pixels of the photo as a viewer shows it."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A file for the sheet."""


@dataclass
class Train(Training):
    """Learn to find things from photos with boxes; the network with the best mAP50 is saved as RUN/model.keras."""

    QUICK: ClassVar = {"epochs": 4}

    run: Path = Path("outputs/detector/train")
    data: Path | None = None
    """Photos with boxes: a Pascal VOC folder, images/ with labels/ and classes.txt (YOLO), a COCO .json file, or a TFDS
    name, as voc/2007; without it, a .tflite file of --init is only converted."""
    init: Path | None = None
    """Begin with this detector (a file or its folder, or a published .tflite file), or with "imagenet": MobileNetV2's
    ImageNet weights; by default with the detector in saved_models/."""
    epochs: Annotated[int, Range(1, 10_000)] = 40
    """Passes over the photos."""
    batch: Annotated[int, Range(1, 10_000)] = 16
    """Photos in a batch."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 5e-4
    """AdamW's step size after the warm-up; it falls to zero along a cosine."""
    weight_decay: Annotated[float, Range(0, 1)] = 1e-3
    """AdamW's weight decay, of everything but biases."""
    average: Annotated[float, Range(1e-9, 1)] = 0.05
    """Share of the run over which the weights are averaged."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers: mean average precision by COCO's definition, and speed."""

    data: Path = Path("coco128")
    """Photos with boxes, in the forms of train --data."""
    split: str = "test"
    """Which of its splits; of a folder without any, all photos."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""


# ------------------------------------------------------------------------------------------------------- Network


def ssd(classes: int, dtype: str = "float32", v2: bool = False, maps: int = len(GRIDS)) -> keras.Model:
    """Photos uint8 (batch, 300, 300, 3) -> moves (batch, anchors, 4) and logits (batch, anchors, classes).

    It stands on MobileNetV1, or on MobileNetV2 in float32; the first so many maps of GRIDS have anchors.
    """
    import keras
    from keras import layers

    photos = keras.Input((SIZE, SIZE, 3), dtype="uint8", name="photos")
    pixels = layers.Rescaling(1 / 127.5, -1.0, dtype=dtype)(photos)
    finest, *features = mobilenet_v2(pixels) if v2 else mobilenet_v1(pixels, dtype)
    x = features[-1]
    for n, (narrow, wide) in enumerate(EXTRAS, 2):
        x = convolution(x, narrow, 1, f"reduce_{n}", dtype=dtype)
        x = convolution(x, wide, 3, f"extra_{n}", strides=2, dtype=dtype)
        features.append(x)
    moves, logits = [], []
    for n, x in enumerate([*features, finest][:maps]):
        kinds = len(shapes(n))
        moves.append(layers.Reshape((-1, 4), dtype=dtype)(layers.Conv2D(4 * kinds, 1, name=f"box_{n}", dtype=dtype)(x)))
        found = layers.Conv2D(classes * kinds, 1, name=f"class_{n}", dtype=dtype)(x)
        logits.append(layers.Reshape((-1, classes), dtype=dtype)(found))
    ends = [
        layers.Concatenate(axis=1, dtype="float32", name=name)(x) for name, x in (("moves", moves), ("logits", logits))
    ]
    return keras.Model(photos, ends, name=APP)


# ------------------------------------------------------------------------------------------------------- Anchors


def shapes(level: int) -> list[tuple[float, float]]:
    """The heights and widths of a map's anchors, as shares of the photo: three on the two finest maps, else six."""
    if level == PUBLISHED_MAPS:
        return [(side, side) for side in SMALL]
    scale, following = SCALES[level], SCALES[level + 1]
    if level == 0:
        return [(0.1, 0.1), *((scale / ratio**0.5, scale * ratio**0.5) for ratio in (2, 1 / 2))]
    ratios = (1, 2, 1 / 2, 3, 1 / 3)
    return [*((scale / r**0.5, scale * r**0.5) for r in ratios), ((scale * following) ** 0.5,) * 2]


@cache
def anchors() -> np.ndarray:
    """Centre y, x, height and width of each, as shares of the photo, (6249, 4); the first 1917 are published."""
    found = []
    for level, grid in enumerate(GRIDS):
        for row in range(grid):
            for column in range(grid):
                found += [((row + 0.5) / grid, (column + 0.5) / grid, *shape) for shape in shapes(level)]
    return np.array(found, np.float32)


def decoded(moves: np.ndarray) -> np.ndarray:
    """Anchors after their moves (..., anchors, 4), as left, top, right, bottom in shares of the photo."""
    moves, at = moves / MOVES, anchors()[: moves.shape[-2]]
    y, x = at[:, 0] + moves[..., 0] * at[:, 2], at[:, 1] + moves[..., 1] * at[:, 3]
    height, width = (np.exp(np.minimum(moves[..., n], 5)) * at[:, n] for n in (2, 3))
    corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=-1)
    return np.clip(corners, 0, 1)


def encoded(corners: np.ndarray) -> np.ndarray:
    """The moves that bring each anchor onto a box (6249, 4): what `decoded` undoes."""
    at = anchors()
    left, top, right, bottom = corners.T
    height, width = np.maximum(bottom - top, 1e-4), np.maximum(right - left, 1e-4)
    y, x = ((top + bottom) / 2 - at[:, 0]) / at[:, 2], ((left + right) / 2 - at[:, 1]) / at[:, 3]
    return MOVES * np.stack([y, x, np.log(height / at[:, 2]), np.log(width / at[:, 3])], axis=-1).astype(np.float32)


def non_maximum_suppression(boxes: Boxes) -> Boxes:
    """The likeliest boxes, without those that share more than OVERLAP with a likelier one of their class."""
    boxes = boxes.take(np.argsort(-boxes.scores, kind="stable")[:CANDIDATES])
    same = (overlaps(boxes.corners, boxes.corners) > OVERLAP) & (boxes.classes[:, None] == boxes.classes[None])
    kept = np.ones(len(boxes), bool)
    for n in range(len(boxes)):
        if kept[n]:
            kept[n + 1 :] &= ~same[n, n + 1 :]
    return boxes.take(np.flatnonzero(kept)[:SHOWN])


# ---------------------------------------------------------------------------------------------------------- Loss


def targets(boxes: Boxes, classes: int) -> np.ndarray:
    """What the anchors should say, float32 (6249, 4 + 1 + classes): moves, whether they count, classes.

    An anchor is for a labelled box of which it shares half or more; each box has its nearest anchor at least. Anchors
    that share between .4 and .5 count neither way: -1.
    """
    wanted = np.zeros((len(anchors()), 5 + classes), np.float32)
    if not len(boxes):
        return wanted
    y, x, height, width = anchors().T
    corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=-1)
    shared = overlaps(corners, boxes.corners)  # (6249, boxes)
    shared[shared.argmax(axis=0), np.arange(len(boxes))] = 2
    best, share = shared.argmax(axis=1), shared.max(axis=1)
    here = share >= 0.5
    wanted[:, :4] = encoded(boxes.corners[best])
    wanted[:, 4] = np.where(here, 1, np.where(share > 0.4, -1, 0))
    wanted[here, 5 + boxes.classes[best[here]]] = 1
    return wanted


def loss(wanted: Any, said: Any) -> Any:
    """Focal loss of the classes (gamma 2, alpha .25) and the smooth distance of the moves, per thing: (batch,)."""
    from keras import ops

    moves, logits = said[..., :4], said[..., 4:]
    here, counts = ops.cast(wanted[..., 4:5] > 0, "float32"), ops.cast(wanted[..., 4:5] >= 0, "float32")
    true = wanted[..., 5:]
    probability = ops.sigmoid(logits)
    entropy = ops.binary_crossentropy(true, logits, from_logits=True)
    weight = true * 0.25 * ops.square(1 - probability) + (1 - true) * 0.75 * ops.square(probability)
    distance = ops.abs(moves - wanted[..., :4])
    smooth = ops.where(distance < 1, 0.5 * ops.square(distance), distance - 0.5)
    things = ops.maximum(ops.sum(here, axis=(1, 2)), 1.0)
    return (ops.sum(counts * weight * entropy, axis=(1, 2)) + 0.25 * ops.sum(here * smooth, axis=(1, 2))) / things


# ------------------------------------------------------------------------------------------------------ Finding


def likely(moves: np.ndarray, logits: np.ndarray, least: float) -> list[Boxes]:
    """The boxes of each photo that are at least so likely, of moves and logits (n, anchors, 4 or classes)."""
    found = []
    for corners, scores in zip(decoded(moves), 1 / (1 + np.exp(-logits)), strict=True):
        place, number = np.nonzero(scores >= least)
        found.append(non_maximum_suppression(Boxes(corners[place], number, scores[place, number])))
    return found


def detector_of(network: keras.Model, labels: Sequence[str], batch: int = BATCH) -> Detector:
    """The network, compiled for so many photos at a time."""
    answers = compiled_inference(lambda photos: network(photos, training=False), network, batch=batch)
    return Detector(network, tuple(labels), answers, likely, non_maximum_suppression)


def load(model: Path | None = None, batch: int = BATCH) -> Detector:
    """A saved detector; UserError if this app did not make it."""
    network, record = saved_models.load_for(APP, model)
    names = record.get("labels")
    if network.name != APP or not isinstance(names, list) or network.output_shape[1][-1] != len(names):
        raise UserError(f"{model} is not a detector that this app made, with its labels in config.json.")
    return detector_of(network, [str(name) for name in names], batch)


# ------------------------------------------------------------------------------------------------------ Training


def batches(photos: LabelledPhotos, config: Train, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(photos uint8 (batch, 300, 300, 3), targets (batch, 6249, 5 + classes)) without end; each view is a new one."""
    read = lru_cache(2000)(load_image)  # small data sets stay in memory
    for order, rng in shuffled(len(photos), config.batch, config.seed, epoch):
        views = [augmented(read(photos.files[n]), photos.boxes[n], SIZE, rng) for n in order]
        wanted = [targets(boxes, len(photos.labels)) for _, boxes in views]
        yield np.stack([view for view, _ in views]), np.stack(wanted)


def first_weights(config: Train) -> keras.Model | None:
    """The network to begin with: ImageNet's, the published or a saved detector; None if there is none."""
    import keras

    if config.init == IMAGENET:
        return mobilenet(keras.Input((SIZE, SIZE, 3)), pretrained=True)
    if config.init and config.init.suffix == ".tflite":
        donor = ssd(len(published.CLASSES), maps=PUBLISHED_MAPS)
        published.set_published_weights(donor, config.init)
        return donor
    return load(config.init).network if config.init or saved_models.is_shipped(APP) else None


def fit(config: Train, learned: LabelledPhotos, held_out: LabelledPhotos, precision: str = "float32") -> float:
    """The training itself; returns the best mAP50 on the photos held out."""
    import keras

    donor = first_weights(config)
    v2 = donor is not None and is_mobilenet_v2(donor)
    precision = "float32" if v2 else precision
    network, shipped = (ssd(len(learned.labels), dtype, v2) for dtype in (precision, "float32"))
    take_over(network, donor)
    side_by_side = keras.layers.Concatenate(axis=2, dtype="float32")(network.output)  # (batch, 6249, 4 + classes)
    learner, steps = keras.Model(network.input, side_by_side), len(learned) // config.batch
    optimizer = adamw(config.epochs * steps, config.learning_rate, config.weight_decay, config.average, clip=10.0)
    learner.compile(optimizer, loss)
    say(f"{len(learned):,} photos, {len(held_out):,} held out; {network.count_params():,} parameters.")
    detector = detector_of(shipped, learned.labels)

    def validate() -> float:
        shipped.set_weights(network.get_weights())
        value = 100 * float(np.nanmean(measured(detector, held_out)[:, 0]))
        print(f"\nPhotos held out: mAP50 {value:.1f}")
        return value

    def save_best(epoch: int, value: float) -> None:
        saved_models.save(
            shipped, config.run, asdict(config) | {"labels": learned.labels, "epoch": epoch, "map50": value}
        )

    options: dict[str, Any] = {"epochs": config.epochs, "steps": steps, "metric": "map50", "resume": config.resume}
    epochs = partial(batches, learned, config)
    return fit_loop.fit(learner, epochs, validate, save_best, config.run, **options)


def train(config: Train) -> None:
    """Learn to find things; Ctrl-C saves, --resume goes on. A .tflite file alone is converted."""
    config = settings.resumed(config)
    if config.data is None:
        return convert(config)
    learned, held_out = label_files.to_learn_from(config.data, config.batch, float(anchors()[:, 2:].min()))
    settings.begin(config, learned.digest)
    with devices.training(config) as device:
        best = fit(config, learned, held_out, device.precision)
    print(f"Best mAP50 on photos held out: {best:.1f}. The model and its curve are in {config.run}.")
    print(f"Try it: python apps/{APP}.py --model {config.run} PHOTO")


def convert(config: Train) -> None:
    """Set published weights into the network, and save it."""
    if config.init is None or config.init.suffix != ".tflite":
        raise UserError("--data is missing: name photos with boxes, or a .tflite file by --init to convert.")
    import_keras()
    network = ssd(len(published.CLASSES), maps=PUBLISHED_MAPS)
    published.set_published_weights(network, config.init)
    saved_models.save(network, config.run, {"init": config.init.name, "labels": published.CLASSES})
    print(f"Converted {config.init.name}: {network.count_params():,} parameters. The model is in {config.run}.")


# --------------------------------------------------------------------------------------------------------- Verbs


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers."""
    detector = load(config.model)
    photos = label_files.read(config.data, config.split, detector.labels)
    values = measured(detector, photos)
    print(f"at most {SHOWN} boxes a photo, suppression by class at {OVERLAP}:")
    print_each(precision_lines(detector, photos, values))
    some = [load_image(file) for file in photos.files[: 4 * BATCH]]
    print(speed_line(detector, some))


def detect(config: Detect) -> None:
    """Find things on photos, and draw a sheet."""
    path = pictures.picture_path(config.output, APP, "boxes.png")
    files = named_files(config.photos) or sample_photos()
    detector = load(config.model, batch=BATCH if config.tiles > 1 else 1)
    found, broken = find_each(detector, files, config.min_score, config.tiles, chosen(detector, config.classes))
    if config.json:
        print(json.dumps([sheets.as_json(*row, detector.labels) for row in found], indent=2))
    else:
        for row in found:
            print_each(sheets.described(*row, detector.labels, config.count))
    tiles = [
        sheets.drawn(load_image(file), boxes, detector.labels) for file, _, boxes in found[: pictures.SHEET_PHOTOS]
    ]
    pictures.save_photo_sheet(path, sheets.sheet(tiles), len(found))
    finish_batch(broken, len(files), "cannot be read", f"python apps/{APP}.py YOUR_PHOTO.jpg --tiles 2, or --json")


if __name__ == "__main__":
    cli.run(__doc__, detect, {"train": train, "evaluate": evaluate})
