"""MobileNetV2, pretrained on ImageNet, trained further on photos: the settings, the network and its batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeVar

import numpy as np

from shared import settings
from shared.console import loading
from shared.data.batches import shuffled
from shared.data.digest import digest_of
from shared.data.photo_sets import PhotosInMemory, load_and_split, open_train_splits
from shared.data.sizes import random_crop, resize
from shared.errors import UserError
from shared.settings import Precision, Range, Training

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class FineTuning(Training):
    """The settings that such trainings share; a page says how large, how often and how fast."""

    QUICK: ClassVar = {"epochs": 2, "photos": 3000}

    data: str = "imagenette/160px-v2"
    """Folders of photos or TFDS names, with commas between; the train split of each."""
    batch: Annotated[int, Range(1, 100_000)] = 64
    """Photos in a step."""
    weight_decay: Annotated[float, Range(0, 1)] = 1e-4
    """AdamW's, of everything but biases."""
    average: Annotated[float, Range(1e-9, 1)] = 0.05
    """Share of the run over which the weights are averaged."""
    scale: Annotated[float, Range(0.01, 1)] = 0.4
    """The smallest share of a photo's area that a crop may have."""
    photos: Annotated[int, Range(0, 2**31)] = 0
    """Learn from so many photos only; 0 for all."""
    held_out: Annotated[int, Range(1, 100_000)] = 400
    """Photos of the train split to choose the best epoch by."""
    precision: Precision = "float32"
    """On CPUs float32 is the fastest for this network."""


Config = TypeVar("Config", bound=FineTuning)


def begin(config: Config, classes: bool = False) -> tuple[Config, PhotosInMemory, PhotosInMemory]:
    """The settings of the run, the photos to learn from, and those held out.

    UserError if the run cannot be begun or resumed, or if there are too few photos, or no `classes` to learn.
    """
    config = settings.resumed(config)
    sources = open_train_splits(config.data, classes)
    if sum(map(len, sources)) < config.held_out + config.batch or 0 < config.photos < config.batch:
        raise UserError(
            f"{config.data} has too few photos for {config.held_out} held out and a batch of {config.batch}: "
            "give more, or lower --held-out or --batch."
        )
    settings.begin(config, digest_of(source.digest() for source in sources))
    loading("the photos")
    photos, held_out = load_and_split(sources, config.held_out, config.seed)
    if len(photos) < config.batch:
        raise UserError(
            f"{config.data} has {len(photos) + len(held_out)} photos that can be read, too few for {config.held_out} "
            f"held out and a batch of {config.batch}: give more, or lower --held-out or --batch."
        )
    return config, photos.take(np.arange(len(photos))[: config.photos or None]), held_out


def photo_network(size: int, weights: Sequence[np.ndarray]) -> keras.Model:
    """MobileNetV2 with these weights: RGB 0..255, uint8 or float32 (batch, size, size, 3) -> logits (batch, classes).

    The last two weights are the kernel and the bias of the classes.
    """
    import keras

    photo = keras.Input((size, size, 3), dtype="float32", name="photo")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32")(photo)  # bfloat16 rounds pixels
    features = keras.applications.MobileNetV2(include_top=False, weights=None, input_tensor=scaled, pooling="avg")
    logits = keras.layers.Dense(len(weights[-1]), dtype="float32", name="logits")(features.output)
    network = keras.Model(photo, logits, name="photo_classifier")
    network.set_weights(weights)
    return network


def crops(
    photos: PhotosInMemory, sizes: Sequence[int], config: FineTuning, epoch: int
) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
    """Batches of random crops, from this epoch on without end: each crop once in each size, uint8, and the labels."""
    for chosen, rng in shuffled(len(photos), config.batch, config.seed, epoch):
        cut = [random_crop(photos.images[n], config.scale, rng) for n in chosen]
        yield [np.stack([resize(crop, size, size) for crop in cut]) for size in sizes], photos.labels[chosen]
