"""Photos to learn from, all in memory: decoded once, made small, some of them held out for validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.data.datasets import ImageSet, open_images
from shared.data.sizes import crop_square, fit_within
from shared.errors import UserError


@dataclass(frozen=True)
class PhotosInMemory:
    """Photos of any sizes, with their classes if they have any."""

    images: tuple[np.ndarray, ...]
    """uint8 (H, W, 3), RGB."""
    labels: np.ndarray
    """int32 (photos,); -1 where the data have no classes."""
    classes: tuple[str, ...]
    """The name of each label."""

    def __len__(self) -> int:
        return len(self.images)

    def take(self, chosen: np.ndarray) -> PhotosInMemory:
        """The photos with these indices."""
        return PhotosInMemory(tuple(self.images[n] for n in chosen), self.labels[chosen], self.classes)

    def squares(self, size: int) -> np.ndarray:
        """The largest square in the middle of each, uint8 (photos, size, size, 3)."""
        return np.stack([crop_square(image, size) for image in self.images])


def open_train_splits(data: str, same_classes: bool = False) -> list[ImageSet]:
    """The train split of each folder or TFDS name in `data`, separated by commas; no photo is read yet.

    UserError if one is not there or if, with `same_classes`, they do not all have classes and the same ones.
    """
    sources = [open_images(name.strip(), "train") for name in data.split(",")]
    if same_classes and (not sources[0].classes or len({source.classes for source in sources}) > 1):
        raise UserError(f"{data} has no classes to learn: give a folder with a folder for each class.")
    if same_classes and len(sources[0].classes) < 2:
        raise UserError(f"{data} has one class only, {sources[0].classes[0]}: give a folder with two or more.")
    return sources


def load_and_split(
    sources: list[ImageSet], held_out: int, seed: int, longest: int = 256
) -> tuple[PhotosInMemory, PhotosInMemory]:
    """The photos in random order: those to learn from, and `held_out` others; no side is above `longest` pixels."""
    found = [(fit_within(image, longest), label) for source in sources for image, label in source]
    labels = np.array([-1 if label is None else label for _, label in found], np.int32)
    photos = PhotosInMemory(tuple(image for image, _ in found), labels, sources[0].classes)
    held, learned = np.split(np.random.default_rng(seed).permutation(len(found)), [held_out])
    return photos.take(learned), photos.take(held)
