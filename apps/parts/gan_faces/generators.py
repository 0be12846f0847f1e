"""Trained generators: how one is loaded, its latents are drawn, and its images are computed.

A generator maps latents float32 (n, latent), standard normal, to RGB float32 in [0, 1], (n, H, W, 3).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.parts.gan_faces.faces import SIZE
from shared import saved_models
from shared.errors import UserError
from shared.training.inference import compiled_inference

if TYPE_CHECKING:
    import keras

Sampler = Callable[[np.ndarray], np.ndarray]
"""Latents (n, latent) -> uint8 images (n, H, W, 3)."""


def load_generator(model: Path | None) -> tuple[keras.Model, dict[str, Any]]:
    """A saved generator, by default the shipped one, and its settings; UserError if it is another kind of model."""
    network, trained = saved_models.load_for("gan_faces", model)
    if len(network.input_shape) != 2 or network.output_shape != (None, SIZE, SIZE, 3):
        raise UserError(f"{model} does not turn latents into images of {SIZE} x {SIZE} pixels.")
    return network, trained


def draw_latents(seed: int, count: int, network: keras.Model) -> np.ndarray:
    """Latents (count, latent) for this generator; of the same seed the first ones are the same, however many."""
    return np.random.default_rng(seed).standard_normal((count, network.input_shape[1]))


def sampler(network: keras.Model) -> Sampler:
    """The generator as a compiled function, which uses the weights that the network has when it is called."""
    infer = compiled_inference(lambda latents: network(latents, training=False), network, batch=64)
    return lambda latents: np.rint(255 * infer(latents.astype(np.float32))).astype(np.uint8)
