"""Colour for old photographs: a network guesses the colours, the photo keeps every detail of its light and shade.

    python apps/colorizer.py                              colours photos that were made grey, beside the originals
    python apps/colorizer.py grandmother.jpg -o colour.jpg --compare
    python apps/colorizer.py dress.jpg --hint 310,420,#8b1a2b        you know that the dress was red
    python apps/colorizer.py train --data FOLDER,FOLDER   learns from any photos; --quick for a result in minutes
    python apps/colorizer.py evaluate --data FOLDER       recomputes the numbers of the model card

Method: "Colorful Image Colorization" (Zhang, Isola & Efros 2016, arXiv:1603.08511): from the lightness of CIELAB choose
among bins of chroma, rare ones counting more, and take the annealed mean. The bins come small from a U-Net (Ronneberger
et al. 2015, arXiv:1505.04597) on MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) and are joined to the large photo
along its edges (He & Sun 2015, arXiv:1505.00996). Measured results are in saved_models/colorizer/README.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.colorizer import lab, lab_photos
from apps.parts.colorizer.guided_filter import Hint, Painter, paint
from apps.parts.colorizer.metrics import Curve, FeatureJudge, Table, nearest, smoothed
from shared import cli, saved_models, settings
from shared.classifiers.classifier import find_classifier
from shared.console import finish_batch, for_each, say
from shared.data.datasets import ImageSet, open_images
from shared.data.images import crop_square, exif_of_upright, fit_within, load_image, named_files, sample_photos
from shared.data.photo_sets import open_train_splits
from shared.drawing import pictures
from shared.errors import UserError
from shared.files import output_path
from shared.layers.mobilenet import mobilenet
from shared.settings import Precision, Range, Settings, Training
from shared.training import devices, fit_loop
from shared.training.optimizers import adamw

if TYPE_CHECKING:
    import keras

APP = "colorizer"
GRID = 10  # side of a bin in ab
STRIDE = 4  # of the predicted chroma
TEMPERATURE, RESOLUTION = 0.38, 192
SWEPT = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)  # vividness
FORMATS = {".jpg": {"quality": 95, "subsampling": 0}, ".png": {"compress_level": 3}, ".webp": {"quality": 95}}
FORMATS |= {".jpeg": FORMATS[".jpg"], ".tif": {}, ".tiff": {}, ".bmp": {}}


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Colorize(Settings):
    """Colour photos at their full size; without any, photos made grey, beside what they were."""

    photos: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Picture files, and folders of them; by default the photos that come with scikit-image and Matplotlib."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A file for one photo, a folder for several; by default outputs/colorizer/."""
    vividness: Annotated[float, Range(0, 10)] = 1.0
    """Multiplies the chroma: 0 is grey, 2 twice as colourful."""
    temperature: Annotated[float, Range(0.01, 10)] = TEMPERATURE
    """How the network's doubts are settled: 1 is the mean of all colours it thinks of, near 0 the likeliest one."""
    hint: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """x,y,#rrggbb: the colour that you know of a pixel; it spreads to what belongs to it. May be repeated."""
    compare: bool = False
    """Also save a sheet of before and after."""
    resolution: Annotated[int, Range(32, 4096, multiple_of=32)] = RESOLUTION
    """Longest side of the copy that the network sees, in pixels, a multiple of 32."""


@dataclass
class Train(Training):
    """Learn the colours of photos; the best network by validation is kept in RUN/model.keras."""

    QUICK: ClassVar = {"epochs": 4, "photos": 3000}

    run: Path = Path("outputs/colorizer/train")
    data: str = "imagenette/160px-v2"
    """Folders of photos or TFDS names, with commas between; of each the train split. Grey photos are left out."""
    precision: Precision = "float32"
    """On CPUs float32 is the fastest for this network."""
    from_scratch: bool = False
    """Start from random weights; nothing is downloaded."""
    photos: Annotated[int, Range(0, 2**31)] = 0
    """Learn from so many photos only, spread evenly over each folder; 0 for all."""
    size: Annotated[int, Range(32, 4096, multiple_of=32)] = 128
    """Side of the crops to learn from, in pixels, a multiple of 32."""
    scale: Annotated[float, Range(0.01, 1)] = 0.4
    """The smallest share of a photo's area that a crop may have."""
    epochs: Annotated[int, Range(1, 10_000)] = 20
    """Passes over the photos."""
    batch: Annotated[int, Range(1, 10_000)] = 32
    """Photos in a step."""
    rebalance: Annotated[float, Range(0.01, 1)] = 0.5
    """How much more rare colours count: 0 as if all were as common, 1 not at all (Zhang's lambda)."""
    huber: Annotated[float, Range(0, 100)] = 0.2
    """Weight of the error of the mean colour beside the cross entropy of the bins."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 7e-4
    """AdamW's step size after the warm-up; it falls to zero along a cosine."""
    weight_decay: Annotated[float, Range(0, 100)] = 1e-3
    """AdamW's, of everything but biases."""
    average: Annotated[float, Range(1e-9, 1)] = 0.05
    """Share of the run over which the weights are averaged."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers, beside grey and beside one colour for all; grey photos are left out."""

    data: str = "imagenette/160px-v2"
    """A folder of photos or a TFDS name."""
    split: str = "validation"
    """Which of its parts: train, validation, test or all."""
    limit: Annotated[int, Range(1, 10_000_000)] = 1000
    """Photos at most, spread evenly."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    classifier: str = "photo_classifier"
    """Who compares features and names the photos: one from saved_models/, a file or a folder."""
    vividness: Annotated[float, Range(0, 10)] = 1.0
    """Of the row called ours."""
    temperature: Annotated[float, Range(0.01, 10)] = TEMPERATURE
    """Of the row called ours, and of the curve."""
    resolution: Annotated[int, Range(32, 4096, multiple_of=32)] = RESOLUTION
    """As in the demo."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the curve of PSNR against colourfulness goes."""


# ------------------------------------------------------------------------------------------------------- Network


def colour_network(start: np.ndarray, pretrained: bool) -> keras.Model:
    """L float32 (batch, H, W, 1), 0..100, H and W multiples of 32 -> float32 (batch, H/4, W/4, len(start)): a U-Net.

    `start` is what it answers before it has learned anything.
    """
    import keras
    from keras import layers

    def conv(x: Any, width: int, side: int = 1) -> Any:
        return layers.Conv2D(width, side, padding="same", kernel_initializer="he_normal")(x)

    L = keras.Input((None, None, 1), dtype="float32", name="L")
    scaled = layers.Rescaling(1 / 50, offset=-1.0)(L)
    *skips, x = encoder(layers.Concatenate()([scaled] * 3), pretrained)
    x = layers.ReLU()(conv(x, 192))
    for skip, width in zip(reversed(skips), (192, 128, 96), strict=True):  # strides 16, 8, 4
        above = layers.UpSampling2D(2, interpolation="bilinear")(conv(x, width))
        x = layers.ReLU()(layers.Add()([above, conv(skip, width)]))
        x = layers.ReLU()(conv(x, width, 3))
    head = layers.Conv2D(len(start), 1, kernel_initializer="zeros", dtype="float32", name="head")
    network = keras.Model(L, head(x), name=APP)
    head.bias.assign(start)
    return network


def encoder(picture: Any, pretrained: bool) -> list[Any]:
    """MobileNetV2's features at strides 4, 8, 16 and 32, with ImageNet's weights or random ones."""
    network = mobilenet(picture, pretrained)
    names = ("block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu", "block_16_project_BN")
    return [network.get_layer(name).output for name in names]


# --------------------------------------------------------------------------------------------------- Bins, loss


@dataclass
class ColourBins:
    """The method: which of the bins of ab a pixel's chroma is in, instead of a mean that is always brown."""

    centres: np.ndarray
    """float32 (bins, 2)."""
    common: np.ndarray
    """How common each bin is among the pixels to learn from, (bins,), a distribution."""
    rebalance: float = 0.5
    huber: float = 0.0

    @classmethod
    def of(cls, ab: np.ndarray, rebalance: float, huber: float) -> ColourBins:
        """The bins that reach into sRGB, with their shares among ab (..., 2)."""
        grid = np.arange(-110, 111, GRID, dtype=np.float32)
        every = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
        centres = every[lab.reachable(every, GRID / 2)]
        near = nearest(centres, ab).ravel()
        counts = np.bincount(near, minlength=len(centres))
        return cls(centres, smoothed(centres, counts / len(near)), rebalance, huber)

    @property
    def weights(self) -> np.ndarray:
        """How much a pixel of each bin counts, float32 (bins,), 1 on average."""
        weights = 1 / ((1 - self.rebalance) * self.common + self.rebalance / len(self.common))
        return (weights / (weights @ self.common)).astype(np.float32)

    @property
    def start(self) -> np.ndarray:
        """The logits that are best when nothing is known of a photo, (bins,)."""
        return np.log(self.common * self.weights + 1e-7)

    def loss(self, ab: Any, logits: Any) -> Any:
        """Of ab (batch, h, w, 2) and logits (batch, h, w, bins): per pixel, (batch, h, w)."""
        from keras import ops

        # a Gaussian of sigma 5 around each centre, normalised: |ab|^2 is the same in all, so that a softmax does it
        soft = ops.softmax((ops.matmul(ab, self.centres.T) - np.square(self.centres).sum(1) / 2) / 25)
        log_shares = ops.log_softmax(logits)
        entropy = -ops.sum(soft * log_shares, -1) * ops.sum(soft * self.weights, -1)
        error = ops.abs(ops.matmul(ops.exp(log_shares), self.centres) - ab) / GRID
        robust = ops.where(error < 1, error * error / 2, error - 0.5)  # Huber's, 1 bin wide
        return entropy + self.huber * ops.sum(robust, -1)

    def chroma(self, logits: np.ndarray, temperature: float = TEMPERATURE) -> np.ndarray:
        """The annealed mean, float32 (..., 2), of logits (..., bins)."""
        powers = np.exp((logits - logits.max(-1, keepdims=True)) / np.float32(temperature))
        return powers @ self.centres / powers.sum(-1, keepdims=True)

    def record(self) -> dict[str, Any]:
        """What config.json tells of it."""
        return {"bins": self.centres.astype(int).tolist(), "common": self.common.round(7).tolist()}


def load(config: Colorize | Evaluate) -> tuple[Painter, ColourBins]:
    """A saved network, ready to colour, and its bins; UserError if it is not one of this app's."""
    network, record = saved_models.load_for(APP, config.model)
    try:
        bins = ColourBins(np.array(record["bins"], np.float32), np.array(record["common"], np.float32))
    except (KeyError, TypeError, ValueError):
        bins = None
    if bins is None or network.name != APP or bins.centres.shape != (network.output_shape[-1], 2):
        raise UserError(f"{config.model} is not a network that this app trained, with its bins in config.json.")
    return Painter(network, partial(bins.chroma, temperature=config.temperature), config.resolution), bins


# ------------------------------------------------------------------------------------------------------ Training


def checked(config: Train) -> tuple[Train, list[ImageSet]]:
    """The settings to train with, and the data, not read yet; or a UserError."""
    config = settings.resumed(config)
    sources = open_train_splits(config.data)
    return settings.begin(config), sources


def photos_for(config: Train, sources: list[ImageSet]) -> tuple[np.ndarray, np.ndarray]:
    """Packed photos, a quarter larger than the crops: those to learn from, and whole batches of others to judge by."""
    packed = lab_photos.read(sources, config.size * 5 // 4, config.photos)
    if (batches := len(packed) // config.batch) < 2:
        raise UserError(
            f"{config.data} has {len(packed)} colour photos, and must have two batches of {config.batch} or more."
        )
    np.random.default_rng(config.seed).shuffle(packed)
    held = max(batches // 20, 1) * config.batch
    return packed[held:], packed[:held]


def fit(config: Train, learned: np.ndarray, held: np.ndarray, network: keras.Model, method: Any) -> float:
    """The training itself, with ColourBins or another method; returns the best validation loss."""
    import keras

    from shared.training.steps import compile_step

    steps = len(learned) // config.batch
    optimizer = adamw(config.epochs * steps, config.learning_rate, config.weight_decay, config.average)
    for layer in network.layers:  # a small batch's statistics are worse than ImageNet's, and would have no average
        layer.trainable = config.from_scratch or not isinstance(layer, keras.layers.BatchNormalization)
    twin = keras.models.clone_model(network)  # JAX gives the buffers of the one that is being fitted to its own step
    network.compile(optimizer, method.loss)
    crops = {"batch": config.batch, "size": config.size, "stride": STRIDE, "scale": config.scale, "seed": config.seed}
    error = compile_step(lambda L, ab: method.loss(ab, twin(L, training=False)), twin)
    painter, shown = Painter(twin, method.chroma, config.size), [lab_photos.unpack(photo) for photo in held[:8]]
    say(f"{len(learned):,} photos to learn from; {network.count_params():,} parameters.")

    def validate() -> float:
        twin.set_weights(network.get_weights())
        rows = [*map(one_colour, shown), *map(painter, shown), *shown]
        pictures.save_image(config.run / "samples.png", pictures.grid(rows, len(shown)))
        parts = np.split(held, len(held) // config.batch)
        pairs = (lab_photos.pairs(list(part), config.size, STRIDE) for part in parts)
        return float(np.mean([np.asarray(error(*pair)).mean() for pair in pairs]))

    def save_best(epoch: int, loss: float) -> None:
        saved_models.save(twin, config.run, asdict(config) | {"epoch": epoch, "val_loss": loss} | method.record())

    batches = partial(lab_photos.batches, learned, **crops)
    return fit_loop.fit(
        network, batches, validate, save_best, config.run, epochs=config.epochs, steps=steps, resume=config.resume
    )


def train(config: Train) -> None:
    """Learn the colours of photos; Ctrl-C saves, --resume goes on."""
    config, sources = checked(config)
    with devices.setup(config.seed, config.precision) as device:
        say(f"Training on {device.description}.")
        learned, held = photos_for(config, sources)
        sample = lab_photos.pairs(list(learned[:1000]), 32, stride=1)[1]
        bins = ColourBins.of(sample, config.rebalance, config.huber)
        network = colour_network(bins.start, pretrained=not (config.from_scratch or config.init))
        if config.init:
            saved_models.start_from(network, config.init)
        best = fit(config, learned, held, network, bins)
    print(f"Best validation loss: {best:.4f}. The model, its curve and samples are in {config.run}.")
    print(f"Let it colour: python apps/{APP}.py PHOTO --model {config.run}")


# ---------------------------------------------------------------------------------------------------- Evaluation


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers, and the curve of PSNR against colourfulness over vividness."""
    photos, path = open_images(config.data, config.split), output_path(config.output, APP, "vividness.png")
    painter, bins = load(config)
    table, curve = Table(bins.centres, feature_judge(config.classifier), photos.classes), Curve()
    usual = bins.common @ bins.centres
    for photo, label in lab_photos.some(photos, config.limit):
        if not lab.is_grey(photo):
            _, chroma = painter.look(photo)
            versions = {"grey": one_colour(photo), "mean colour": one_colour(photo, usual)}
            table.add(photo, versions | {"ours": paint(photo, chroma * config.vividness)}, label)
            curve.add(photo, {vividness: paint(photo, chroma * vividness) for vividness in SWEPT})
    if not table.tallies:
        raise UserError(f"{config.data} has no colour photos in its {config.split} split.")
    print(table)
    for vividness, level, share in zip(SWEPT, *curve.means(), strict=True):
        print(f"vividness {vividness:4.2f}: {level:6.2f} dB at {share:5.1f} % of the originals' colourfulness")
    if (level := curve.at(60)) is not None:
        print(f"at 60 %: {level:.2f} dB, {level - curve.means()[0][0]:+.2f} beside grey")
    curve.plot(path, f"ours, vividness {SWEPT[0]:g} to {SWEPT[-1]:g}")
    print(f"The curve: {path}")


def feature_judge(name: str) -> FeatureJudge | None:
    """The photo classifier that judges, or None with a sentence where there is none in the box."""
    if name == "photo_classifier" and not saved_models.in_box(name):
        say(f"There is no {name} in the box: the columns of features and of its answers are left out.")
        return None
    found = find_classifier(name, batch=1)
    return FeatureJudge(found.network, found.wnids)


def one_colour(photo: np.ndarray, ab: Sequence[float] = (0.0, 0.0)) -> np.ndarray:
    """The photo's lightness with the same chroma everywhere: grey, or a tint."""
    L = lab.lightness(photo)
    return lab.to_rgb(L, lab.within_gamut(L, tuple(np.full_like(L, value) for value in ab)))


# ---------------------------------------------------------------------------------------------------------- Demo


def colorize(config: Colorize) -> None:
    """Colour photos at their full size, each into a file of its own."""
    if not config.photos:
        return demo(config)
    files = named_files(config.photos)
    check_output(config, files)
    first = load_image(files[0]) if len(files) == 1 else np.empty((0, 0, 3), np.uint8)  # before the long work
    hints = [Hint.parse(text, first) for text in config.hint]
    painter, _ = load(config)
    broken = for_each(files, lambda file: colour_file(config, file, painter, hints))
    next_step = "--vividness 1.5, --compare, or --hint x,y,#rrggbb for a colour that you know."
    finish_batch(broken, len(files), "could not be coloured", next_step)


def colour_file(config: Colorize, file: Path, painter: Painter, hints: Sequence[Hint]) -> None:
    """Colour one photo, and say where it is."""
    photo = load_image(file)
    ending = file.suffix.lower() if file.suffix.lower() in FORMATS else ".png"
    path = output_path(config.output, APP, f"{file.stem}-colour{ending}")
    if in_colour := not lab.is_grey(photo):
        say(f"{file} is in colour already: only its lightness is used.")
    began_s = time.perf_counter()
    picture = painter(photo, config.vividness, hints)
    print(f"{path}: {photo.shape[1]} x {photo.shape[0]} pixels, coloured in {time.perf_counter() - began_s:.2f} s")
    pictures.save_image(path, picture, **FORMATS[path.suffix.lower()], exif=exif_of_upright(file))
    if config.compare:
        sheet = output_path(path.parent, APP, f"{path.stem}-compare.png")
        before, after = fit_within(photo, 800), fit_within(picture, 800)
        panels = [one_colour(before), after, *([before] if in_colour else [])]
        pictures.save_image(sheet, pictures.grid(panels, len(panels), 8))
        print(f"Before and after: {sheet}")


def check_output(config: Colorize, files: Sequence[Path]) -> None:
    """UserError for a place that the results cannot go to; makes the folder for several."""
    if config.hint and len(files) > 1:
        raise UserError(f"--hint is for one photo, and there are {len(files)}.")
    if config.output is None or config.output.is_dir():
        return
    if len(config.photos) > 1 or config.photos[0].is_dir():
        if config.output.suffix:
            raise UserError(f"{config.output} is for one photo, and there are {len(files)}: give a folder.")
        config.output.mkdir(parents=True, exist_ok=True)
    elif config.output.suffix.lower() not in FORMATS:
        raise UserError(f"{config.output.name} must end in one of {', '.join(FORMATS)}.")


def demo(config: Colorize) -> None:
    """A sheet of sample photos: grey, ours, original."""
    if config.hint:
        raise UserError("--hint is for a photo of yours: name it, too.")
    path = output_path(config.output, APP, "sheet.png")
    photos = [crop_square(load_image(file), 320) for file in sample_photos()]
    painter, _ = load(config)
    began_s = time.perf_counter()
    coloured = [painter(photo, config.vividness) for photo in photos]
    print(f"Coloured {len(photos)} photos in {time.perf_counter() - began_s:.1f} s.")
    pictures.save_image(path, pictures.grid([*map(one_colour, photos), *coloured, *photos], len(photos), 4))
    print(f"Grey, coloured by the network, and as they were: {path}")
    print(f"Try next: python apps/{APP}.py my_photo.jpg --compare, or: python apps/{APP}.py train --quick")


if __name__ == "__main__":
    cli.run(__doc__, colorize, {"train": train, "evaluate": evaluate})
