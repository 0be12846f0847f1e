"""The numbers of the model card: distances between sets of images, signs of copying, speed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from apps.parts.gan_faces import distances
from apps.parts.gan_faces.generators import draw_latents, sampler
from shared.console import say

if TYPE_CHECKING:
    import keras


def compare(
    names: tuple[str, str], features: distances.Features, sets: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Print Frechet and kernel distance, under `names`, of every two sets of images; returns their features."""
    say(f"Computing features of {sum(map(len, sets.values())):,} images for {' and '.join(names)} ...")
    found = {name: features(images) for name, images in sets.items()}
    print(f"{'':52}{names[0]:>22}{names[1]:>22}")
    for n, (a, of_a) in enumerate(found.items()):
        for b, of_b in list(found.items())[n + 1 :]:
            kernel, error = distances.kernel_distance(of_a, of_b)
            row = f"{len(of_a):,} {a} and {len(of_b):,} {b}"
            print(f"{row:52}{distances.frechet(of_a, of_b):22.3f}{kernel:13.5f} +-{error:.5f}")
    return found


def report_copies(generated: np.ndarray, training: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Print, from features, whether generated images repeat each other or training photos; returns the nearest photos.

    Returns:
        For each of the first 1,000 generated images the index of the nearest training photo.
    """
    variety = distances.spread(generated) / distances.spread(training)
    print(f"variety: the mean distance between two generated faces is {variety:.1%} of that between two photos")
    nearest, gaps = distances.nearest(generated[:1000], training)
    usual = np.median(distances.nearest(test[:1000], training)[1])
    print(
        f"copying: the nearest training photo is {np.median(gaps):.3f} away from a generated face, "
        f"{usual:.3f} from a test photo"
    )
    return nearest


def time_sampling(network: keras.Model, count: int = 64) -> float:
    """Seconds to generate `count` images once everything is loaded and compiled."""
    sample, latents = sampler(network), draw_latents(0, count, network)
    sample(latents)
    began_s = time.perf_counter()
    sample(latents)
    return time.perf_counter() - began_s
