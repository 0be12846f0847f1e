"""Sheets and animations of generated images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from apps.parts.gan_faces import distances
from shared.data.images import load_image
from shared.data.sizes import resize
from shared.drawing.film import Film
from shared.drawing.pictures import grid, save_image


def enlarged(image: np.ndarray, scale: int) -> np.ndarray:
    """A uint8 image, `scale` times as high and as wide."""
    return resize(image, scale * image.shape[0], scale * image.shape[1])


def save_sheet(path: Path, images: Sequence[np.ndarray] | np.ndarray, columns: int = 8, scale: int = 1) -> None:
    """Write a grid of uint8 images, each enlarged `scale` times; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(path, grid([enlarged(image, scale) for image in images], columns))


def save_nearest(path: Path, generated: np.ndarray, photos: np.ndarray, nearest: np.ndarray) -> None:
    """Write a sheet of triples: a generated image, its `nearest` photo by features, and the nearest one by pixels."""
    flat = [images.reshape(len(images), -1).astype(np.float32) for images in (generated, photos)]
    by_pixels, _ = distances.nearest(*flat)
    triples = zip(generated, photos[nearest], photos[by_pixels], strict=True)
    save_sheet(path, [image for triple in triples for image in triple], columns=12)


def film_sheets(folder: Path, path: Path) -> Path:
    """Make a film of the sheets in a folder, 10 of them a second, in the order of their names."""
    with Film(path, fps=10, quality=75) as film:
        for sheet in sorted(folder.glob("*.jpg")):
            film.add(load_image(sheet))
    return path


def save_animation(path: Path, images: np.ndarray, scale: int = 4) -> None:
    """Write uint8 images as an animation that loops, 24 of them a second, enlarged."""
    with Film(path, fps=24, quality=80) as film:
        for image in images:
            film.add(enlarged(image, scale))
