"""Latents between and beside others: interpolated, and added up. A row is a face's latents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
