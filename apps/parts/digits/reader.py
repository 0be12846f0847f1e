"""A network that has learned digits, asked: what each drawing is, how sure that is, and what its layers see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.parts.digits.ink import SIDE
from shared.classifiers.metrics import softmax
from shared.data.images import load_image
from shared.errors import UserError
from shared.training.inference import compiled_inference

if TYPE_CHECKING:
    import keras

NEIGHBOURS = "neighbours.png"  # beside the model
COLUMNS = 50  # of the drawings in that picture
SMALLEST_MAP = 5  # pixels: smaller feature maps show nothing to people


@dataclass(frozen=True)
class Answer:
    """What the network says of a drawing."""

    drawing: np.ndarray
    """uint8 (28, 28)."""
    shares: np.ndarray
    """The probability of each digit, (10,)."""
    sure: bool
    """Whether it takes the drawing for a digit at all."""
    nearest: np.ndarray
    """The training digits whose features are nearest, uint8 (n, 28, 28)."""
    nearest_labels: np.ndarray
    """What they show, (n,)."""

    @property
    def digit(self) -> int:
        """The likeliest digit."""
        return int(self.shares.argmax())

    @property
    def text(self) -> str:
        """The answer in words."""
        share = f"{self.digit} ({self.shares[self.digit]:.1%})"
        return share if self.sure else f"no digit; if it were one, {share}"


@dataclass(frozen=True)
class Layer:
    """What a layer of convolutions makes of a drawing."""

    name: str
    maps: np.ndarray
    """float32 (maps, height, width)."""
    filters: np.ndarray | None
    """float32 (maps, height, width) of the first layer; those of others have many channels."""


class Reader:
    """Reads drawings.

    Args:
        network: uint8 (batch, 28, 28, 1) -> logits (batch, 10).
        least: the smallest probability of the likeliest digit with which a drawing counts as a digit.
        known: training digits, uint8 (n, 28, 28), among which the nearest are looked for.
        labels: what they show, (n,).
    """

    def __init__(self, network: keras.Model, least: float, known: np.ndarray, labels: np.ndarray):
        import keras

        self.network, self.least, self.known, self.labels = network, least, known, labels
        self._shown = _layers_to_show(network)
        last = network.layers[-1]
        model = keras.Model(network.input, [network.output, last.input, *(layer.output for layer in self._shown)])
        self._ask_one = compiled_inference(lambda x: model(x, training=False), model, batch=1)
        both = keras.Model(network.input, [network.output, last.input])
        self._ask = compiled_inference(lambda x: both(x, training=False), both, batch=50)
        self._known_features = self._features(known)

    def _features(self, drawings: np.ndarray) -> np.ndarray:
        return _unit(self._ask(drawings[..., None])[1])

    def read(self, drawings: np.ndarray, neighbours: int = 8) -> list[Answer]:
        """What each of some drawings, uint8 (n, 28, 28), is."""
        ask = self._ask_one if len(drawings) == 1 else self._ask
        logits, features, *_ = ask(drawings[..., None])
        shares = softmax(logits)
        near = np.argsort(-(_unit(features) @ self._known_features.T), axis=1)[:, :neighbours]
        return [
            Answer(drawing, row, bool(row.max() >= self.least), self.known[chosen], self.labels[chosen])
            for drawing, row, chosen in zip(drawings, shares, near, strict=True)
        ]

    def look_inside(self, drawing: np.ndarray) -> list[Layer]:
        """The feature maps of the first layer of convolutions and of a later one, as far as there are any."""
        _, _, *maps = self._ask_one(drawing[None, :, :, None])
        found = []
        for n, (layer, values) in enumerate(zip(self._shown, maps, strict=True)):
            filters = self._first_filters() if n == 0 else None
            found.append(Layer(layer.name.removesuffix("_relu"), values[0].transpose(2, 0, 1), filters))
        return found

    def _first_filters(self) -> np.ndarray:
        first = next(layer for layer in self.network.layers if _is_convolution(layer))
        return np.asarray(first.kernel)[:, :, 0].transpose(2, 0, 1)


def _is_convolution(layer: Any) -> bool:
    return type(layer).__name__ == "Conv2D"


def _layers_to_show(network: keras.Model) -> list[Any]:
    """The first layer of feature maps, and one in the middle of those that follow and can still be recognised."""
    maps = [
        layer
        for layer in network.layers
        if type(layer).__name__ == "ReLU" or (_is_convolution(layer) and layer.activation.__name__ != "linear")
    ]
    maps = [layer for layer in maps if len(layer.output.shape) == 4 and layer.output.shape[1] >= SMALLEST_MAP]
    return [maps[0], maps[(len(maps) + 1) // 2]] if len(maps) > 2 else maps


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)


# ----------------------------------------------------------------------------------------------- Beside the model


def as_picture(drawings: np.ndarray) -> np.ndarray:
    """Drawings as one picture, uint8 (H, W, 3), COLUMNS of them side by side."""
    rows = -(-len(drawings) // COLUMNS)
    whole = np.zeros((rows * COLUMNS, SIDE, SIDE), np.uint8)
    whole[: len(drawings)] = drawings
    grey = whole.reshape(rows, COLUMNS, SIDE, SIDE).transpose(0, 2, 1, 3).reshape(rows * SIDE, COLUMNS * SIDE)
    return np.repeat(grey[..., None], 3, axis=-1)


def known_digits(folder: Path, record: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The training digits beside a model, uint8 (n, 28, 28), and their labels; none where there is no such picture."""
    labels, path = record.get("neighbours"), folder / NEIGHBOURS
    if not isinstance(labels, str) or not labels.isdigit() or not path.is_file():
        return np.zeros((0, SIDE, SIDE), np.uint8), np.zeros(0, np.int64)
    grey = load_image(path, mode="L")
    rows = -(-len(labels) // COLUMNS)
    if grey.shape != (rows * SIDE, COLUMNS * SIDE):
        raise UserError(f"{path} does not hold the {len(labels)} digits that config.json tells of: fetch both again.")
    tiles = grey.reshape(rows, SIDE, COLUMNS, SIDE).transpose(0, 2, 1, 3).reshape(-1, SIDE, SIDE)
    return tiles[: len(labels)], np.array([int(label) for label in labels])


def nearest_of(reader: Reader, answer: Answer, digit: int, most: int = 8) -> np.ndarray:
    """The training digits that show `digit` and whose features are nearest to a drawing's, uint8 (n, 28, 28)."""
    chosen = np.flatnonzero(reader.labels == digit)
    features = reader._features(answer.drawing[None])
    near = np.argsort(-(features @ reader._known_features[chosen].T)[0])[:most]
    return reader.known[chosen[near]]


def summary(answers: Sequence[Answer]) -> str:
    """What was read, as one line; ? for what is no digit."""
    return "".join(str(answer.digit) if answer.sure else "?" for answer in answers)
