"""What a classifier's logits mean, and how far they can be trusted; ImageNet's names of classes and weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.cli import UserError, import_keras

if TYPE_CHECKING:
    import keras


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities float64 from logits, along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
    return powers / powers.sum(-1, keepdims=True)


def accuracies(logits: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Shares from 0 to 1 that tell how good a classifier is, from logits (photos, classes) and classes (photos,).

    "calibration error" is the expected one (Guo et al. 2017, arXiv:1706.04599), in 15 bins: how far the confidence
    in the likeliest class is from the accuracy, on average.
    """
    shares, right = softmax(logits), logits.argmax(-1) == truth
    confidence = shares.max(-1)
    bins = np.minimum(confidence * 15, 14).astype(int)
    gaps = np.bincount(bins, confidence - right)  # summed up in each bin
    five = (np.argsort(-logits)[:, :5] == truth[:, None]).any(-1)
    return {
        "top-1": float(right.mean()),
        "top-5": float(five.mean()),
        "confidence": float(confidence.mean()),
        "calibration error": float(np.abs(gaps).sum() / len(truth)),
    }


def imagenet_classes() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(labels, wnids) of ImageNet's 1,000 classes; Keras downloads the list, once. UserError without a network."""
    keras = import_keras()
    with downloading("the names of ImageNet's classes"):
        best = keras.applications.imagenet_utils.decode_predictions(np.eye(1000), top=1)
    return tuple(name.replace("_", " ") for ((_, name, _),) in best), tuple(wnid for ((wnid, _, _),) in best)


def imagenet_weights() -> list[np.ndarray]:
    """Of MobileNetV2, which Keras downloads once; the last two are the classes'. UserError without a network."""
    keras = import_keras()
    with downloading("MobileNetV2's ImageNet weights"):
        return keras.applications.MobileNetV2(weights="imagenet").get_weights()


def mobilenet(photo: Any, pretrained: bool) -> keras.Model:
    """MobileNetV2 without its classes on a Keras tensor, RGB in [-1, 1]; with ImageNet's weights or random ones."""
    keras = import_keras()
    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_tensor=photo)
    if pretrained:
        network.set_weights(imagenet_weights()[: len(network.weights)])
    return network


@contextmanager
def downloading(what: str) -> Iterator[None]:
    """Keras' own download of `what` happens in this block; a UserError if it cannot be had."""
    try:
        yield
    except Exception as error:  # Keras raises a bare Exception when a download fails, ValueError for a wrong checksum
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{what} must be downloaded once, and that failed ({reason}): connect to the network and run it again."
        ) from error
