"""Photos of faces, cut out and scaled for the networks, and the batches that a GAN learns from."""

from __future__ import annotations

import numpy as np

from shared.console import loading
from shared.data.datasets import open_images
from shared.data.sizes import crop_square
from shared.errors import UserError
from shared.layers.diff_augment import UNIFORMS

SIZE = 64  # pixels of every face, in both directions
MIN_PHOTOS = 100  # of fewer a GAN makes only copies


def load_faces(data: str, split: str, crop: float) -> np.ndarray:
    """The middle of each photo of a split, uint8 (n, SIZE, SIZE, 3); broken photos are skipped and named.

    Args:
        data: a folder of photos or a TFDS name.
        split: "train", "validation", "test" or "all".
        crop: side of the square in the middle, as a share of the photo's shorter side.
    """
    faces = [crop_square(photo, SIZE, crop) for photo, _ in open_images(data, split)]
    return np.array(faces, np.uint8).reshape(-1, SIZE, SIZE, 3)


def load_splits(data: str, crop: float, *splits: str) -> list[np.ndarray]:
    """The faces of several splits, as `load_faces` gives them; UserError if there are too few photos."""
    count = len(open_images(data, "all"))
    if count < MIN_PHOTOS:
        raise UserError(f"{data} has {count} photos, and a GAN needs at least {MIN_PHOTOS}, better 10,000 or more.")
    loading(f"the faces of {data}")
    faces = [load_faces(data, split, crop) for split in splits]
    expected = sum(len(open_images(data, split)) for split in splits)
    readable = count * sum(map(len, faces)) // max(expected, 1)
    if readable < MIN_PHOTOS:
        raise UserError(f"{data} has about {readable} photos that can be read, and a GAN needs at least {MIN_PHOTOS}.")
    for part, split in zip(faces, splits, strict=True):
        if len(part) < 2:
            raise UserError(f"{data} has {len(part)} readable photos for {split}: name a folder with more.")
    return faces


def batch_of(faces: np.ndarray, step: int, batch: int, latent: int, seed: int) -> tuple[np.ndarray, ...]:
    """What update number `step` learns from, drawn on the host, from the seed and the step alone.

    Returns:
        Photos uint8 (batch, H, W, 3), half of them mirrored, latents float32 (batch, latent), standard normal, and for
        `augment` of real and generated images numbers float32 (batch, 2, UNIFORMS), uniform from 0 to 1.
    """
    rng = np.random.default_rng([seed, step])
    photos = faces[rng.integers(0, len(faces), batch)]
    mirrored = np.where(rng.random((batch, 1, 1, 1)) < 0.5, photos[:, :, ::-1], photos)
    latents = rng.standard_normal((batch, latent), np.float32)
    return mirrored, latents, rng.random((batch, 2, UNIFORMS), np.float32)
