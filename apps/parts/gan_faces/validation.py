"""How a training is validated: by the kernel distance of generated images to held-out photos, and by its health."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from apps.parts.gan_faces import distances
from shared import saved_models
from shared.console import say


class Validator:
    """Scores generated images by the features of the shipped photo_classifier or, without it, by random features.

    Args:
        held_out: real images, uint8 (n, H, W, 3), all of one square size.

    Attributes:
        kind: where the features come from: "photo_classifier" or "random".
    """

    def __init__(self, held_out: np.ndarray) -> None:
        if saved_models.in_box("photo_classifier"):
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
