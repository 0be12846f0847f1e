"""Pretrained classifiers of photos, from saved_models, a file or keras.applications: photos in, logits out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shared import saved_models
from shared.classifiers.attacks import Attacker, without_kinks
from shared.classifiers.imagenet import imagenet_classes
from shared.classifiers.metrics import softmax
from shared.data.sizes import crop_square
from shared.errors import UserError, suggest
from shared.files import downloading
from shared.training.runtime import import_keras

if TYPE_CHECKING:
    import keras


@dataclass
class Classifier:
    """A network, the names of its classes, and the attacks on it."""

    name: str
    network: keras.Model
    """RGB pixels 0..255, float32 (batch, size, size, 3) -> logits (batch, classes)."""
    labels: list[str]
    """What a person calls each class; class 0, class 1 ... where the file does not say."""
    wnids: list[str]
    """ImageNet's name of each class, n02102040; empty where the file does not say."""
    attacker: Attacker

    @property
    def size(self) -> int:
        """Side of its photos in pixels."""
        return self.network.input_shape[1]

    def class_named(self, name: str) -> int:
        """The number of a class by its name, in any case; UserError, with near ones, if there is none."""
        names, wanted = [_plain(label) for label in self.labels], _plain(name)
        if wanted not in names:
            near = suggest(wanted, names) or f" It knows {', '.join(names[:: max(len(names) // 4, 1)])} and so on."
            raise UserError(f"{self.name} has no class {name!r}.{near}")
        return names.index(wanted)

    def logits_of(self, photo: np.ndarray) -> np.ndarray:
        """The logits (classes,) for a photo, uint8, of any size, of which it sees the square in the middle."""
        return self.attacker.logits(crop_square(photo, self.size)[None])[0]

    def guesses(self, photo: np.ndarray, top: int = 3) -> list[tuple[str, float]]:
        """The most likely classes, with confidences 0..1."""
        shares = softmax(self.logits_of(photo))
        return [(self.labels[n], float(shares[n])) for n in np.argsort(-shares)[:top]]

    def attacker_at(self, shape: tuple[int, ...]) -> Attacker:
        """Attacks on photos of this (height, width, 3), through the crop and the scaling that `logits_of` makes.

        They find the same on every backend, to a grey level, where a batch of the `attacker` is merely fast.
        """
        import keras

        photo, side = keras.Input(shape), self.size
        scale = keras.layers.Resizing(side, side, interpolation="bicubic", antialias=True, crop_to_aspect_ratio=True)
        seen = photo if shape[:2] == (side, side) else scale(photo)
        return Attacker(keras.Model(photo, without_kinks(self.network)(seen)), batch=1)


def _plain(label: str) -> str:
    return label.strip().lower().replace("_", " ")


def find_classifier(name: str, batch: int, trained_by: Mapping[str, str] | None = None) -> Classifier:
    """A network by a name in saved_models, a path, or a name in keras.applications.

    Args:
        batch: photos that are attacked at a time.
        trained_by: commands that make the models of these names, for the sentence about one that is missing.

    Raises:
        UserError: there is none of that name, its weights cannot be downloaded, or it is not a classifier of photos
            with a gradient.
    """
    path = Path(name).expanduser()
    if trained_by and name in trained_by and not (path.exists() or saved_models.is_shipped(name)):
        raise UserError(f"there is no {name} in saved_models yet: train it with `{trained_by[name]}`.")
    if path.suffix or path.exists() or saved_models.is_shipped(name):
        network, config = saved_models.load(name)
    else:
        network, config = _published(name)
    network = _logits(name, network)
    classes = network.output_shape[-1]
    labels, wnids = (_names(config.get(key), classes) for key in ("labels", "wnids"))
    name = path.resolve().parent.name if path.name == saved_models.MODEL else path.stem
    return Classifier(name, network, labels or [f"class {n}" for n in range(classes)], wnids, Attacker(network, batch))


def _names(given: Any, classes: int) -> list[str]:
    """What the config has of them; empty if that is not a list of all."""
    return [str(x) for x in given] if isinstance(given, (list, tuple)) and len(given) == classes else []


def _published(name: str) -> tuple[keras.Model, dict[str, Any]]:
    """A network of keras.applications, with its own preprocessing inside."""
    keras = import_keras()
    known = [word for word in dir(keras.applications) if word[0].isupper()]
    if name not in known:
        shipped = [folder.name for folder in saved_models.MODELS.glob("photo_*")]
        more = suggest(name, shipped + known) or f" Name a .keras file or one of {', '.join(shipped + known)}."
        raise UserError(f"there is no model {name}.{more}")
    build = getattr(keras.applications, name)
    with downloading(f"the weights of {name}"):
        network = build(weights="imagenet", classifier_activation=None)
    labels, wnids = imagenet_classes()
    photo = keras.Input(network.input_shape[1:])
    prepared = sys.modules[build.__module__].preprocess_input(photo)
    return keras.Model(photo, network(prepared)), {"labels": labels, "wnids": wnids}


def _logits(name: str, network: keras.Model) -> keras.Model:
    """The network without a softmax at its end; UserError if it does not take photos and give logits."""
    import keras

    shapes = network.input_shape, network.output_shape
    if not all(isinstance(shape, tuple) for shape in shapes) or not _fit(*shapes):
        raise UserError(
            f"{name} maps {shapes[0]} to {shapes[1]}, and must map (batch, size, size, 3) to (batch, classes)."
        )
    kind = str(network.inputs[0].dtype)
    if "float" not in kind:
        raise UserError(f"{name} takes {kind} pixels, which have no gradient: give its input the type float32.")
    last = network.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        network = keras.Model(network.inputs[0], last.input)
    elif getattr(getattr(last, "activation", None), "__name__", "") == "softmax":
        last.activation = keras.activations.linear
    answer = np.asarray(network(np.full((1, *shapes[0][1:]), 127, np.float32)))
    if answer.min() >= 0 and abs(answer.sum() - 1) < 1e-3:
        raise UserError(f"{name} gives probabilities, and an attack needs the logits before its softmax.")
    return network


def _fit(taken: tuple, given: tuple) -> bool:
    square = len(taken) == 4 and taken[1] and taken[1:] == (taken[1], taken[1], 3)
    return bool(square and len(given) == 2 and (given[1] or 0) > 1)
