"""How good an explanation is: what happens to the answer when the pixels that it names go first, or come first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STEPS = 28  # of a curve


@dataclass(frozen=True)
class Curves:
    """The answer while pixels are taken away, or brought back, the most important ones first."""

    deletion: np.ndarray
    """Probabilities, (STEPS + 1,), while pixels become grey; a good map's fall soon."""
    insertion: np.ndarray
    """The same while a blurred photo becomes sharp; a good map's rise soon."""

    @property
    def areas(self) -> tuple[float, float]:
        """The areas under both: low and high are good."""
        return tuple(float(np.trapezoid(curve, dx=1 / STEPS)) for curve in (self.deletion, self.insertion))  # type: ignore[return-value]


def blurred(photo: np.ndarray, share: float = 1 / 16) -> np.ndarray:
    """A photo (H, W, 3) in which nothing can be recognised, float32: a Gaussian of this share of its width."""
    from scipy.ndimage import gaussian_filter

    sigma = share * photo.shape[1]
    return gaussian_filter(photo.astype(np.float32), (sigma, sigma, 0))


def curves(answers: Callable[[np.ndarray], np.ndarray], photo: np.ndarray, importance: np.ndarray) -> Curves:
    """Deletion and insertion (Petsiuk et al. 2018, arXiv:1806.07421) of a map (H, W) over a photo (H, W, 3)."""
    height, width, _ = photo.shape
    order = np.argsort(-importance.ravel(), kind="stable")
    rank = np.empty(height * width, np.int64)
    rank[order] = np.arange(height * width)
    rank = rank.reshape(height, width, 1)
    limits = np.linspace(0, height * width, STEPS + 1)[:, None, None, None]
    gone = rank[None] < limits  # (steps, height, width, 1)
    sharp, grey, soft = photo.astype(np.float32), np.float32(127), blurred(photo)
    found = answers(np.concatenate([np.where(gone, grey, sharp), np.where(gone, sharp, soft)]))
    return Curves(found[: STEPS + 1], found[STEPS + 1 :])


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's correlation of two maps of one shape: 1 if they order all places alike; 0 if one is flat."""
    from scipy.stats import rankdata

    first, second = (rankdata(each.ravel()) for each in (one, other))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
