"""How good a generator is: its validation in training, and the numbers of the model card."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.parts.gan_faces import distances
from apps.parts.gan_faces.generators import draw_latents, sampler
from shared import saved_models
from shared.console import say

if TYPE_CHECKING:
    import keras


class Validator:
    """Scores generated images by the features of the shipped photo_classifier or, without it, by random features.

    Args:
        held_out: real images, uint8 (n, H, W, 3), all of one square size.

    Attributes:
        kind: where the features come from: "photo_classifier" or "random".
    """

    def __init__(self, held_out: np.ndarray) -> None:
        if saved_models.is_shipped("photo_classifier"):
            self.kind = "photo_classifier"
            self.features = distances.classifier_features()
        else:
            self.kind = "random"
            self.features = distances.random_features(held_out.shape[1])
        self.reference = self.features(held_out)
        self._accuracies: deque[float] = deque(maxlen=100)  # of the critic

    def means_of(self, logs: list[dict[str, Any]]) -> dict[str, float]:
        """The mean of each metric over the updates that have it; remembers the critic's accuracy for `score`."""
        names = dict.fromkeys(name for log in logs for name in log)
        means = {name: float(np.mean([log[name] for log in logs if name in log])) for name in names}
        self._accuracies.append(means["critic_accuracy"])
        return means

    def score(self, generated: np.ndarray) -> float:
        """Minus the kernel distance of images, uint8 (n, H, W, 3). Reports, and warns if the training goes wrong."""
        found = self.features(generated)
        distance, _ = distances.kernel_distance(found, self.reference)
        variety = distances.spread(found) / distances.spread(self.reference)
        accuracy = float(np.mean(self._accuracies))
        say(f"KD-{self.kind} {distance:.4f}; variety {variety:.0%} of the photos'; critic right in {accuracy:.0%}.")
        if problem := diagnosis(variety, accuracy):
            say(f"warning: {problem}")
        return -distance


def diagnosis(variety: float, accuracy: float) -> str:
    """What goes wrong in the training, in a sentence, or nothing.

    Args:
        variety: the spread of the generated images divided by that of the photos.
        accuracy: how often the critic is right, 0 to 1.
    """
    if variety < 0.5:
        return (
            f"mode collapse: the generated images vary {variety:.0%} as much as the photos; raise --penalty or try "
            "another --seed."
        )
    if accuracy > 0.99:
        return f"the critic is right in {accuracy:.1%}: its gradient teaches the generator little; raise --penalty."
    return ""


def global_norm(gradients: list) -> Any:
    """Euclidean norm of all gradients together."""
    from keras import ops

    return ops.sqrt(sum(ops.sum(ops.square(ops.cast(gradient, "float32"))) for gradient in gradients))


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
