"""Trained generators: how one is loaded, its latents are drawn, interpolated and added up, and its images computed.

A generator maps latents float32 (n, latent), standard normal, to RGB float32 in [0, 1], (n, H, W, 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    if network.name != "gan_faces" or len(network.input_shape) != 2 or network.output_shape != (None, SIZE, SIZE, 3):
        raise UserError(f"{model} does not turn latents into images of {SIZE} x {SIZE} pixels.")
    return network, trained


def draw_latents(seed: int, count: int, network: keras.Model) -> np.ndarray:
    """Latents (count, latent) for this generator; of the same seed the first ones are the same, however many."""
    return np.random.default_rng(seed).standard_normal((count, network.input_shape[1]))


def sampler(network: keras.Model) -> Sampler:
    """The generator as a compiled function, which uses the weights that the network has when it is called."""
    infer = compiled_inference(lambda latents: network(latents, training=False), network, batch=64)
    return lambda latents: np.rint(255 * infer(latents.astype(np.float32))).astype(np.uint8)


def interpolation(latents: np.ndarray, frames: int) -> np.ndarray:
    """A closed path through latents (n, latent), `frames` from each to the next: (n * frames, latent).

    It follows great circles (spherical interpolation), because most of a normal distribution lies at one distance from
    zero: on the straight line between two of its samples images are too average.
    """
    following = np.roll(latents, -1, axis=0)
    lengths = np.linalg.norm(latents, axis=1) * np.linalg.norm(following, axis=1)
    cosines = np.sum(latents * following, axis=1) / np.maximum(lengths, 1e-9)
    angles = np.maximum(np.arccos(cosines.clip(-1, 1)), 1e-3)[:, None, None]  # (n, 1, 1)
    way = np.linspace(0, 1, frames, endpoint=False)[None, :, None]  # (1, frames, 1)
    path = np.sin((1 - way) * angles) * latents[:, None] + np.sin(way * angles) * following[:, None]
    return (path / np.sin(angles)).reshape(-1, latents.shape[1])


def latent_sum(latents: np.ndarray, signs: Sequence[float]) -> np.ndarray:
    """The sum of latents (n, latent), each times its sign, scaled to their mean length: (1, latent).

    Sums of latents are faces that add up: a smiling woman, less a woman, plus a man (Radford et al. 2015,
    arXiv:1511.06434). What is much longer or shorter than a sample of the normal distribution is no face.
    """
    total = np.asarray(signs, float) @ latents
    return (total * np.linalg.norm(latents, axis=1).mean() / max(np.linalg.norm(total), 1e-9))[None]
