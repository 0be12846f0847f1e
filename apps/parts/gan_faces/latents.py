"""What a generator of pictures needs beside its training: it paints, travels through its latents, and is compared.

A generator maps latents float32 (n, latent), standard normal, to RGB float32 in [0, 1], (n, H, W, 3).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from apps.parts.gan_faces import distances
from shared.console import say
from shared.data.images import load_image, resize
from shared.drawing.film import Film
from shared.drawing.pictures import grid, save_image
from shared.training.inference import compiled_inference

if TYPE_CHECKING:
    import keras

Painter = Callable[[np.ndarray], np.ndarray]
"""Latents (n, latent) -> uint8 pictures (n, H, W, 3)."""


def painter(network: keras.Model) -> Painter:
    """The generator as a compiled function; it paints with the weights that it has when it is called."""
    infer = compiled_inference(lambda latents: network(latents, training=False), network, batch=64)
    return lambda latents: np.rint(255 * infer(latents.astype(np.float32))).astype(np.uint8)


def tour(latents: np.ndarray, frames: int) -> np.ndarray:
    """A closed way through latents (n, latent), `frames` from each to the next: (n * frames, latent).

    Along great circles (slerp), because most of a normal distribution lies at one distance from zero: on the straight
    line between two of its samples pictures are too average.
    """
    following = np.roll(latents, -1, axis=0)
    lengths = [np.linalg.norm(ends, axis=1) for ends in (latents, following)]
    cosines = np.sum(latents * following, axis=1) / np.maximum(lengths[0] * lengths[1], 1e-9)
    angles = np.maximum(np.arccos(cosines.clip(-1, 1)), 1e-3)[:, None, None]  # (n, 1, 1)
    way = np.linspace(0, 1, frames, endpoint=False)[None, :, None]
    parts = np.sin((1 - way) * angles) * latents[:, None], np.sin(way * angles) * following[:, None]
    return (sum(parts) / np.sin(angles)).reshape(-1, latents.shape[1])


def added(latents: np.ndarray, signs: Sequence[float]) -> np.ndarray:
    """The sum of latents (n, latent), each times its sign, as long as they are on average: (1, latent).

    Vectors of faces add up to faces: a smiling woman, less a woman, plus a man (Radford et al. 2015,
    arXiv:1511.06434). What is much longer or shorter than a sample of the normal distribution is no face.
    """
    total = np.asarray(signs, float) @ latents
    return (total * np.linalg.norm(latents, axis=1).mean() / max(np.linalg.norm(total), 1e-9))[None]


# ------------------------------------------------------------------------------------------- Sheets and films


def save_sheet(path: Path, pictures: Sequence[np.ndarray] | np.ndarray, columns: int = 8, scale: int = 1) -> None:
    """Write a grid of uint8 pictures, each enlarged `scale` times; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    large = [resize(picture, scale * picture.shape[0], scale * picture.shape[1]) for picture in pictures]
    save_image(path, grid(large, columns))


def film_sheets(folder: Path, path: Path) -> Path:
    """The sheets in a folder as a film, 10 of them a second, in the order of their names."""
    with Film(path, fps=10, quality=75) as film:
        for sheet in sorted(folder.glob("*.jpg")):
            film.add(load_image(sheet))
    return path


def film_tour(path: Path, pictures: np.ndarray, scale: int = 4) -> None:
    """Pictures as a film that loops, 24 of them a second, enlarged."""
    with Film(path, fps=24, quality=80) as film:
        for picture in pictures:
            film.add(resize(picture, scale * picture.shape[0], scale * picture.shape[1]))


# ------------------------------------------------------------------------------------------------- Comparing


def compare(
    names: tuple[str, str], features: distances.Features, sets: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Print Frechet and kernel distance, under `names`, of every two of some sets of pictures; returns the features."""
    say(f"Looking at {sum(map(len, sets.values())):,} pictures for {' and '.join(names)} ...")
    seen = {name: features(pictures) for name, pictures in sets.items()}
    print(f"{'':52}{names[0]:>22}{names[1]:>22}")
    for n, (a, of_a) in enumerate(seen.items()):
        for b, of_b in list(seen.items())[n + 1 :]:
            kernel, error = distances.kernel_distance(of_a, of_b)
            row = f"{len(of_a):,} {a} beside {len(of_b):,} {b}"
            print(f"{row:52}{distances.frechet(of_a, of_b):22.3f}{kernel:13.5f} +-{error:.5f}")
    return seen


def report_copies(painted: np.ndarray, learned: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """Print, from features, whether paintings repeat each other or photos learned from; returns the nearest photos."""
    variety = distances.spread(painted) / distances.spread(learned)
    print(f"variety: paintings lie {variety:.1%} as far from each other as the photos do")
    closest, gaps = distances.nearest(painted[:1000], learned)
    gap, usual = np.median(gaps), np.median(distances.nearest(held_out[:1000], learned)[1])
    print(f"copying: the nearest photo is {gap:.3f} away from a painting, {usual:.3f} from a photo held out")
    return closest


def time_painting(network: keras.Model, count: int = 64) -> float:
    """Seconds to paint `count` pictures once everything is loaded and compiled."""
    paint, latents = painter(network), np.random.default_rng(0).standard_normal((count, network.input_shape[1]))
    paint(latents)
    began_s = time.perf_counter()
    paint(latents)
    return time.perf_counter() - began_s
