"""Photos and small networks whose gradients can be worked out on paper, or nearly."""

from __future__ import annotations

import numpy as np

from shared.training.runtime import import_keras
from tests.parity_worker import build

SHAPE = (6, 5, 3)


def photos(count: int = 5, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Random pixels; some of them black and white, which cannot move both ways."""
    pixels = np.random.default_rng(seed).integers(-60, 316, (count, *shape))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def linear():
    """Two classes, and the weights whose sign is the gradient's: (network, weights of class 1 minus class 0)."""
    keras = import_keras()
    flat = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(2)]
    network = build(keras.Sequential([keras.Input(SHAPE), *flat]))
    kernel = network.layers[-1].kernel.numpy()
    return network, (kernel[:, 1] - kernel[:, 0]).reshape(SHAPE)


def curved():
    """A small convolutional network of four classes."""
    keras = import_keras()
    stack = [keras.layers.Rescaling(1 / 64, -2.0), keras.layers.Conv2D(8, 3, activation="tanh")]
    return build(keras.Sequential([keras.Input(SHAPE), *stack, keras.layers.Flatten(), keras.layers.Dense(4)]))


def sign_of(gradient: np.ndarray) -> np.ndarray:
    """Of one photo's gradient: in proportion where it is below a tenth of its mean."""
    return np.clip(gradient / (0.1 * np.abs(gradient).mean()), -1, 1)


def cross_entropy(attacker, pictures, labels) -> np.ndarray:
    logits = attacker.logits(pictures).astype(np.float64)
    return np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(labels)), labels]
