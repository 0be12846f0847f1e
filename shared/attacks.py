"""Small changes of photos that mislead a classifier: FGSM, PGD, and noise of the same size to compare them with.

    attacker = Attacker(network, batch=25)
    fooled = attacker.fgsm(photos, labels, epsilon=2 / 255)  # uint8, each pixel at most 2 grey levels away
    right = attacker.logits(fooled).argmax(-1) == labels

Photos are RGB pixels 0..255, (n, height, width, 3), uint8 or float32. The network takes such batches as float32 and
gives logits (n, classes): behind a softmax, confident answers have no gradient, and a network only looks robust.
`epsilon` is the largest change of any pixel, as a share of the whole range 0..255.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


class Attacker:
    """Attacks on one network, compiled once for batches of one size; what is left of the last batch is padded.

    The attacks return uint8 photos, or with `uint8=False` float32 ones. `targeted` ones lead to `labels`, the others
    away from them. A `seed` begins at a random place within epsilon instead of at the photo.
    """

    def __init__(self, network: keras.Model, batch: int = 25):
        from keras import ops

        from shared.training.steps import compile_step, input_gradient

        def loss(photos: Any, labels: Any) -> Any:
            # The gradient of cross-entropy is (1 - p) times this one's, p the probability of the label: the same sign,
            # but where the network is sure, cross-entropy's vanishes in float32.
            logits = ops.cast(network(photos, training=False), "float32")
            chosen = ops.one_hot(labels, logits.shape[-1])
            others = ops.logsumexp(logits - 1e9 * chosen, axis=-1)
            return ops.sum(others - ops.sum(logits * chosen, axis=-1))

        def uphill(photos: Any, labels: Any) -> Any:
            return ops.cast(ops.sign(input_gradient(lambda x: loss(x, labels), photos)[1]), "int8")

        self.batch = batch
        self._infer = compile_step(lambda photos: network(photos, training=False), network)
        self._uphill = compile_step(uphill, network)

    def logits(self, photos: np.ndarray) -> np.ndarray:
        """The network's answers, float32 (n, classes)."""
        return self._batched(lambda x: np.asarray(self._infer(x), np.float32), photos)

    def sign(self, photos: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The sign of the gradient of the cross-entropy with `labels`, int8 in the shape of `photos`."""
        return self._batched(self._sign, photos, np.asarray(labels, np.int32))

    def fgsm(self, photos: np.ndarray, labels: np.ndarray, epsilon: float, **options: Any) -> np.ndarray:
        """Fast gradient sign method: one step as long as it may be (Goodfellow et al. 2015, arXiv:1412.6572).

        From a random start the step is 1.25 epsilon (Wong et al. 2020, arXiv:2001.03994). Options as in `pgd`.
        """
        step = epsilon if options.get("seed") is None else 1.25 * epsilon
        return self.pgd(photos, labels, epsilon, steps=1, step=step, **options)

    def sweep(
        self, photos: np.ndarray, labels: np.ndarray, epsilons: Sequence[float], targeted: bool = False
    ) -> Iterator[np.ndarray]:
        """`fgsm` for each epsilon in turn, uint8, all from one gradient."""
        signs = self.sign(photos, labels) * np.int8(-1 if targeted else 1)
        for epsilon in epsilons:
            yield shifted(photos, signs, epsilon)

    def pgd(
        self,
        photos: np.ndarray,
        labels: np.ndarray,
        epsilon: float,
        steps: int = 10,
        step: float | None = None,
        targeted: bool = False,
        seed: int | None = None,
        uint8: bool = True,
    ) -> np.ndarray:
        """Projected gradient descent: many small steps, none beyond epsilon (Madry et al. 2018, arXiv:1706.06083).

        Args:
            step: length of one, in epsilon's unit; by default 2.5 * epsilon / steps, as in the paper.
        """
        stride = 255 * (2.5 * epsilon / steps if step is None else step) * (-1 if targeted else 1)
        rng = None if seed is None else np.random.default_rng(seed)

        def walk(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
            low, high = np.maximum(x - 255 * epsilon, 0), np.minimum(x + 255 * epsilon, 255)
            at = x if rng is None else rng.uniform(low, high).astype(np.float32)
            for _ in range(steps):
                at = np.clip(at + np.float32(stride) * self._sign(at, labels), low, high, dtype=np.float32)
            return rounded(at, x, epsilon) if uint8 else at

        return self._batched(walk, photos, np.asarray(labels, np.int32))

    def _sign(self, photos: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return np.asarray(self._uphill(photos, labels))

    def _batched(self, work: Callable[..., np.ndarray], photos: np.ndarray, *more: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(photos), self.batch):
            chunk = [array[start : start + self.batch] for array in (photos, *more)]
            missing = self.batch - len(chunk[0])
            x, *rest = (np.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1)) for array in chunk)
            parts.append(work(x.astype(np.float32), *rest)[: len(chunk[0])])
        return np.concatenate(parts)


def noise(photos: np.ndarray, epsilon: float, seed: int = 0) -> np.ndarray:
    """Move every pixel by epsilon, up or down by chance: as large a change as `fgsm` makes, uint8."""
    signs = np.random.default_rng(seed).integers(0, 2, photos.shape, dtype=np.int8) * 2 - 1
    return shifted(photos, signs, epsilon)


def shifted(photos: np.ndarray, signs: np.ndarray, epsilon: float) -> np.ndarray:
    """`photos` + epsilon * `signs`, uint8."""
    return rounded(photos + np.float32(255 * epsilon) * signs, photos, epsilon)


def rounded(adversarial: np.ndarray, photos: np.ndarray, epsilon: float) -> np.ndarray:
    """`adversarial` as uint8, no pixel further than epsilon from `photos`, which hold whole grey levels."""
    most = grey_levels(epsilon)
    low, high = np.maximum(photos - np.float32(most), 0), np.minimum(photos + np.float32(most), 255)
    return np.clip(np.rint(adversarial), low, high).astype(np.uint8)


def grey_levels(epsilon: float) -> int:
    """The most that an 8-bit pixel may change: epsilon in grey levels, rounded down (2 / 255 gives 2)."""
    return int(np.floor(255 * epsilon + 1e-4))
