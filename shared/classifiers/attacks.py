"""Small changes of photos that mislead a classifier: projected gradient steps, and noise of the same size beside them.

    attacker = Attacker(network, batch=25)
    fooled = attacker.pgd(photos, labels, epsilon=2 / 255)  # uint8, each pixel at most 2 grey levels away
    right = attacker.logits(fooled).argmax(-1) == labels

Photos are RGB pixels 0..255, (n, height, width, 3), uint8 or float32. The network takes such batches as float32 and
gives logits (n, classes): behind a softmax, confident answers have no gradient, and a network only looks robust.
`epsilon` is the largest change of any pixel, as a share of the whole range 0..255.

Backends round differently, and must not give different pictures for it. So a value whose gradient is next to nothing
moves in proportion, not by its sign (`steady_sign`), and `without_kinks` makes the gradient itself continuous.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.training.inference import in_batches

if TYPE_CHECKING:
    import keras

Loss = Callable[[Any, Any], Any]  # logits (batch, classes), labels (batch,) -> losses (batch,), in keras.ops

FAINT = 0.1  # of a photo's mean gradient; to first order, moving less there costs at most FAINT / 4 of the whole effect
BEND = 1e-3  # half the width of a ReLU's bend, in units of its input


def margin(logits: Any, labels: Any) -> Any:
    """How far the best other class is ahead of the label (Carlini & Wagner 2017, arXiv:1608.04644).

    To raise it is a stronger attack than to raise the cross-entropy, whose gradient goes to many classes that never
    win.
    """
    from keras import ops

    chosen = ops.one_hot(labels, logits.shape[-1])
    return ops.max(logits - 1e9 * chosen, axis=-1) - ops.sum(logits * chosen, axis=-1)


class Attacker:
    """The gradient of any loss for the photos of one network, and projected steps along its sign.

    Each loss is compiled once, for batches of one size; what is left of the last batch is padded.
    """

    def __init__(self, network: keras.Model, batch: int = 25):
        from shared.training.steps import compile_step

        self.network, self.batch = network, batch
        self._infer = compile_step(lambda photos: network(photos, training=False), network)
        self._gradients: dict[Loss, Callable] = {}

    def logits(self, photos: np.ndarray) -> np.ndarray:
        """The network's answers, float32 (n, classes)."""
        return self._batched(self._infer, photos).astype(np.float32)

    def gradient(self, loss: Loss, photos: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The gradient of each photo's loss for its pixels, float32 in the shape of `photos`."""
        return self._batched(self._compiled(loss), photos, np.asarray(labels, np.int32))

    def _compiled(self, loss: Loss) -> Callable[..., np.ndarray]:
        from keras import ops

        from shared.training.steps import compile_step, input_gradient

        def gradient(photos: Any, labels: Any) -> Any:
            def total(x: Any) -> Any:
                return ops.sum(loss(ops.cast(self.network(x, training=False), "float32"), labels))

            return input_gradient(total, photos)[1]

        if loss not in self._gradients:
            self._gradients[loss] = compile_step(gradient, self.network)
        return lambda *batch: np.asarray(self._gradients[loss](*batch))

    def pgd(
        self,
        photos: np.ndarray,
        labels: np.ndarray,
        epsilon: float,
        steps: int = 10,
        step: float | None = None,
        targeted: bool = False,
        seed: int | None = None,
        loss: Loss = margin,
    ) -> np.ndarray:
        """Projected gradient descent: many small steps, none beyond epsilon (Madry et al. 2018, arXiv:1706.06083).

        Args:
            step: length of one, in epsilon's unit; by default `step_length`.
            targeted: lead to `labels`, down the loss, and not away from them.
            seed: begin at a random place within epsilon instead of at the photo.
            loss: what the steps raise.

        Returns:
            Photos in whole grey levels, uint8.
        """
        length = 255 * (step_length(epsilon, steps) if step is None else step) * (-1 if targeted else 1)
        gradient = self._compiled(loss)
        rng = None if seed is None else np.random.default_rng(seed)

        def walk(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
            low, high = np.maximum(x - 255 * epsilon, 0), np.minimum(x + 255 * epsilon, 255)
            at = x if rng is None else rng.uniform(low, high).astype(np.float32)
            for _ in range(steps):
                at = np.clip(at + np.float32(length) * steady_sign(gradient(at, labels)), low, high, dtype=np.float32)
            return rounded(at, x, epsilon)

        return self._batched(walk, photos, np.asarray(labels, np.int32))

    def _batched(self, work: Callable[..., np.ndarray], photos: np.ndarray, *more: np.ndarray) -> np.ndarray:
        """`work` on float32 photos, a batch at a time: all of them as float32 could be more than the memory holds."""
        return in_batches(lambda x, *rest: work(x.astype(np.float32), *rest), self.batch, photos, *more)


def step_length(epsilon: float, steps: int) -> float:
    """How long a step of PGD is: 2.5 epsilon in all for up to ten of them, as in the paper; more of them go further."""
    return 2.5 * epsilon / min(steps, 10)


def steady_sign(gradient: np.ndarray) -> np.ndarray:
    """The sign of photos' gradients; between -1 and 1 where one is below FAINT of its mean over the photo."""
    faint = FAINT * np.abs(gradient).mean((1, 2, 3), keepdims=True)
    return np.clip(gradient / np.maximum(faint, 1e-30), -1, 1)


def without_kinks(network: keras.Model) -> keras.Model:
    """The network, on the same weights, with ReLU layers that bend where they had a kink; its answers hardly change.

    At a kink, rounding decides which slope the gradient takes, and one unit deep in the network turns the signs of
    hundreds of pixels: at 160 pixels, photo_classifier has such units in every second photo.
    """
    import keras
    from keras import ops

    def bend(x: Any) -> Any:
        return (x + ops.sqrt(x * x + BEND**2)) / 2

    def bent(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, keras.layers.ReLU) or layer.negative_slope or layer.threshold:
            return layer
        top = layer.max_value
        return keras.layers.Activation(bend if top is None else lambda x: bend(x) - bend(x - top))

    return keras.models.clone_model(network, clone_function=bent, recursive=True)


def noise(photos: np.ndarray, epsilon: float, seed: int = 0) -> np.ndarray:
    """Move every pixel by epsilon, up or down by chance: as large a change as an attack makes, uint8."""
    signs = np.random.default_rng(seed).integers(0, 2, photos.shape, dtype=np.int8) * 2 - 1
    return rounded(photos + np.float32(255 * epsilon) * signs, photos, epsilon)


def rounded(adversarial: np.ndarray, photos: np.ndarray, epsilon: float) -> np.ndarray:
    """`adversarial` as uint8, no pixel further than epsilon from `photos`, which hold whole grey levels."""
    most = grey_levels(epsilon)
    low, high = np.maximum(photos - np.float32(most), 0), np.minimum(photos + np.float32(most), 255)
    return np.clip(np.rint(adversarial), low, high).astype(np.uint8)


def grey_levels(epsilon: float) -> int:
    """The most that an 8-bit pixel may change: epsilon in grey levels, rounded down (2 / 255 gives 2)."""
    return int(np.floor(255 * epsilon + 1e-4))
