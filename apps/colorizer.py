"""Colour for old photos: a network predicts the colours, and the photo keeps every detail of its light and shade.

    python apps/colorizer.py                              colours sample photos made grey, beside the originals
    python apps/colorizer.py grandmother.jpg -o colour.jpg --compare
    python apps/colorizer.py old.mp4 -o colour.mp4        a film, with its sound
    python apps/colorizer.py dress.jpg --hint 310,420,#8b1a2b        you know that the dress was red
    python apps/colorizer.py train --data FOLDER,FOLDER   learns from any photos; --quick for a result in minutes
    python apps/colorizer.py evaluate --data FOLDER       recomputes the numbers of the model card

Method: "Colorful Image Colorization" (Zhang, Isola & Efros 2016, arXiv:1603.08511): from the lightness of CIELAB,
predict probabilities of bins of chroma, with more weight on rare ones, and take the annealed mean. The network is a
U-Net (Ronneberger et al. 2015, arXiv:1505.04597) on MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) for a small
copy of the photo; a guided filter (He & Sun 2015, arXiv:1505.00996) enlarges its colours along the photo's edges.
Measured results are in saved_models/colorizer/README.md.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.colorizer import lab, lab_photos
from apps.parts.colorizer.films import colour_film
from apps.parts.colorizer.guided_filter import PhotoColorizer, apply_chroma
from apps.parts.colorizer.metrics import Table, VividnessCurve, load_comparison, nearest, smoothed
from apps.parts.colorizer.output import check_output, colour_file, hints_for
from shared import cli, saved_models, settings
from shared.console import finish_batch, for_each, say
from shared.data.datasets import ImageSet, open_images
from shared.data.digest import digest_of
from shared.data.images import load_image
from shared.data.photo_files import named_files, sample_photos
from shared.data.photo_sets import open_train_splits
from shared.data.sizes import crop_square
from shared.data.video import FILMS
from shared.drawing import pictures
from shared.errors import UserError
from shared.layers.mobilenet import mobilenet
from shared.settings import Precision, Range, Settings, Training
from shared.training import devices, fit_loop
from shared.training.optimizers import adamw

if TYPE_CHECKING:
    import keras

APP = "colorizer"
GRID = 10  # side of a bin in ab
STRIDE = 4  # pixels of the network's input for one of its output
TEMPERATURE, RESOLUTION = 0.38, 192
VIVIDNESSES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)  # of the curve in `evaluate`


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Colorize(Settings):
    """Colour photos at their full size; without photos, samples that were made grey, beside the originals."""

    photos: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Photo files and folders of them, or one film; by default photos that come with scikit-image and Matplotlib."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A file for one photo or film, a folder for several; by default outputs/colorizer/."""
    vividness: Annotated[float, Range(0, 10)] = 1.0
    """Multiplies the chroma: 0 is grey, 2 twice as colourful."""
    temperature: Annotated[float, Range(0.01, 10)] = TEMPERATURE
    """How a colour is chosen from the probabilities: 1 takes their mean, near 0 the most likely colour."""
    hint: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """x,y,#rrggbb: a pixel and the colour that you know it had, which spreads over its surface. May be repeated."""
    compare: bool = False
    """Also save a sheet of before and after."""
    resolution: Annotated[int, Range(32, 4096, multiple_of=32)] = RESOLUTION
    """Longest side of the small copy that the network colours, in pixels, a multiple of 32."""


@dataclass
class Train(Training):
    """Learn the colours of photos; the network with the best validation loss is saved as RUN/model.keras."""

    QUICK: ClassVar = {"epochs": 4, "photos": 3000}

    run: Path = Path("outputs/colorizer/train")
    data: str = "imagenette/160px-v2"
    """Folders of photos or TFDS names, separated by commas; the train split of each. Grey photos are left out."""
    precision: Precision = "float32"
    """On CPUs float32 is the fastest for this network."""
    from_scratch: bool = False
    """Start from random weights; nothing is downloaded."""
    photos: Annotated[int, Range(0, 2**31)] = 0
    """Learn from at most this many photos of each data set, spread evenly; 0 for all."""
    size: Annotated[int, Range(32, 4096, multiple_of=32)] = 128
    """Side of the crops to learn from, in pixels, a multiple of 32."""
    scale: Annotated[float, Range(0.01, 1)] = 0.4
    """The smallest share of a photo's area that a crop may have."""
    epochs: Annotated[int, Range(1, 10_000)] = 20
    """Passes over the photos."""
    batch: Annotated[int, Range(1, 10_000)] = 32
    """Photos in a step."""
    rebalance: Annotated[float, Range(0.01, 1)] = 0.5
    """Near 0 every colour has the same weight, however rare; 1 gives every pixel the same (lambda in the paper)."""
    huber: Annotated[float, Range(0, 100)] = 0.2
    """Weight of the mean colour's error; that of the bins' cross entropy is 1."""
    learning_rate: Annotated[float, Range(1e-9, 1)] = 7e-4
    """AdamW's step size after the warm-up; it falls to zero along a cosine."""
    weight_decay: Annotated[float, Range(0, 100)] = 1e-3
    """AdamW's weight decay, of everything but biases."""
    average: Annotated[float, Range(1e-9, 1)] = 0.05
    """Share of the run over which the weights are averaged."""


@dataclass
class Evaluate(Settings):
    """Recompute the model card's numbers, those of grey and of one mean colour, too; grey photos are left out."""

    data: str = "imagenette/160px-v2"
    """A folder of photos or a TFDS name."""
    split: str = "validation"
    """Which split of it: train, validation, test or all."""
    limit: Annotated[int, Range(1, 10_000_000)] = 1000
    """Photos at most, spread evenly."""
    model: Path | None = None
    """A model.keras file or its folder; by default the one in saved_models/."""
    classifier: str = "photo_classifier"
    """The classifier for the columns of features and answers: a name in saved_models/, a file or a folder."""
    vividness: Annotated[float, Range(0, 10)] = 1.0
    """Vividness of the row called ours."""
    temperature: Annotated[float, Range(0.01, 10)] = TEMPERATURE
    """Temperature of the row called ours and of the curve."""
    resolution: Annotated[int, Range(32, 4096, multiple_of=32)] = RESOLUTION
    """Longest side of the small copy that the network colours, in pixels, a multiple of 32."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A file for the curve of PSNR against colourfulness."""


# ------------------------------------------------------------------------------------------------------- Network


def colour_network(first_logits: np.ndarray, pretrained: bool) -> keras.Model:
    """A U-Net: L float32 (batch, H, W, 1), 0..100, H and W multiples of 32 -> logits float32 (batch, H/4, W/4, bins).

    Before training its output is `first_logits`, (bins,), at every place.
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
    head = layers.Conv2D(len(first_logits), 1, kernel_initializer="zeros", dtype="float32", name="head")
    network = keras.Model(L, head(x), name=APP)
    head.bias.assign(first_logits)
    return network


def encoder(picture: Any, pretrained: bool) -> list[Any]:
    """MobileNetV2's features at strides 4, 8, 16 and 32, with ImageNet's weights or random ones."""
    network = mobilenet(picture, pretrained)
    names = ("block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu", "block_16_project_BN")
    return [network.get_layer(name).output for name in names]


# --------------------------------------------------------------------------------------------------- Bins, loss


@dataclass
class ColourBins:
    """The method: classify each pixel's chroma among bins of (a, b), because a mean of all that is likely is brown."""

    centres: np.ndarray
    """float32 (bins, 2)."""
    common: np.ndarray
    """The share of each bin among the training pixels, (bins,)."""
    rebalance: float = 0.5
    huber: float = 0.0

    @classmethod
    def of(cls, ab: np.ndarray, rebalance: float, huber: float) -> ColourBins:
        """The bins with colours that sRGB has, and their shares among the pixels ab (..., 2)."""
        grid = np.arange(-110, 111, GRID, dtype=np.float32)
        square = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
        centres = square[lab.reachable(square, GRID / 2)]
        bins = nearest(centres, ab).ravel()
        counts = np.bincount(bins, minlength=len(centres))
        return cls(centres, smoothed(centres, counts / len(bins)), rebalance, huber)

    @property
    def weights(self) -> np.ndarray:
        """The weight of a pixel of each bin in the loss, float32 (bins,), 1 on average over the pixels."""
        weights = 1 / ((1 - self.rebalance) * self.common + self.rebalance / len(self.common))
        return (weights / (weights @ self.common)).astype(np.float32)

    @property
    def first_logits(self) -> np.ndarray:
        """The logits with the smallest loss for a network that ignores the photo, (bins,)."""
        return np.log(self.common * self.weights + 1e-7)

    def loss(self, ab: Any, logits: Any) -> Any:
        """The loss of each pixel, (batch, h, w), of its true ab (batch, h, w, 2) and its logits (batch, h, w, bins)."""
        from keras import ops

        # Targets are a Gaussian of sigma 5 around ab, normalised: |ab|^2 cancels, so that a softmax computes it.
        targets = ops.softmax((ops.matmul(ab, self.centres.T) - np.square(self.centres).sum(1) / 2) / 25)
        log_probabilities = ops.log_softmax(logits)
        cross_entropy = -ops.sum(targets * log_probabilities, -1) * ops.sum(targets * self.weights, -1)
        error = ops.abs(ops.matmul(ops.exp(log_probabilities), self.centres) - ab) / GRID  # of the mean, in bins
        huber = ops.where(error < 1, error * error / 2, error - 0.5)
        return cross_entropy + self.huber * ops.sum(huber, -1)

    def chroma(self, logits: np.ndarray, temperature: float = TEMPERATURE) -> np.ndarray:
        """The annealed mean, ab float32 (..., 2), of logits (..., bins)."""
        powers = np.exp((logits - logits.max(-1, keepdims=True)) / np.float32(temperature))
        return powers @ self.centres / powers.sum(-1, keepdims=True)

    def record(self) -> dict[str, Any]:
        """The bins for config.json, where `load` finds them."""
        return {"bins": self.centres.astype(int).tolist(), "common": self.common.round(7).tolist()}


def load(config: Colorize | Evaluate) -> tuple[PhotoColorizer, ColourBins]:
    """A saved network, ready to colour photos, and its bins; UserError if this app did not train it."""
    network, record = saved_models.load_for(APP, config.model)
    try:
        bins = ColourBins(np.array(record["bins"], np.float32), np.array(record["common"], np.float32))
    except (KeyError, TypeError, ValueError):
        bins = None
    if bins is None or network.name != APP or bins.centres.shape != (network.output_shape[-1], 2):
        raise UserError(f"{config.model} is not a network that this app trained, with its bins in config.json.")
    return PhotoColorizer(network, partial(bins.chroma, temperature=config.temperature), config.resolution), bins


# ------------------------------------------------------------------------------------------------------ Training


def checked(config: Train) -> tuple[Train, list[ImageSet]]:
    """The settings of the run and its data, which are not read yet; UserError if they do not fit."""
    config = settings.resumed(config)
    sources = open_train_splits(config.data)
    return settings.begin(config, digest_of(source.digest() for source in sources)), sources


def load_photos(config: Train, sources: list[ImageSet]) -> tuple[np.ndarray, np.ndarray]:
    """Packed photos, a quarter larger than the crops: for training, and full batches for validation."""
    packed = lab_photos.load_packed(sources, config.size * 5 // 4, config.photos)
    if (batches := len(packed) // config.batch) < 2:
        raise UserError(f"{config.data} has {len(packed)} colour photos, and must have two batches of {config.batch}.")
    np.random.default_rng(config.seed).shuffle(packed)
    held_out = max(batches // 20, 1) * config.batch
    return packed[held_out:], packed[:held_out]


def fit(config: Train, photos: np.ndarray, held_out: np.ndarray, network: keras.Model, method: Any) -> float:
    """The training itself, with ColourBins or another method; returns the best validation loss."""
    import keras

    from shared.training.steps import compile_step

    steps = len(photos) // config.batch
    optimizer = adamw(config.epochs * steps, config.learning_rate, config.weight_decay, config.average)
    for layer in network.layers:  # a small batch's statistics are worse than ImageNet's, and would have no average
        layer.trainable = config.from_scratch or not isinstance(layer, keras.layers.BatchNormalization)
    copy = keras.models.clone_model(network)  # `fit` on JAX takes the variables of its own network away meanwhile
    network.compile(optimizer, method.loss)
    crops = {"batch": config.batch, "size": config.size, "stride": STRIDE, "seed": config.seed}
    losses = compile_step(lambda L, ab: method.loss(ab, copy(L, training=False)), copy)
    colorizer = PhotoColorizer(copy, method.chroma, config.size)
    shown = [lab_photos.unpack(photo) for photo in held_out[:8]]
    say(f"{len(photos):,} photos to learn from; {network.count_params():,} parameters.")

    def validate() -> float:
        copy.set_weights(network.get_weights())
        rows = [*map(lab.in_one_colour, shown), *map(colorizer, shown), *shown]
        pictures.save_image(config.run / "samples.png", pictures.grid(rows, len(shown)))
        parts = np.split(held_out, len(held_out) // config.batch)
        pairs = (lab_photos.inputs_and_targets(list(part), config.size, STRIDE) for part in parts)
        return float(np.mean([np.asarray(losses(*pair)).mean() for pair in pairs]))

    def save_best(epoch: int, loss: float) -> None:
        saved_models.save(copy, config.run, asdict(config) | {"epoch": epoch, "val_loss": loss} | method.record())

    batches = partial(lab_photos.batches, photos, **crops, scale=config.scale)
    return fit_loop.fit(
        network, batches, validate, save_best, config.run, epochs=config.epochs, steps=steps, resume=config.resume
    )


def train(config: Train) -> None:
    """Learn the colours of photos; Ctrl-C saves, --resume goes on."""
    config, sources = checked(config)
    with devices.training(config):
        photos, held_out = load_photos(config, sources)
        _, sample = lab_photos.inputs_and_targets(list(photos[:1000]), 32, stride=1)
        bins = ColourBins.of(sample, config.rebalance, config.huber)
        if config.init:  # each logit is the colour that it was
            bins = load(Evaluate(model=config.init))[1]
        network = colour_network(bins.first_logits, pretrained=not (config.from_scratch or config.init))
        if config.init:
            saved_models.start_from(network, config.init)
        best = fit(config, photos, held_out, network, bins)
    print(f"Best validation loss: {best:.4f}. The model, its curve and samples are in {config.run}.")
    print(f"Try it: python apps/{APP}.py PHOTO --model {config.run}")


# ---------------------------------------------------------------------------------------------------- Evaluation


def evaluate(config: Evaluate) -> None:
    """Recompute the model card's numbers, and the curve of PSNR against colourfulness over vividness."""
    photos, path = open_images(config.data, config.split), pictures.picture_path(config.output, APP, "vividness.png")
    colorizer, bins = load(config)
    table = Table(bins.centres, load_comparison(config.classifier), photos.classes)
    curve = VividnessCurve()
    mean_colour = bins.common @ bins.centres
    for photo, label in photos.evenly(config.limit):
        if not lab.is_grey(photo):
            _, chroma = colorizer.predict(photo)
            versions = {"grey": lab.in_one_colour(photo), "mean colour": lab.in_one_colour(photo, mean_colour)}
            table.add(photo, versions | {"ours": apply_chroma(photo, chroma * config.vividness)}, label)
            curve.add(photo, {vividness: apply_chroma(photo, chroma * vividness) for vividness in VIVIDNESSES})
    if not table.tallies:
        raise UserError(f"{config.data} has no colour photos in its {config.split} split.")
    print(table)
    for vividness, psnr, share in zip(VIVIDNESSES, *curve.means(), strict=True):
        print(f"vividness {vividness:4.2f}: {psnr:6.2f} dB at {share:5.1f} % of the originals' colourfulness")
    if (psnr := curve.psnr_at(60)) is not None:
        print(f"at 60 %: {psnr:.2f} dB, {psnr - curve.means()[0][0]:+.2f} compared with grey")
    curve.plot(path, f"ours, vividness {VIVIDNESSES[0]:g} to {VIVIDNESSES[-1]:g}")
    print(f"The curve: {path}")


# ---------------------------------------------------------------------------------------------------------- Demo


def colorize(config: Colorize) -> None:
    """Colour photos at their full size, each into a file of its own."""
    if not config.photos:
        return demo(config)
    if any(path.suffix.lower() in FILMS for path in config.photos):
        if config.hint or config.compare:
            raise UserError("--hint and --compare are for photos, and not for films.")
        return colour_film(config.photos, config.output, lambda: load(config)[0], config.vividness)
    files = named_files(config.photos)
    check_output(config.output, config.photos, len(files))
    hints = hints_for(files, config.hint)
    colorizer, _ = load(config)
    colour = partial(colorizer, vividness=config.vividness, hints=hints)
    broken = for_each(files, lambda file: colour_file(file, config.output, colour, config.compare))
    next_step = "--vividness 1.5, --compare, or --hint x,y,#rrggbb for a colour that you know."
    finish_batch(broken, len(files), "could not be coloured", next_step)


def demo(config: Colorize) -> None:
    """A sheet of sample photos: grey, ours, original."""
    if config.hint:
        raise UserError("--hint is for a photo of yours: name it, too.")
    path = pictures.picture_path(config.output, APP, "sheet.png")
    photos = [crop_square(load_image(file), 320) for file in sample_photos()]
    colorizer, _ = load(config)
    began_s = time.perf_counter()
    coloured = [colorizer(photo, config.vividness) for photo in photos]
    print(f"Coloured {len(photos)} photos in {time.perf_counter() - began_s:.1f} s.")
    pictures.save_image(path, pictures.grid([*map(lab.in_one_colour, photos), *coloured, *photos], len(photos), 4))
    print(f"Grey, coloured by the network, and as they were: {path}")
    print(f"Try next: python apps/{APP}.py YOUR_PHOTO.jpg --compare, or: python apps/{APP}.py train --quick")


if __name__ == "__main__":
    cli.run(__doc__, colorize, {"train": train, "evaluate": evaluate})
