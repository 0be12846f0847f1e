"""Hands that are nobody's: each is the middle of the vectors of several writers."""

from __future__ import annotations

import numpy as np

LEAST_WRITERS = 5  # a hand
LEAST_SAMPLES = 20  # a writer who counts


def blended(vectors: np.ndarray, samples: np.ndarray, most: int) -> np.ndarray:
    """Hands, float32 (at most `most`, size), the first few as different as can be.

    Writers whose vectors are close are put together (k-means), and a group's mean is a hand. As many groups are made
    as `most`, or fewer until none has less than LEAST_WRITERS writers.

    Args:
        vectors: of the writers, (writers, size).
        samples: how many each writer wrote, (writers,).
    """
    from sklearn.cluster import KMeans

    known = vectors[samples >= LEAST_SAMPLES]
    if len(known) < 2 * LEAST_WRITERS:
        return vectors[samples > 0].mean(axis=0, keepdims=True).astype(np.float32)
    for groups in range(min(most, len(known) // LEAST_WRITERS), 0, -1):
        found = KMeans(groups, n_init=10, random_state=0).fit(known)
        if np.bincount(found.labels_).min() >= LEAST_WRITERS:
            break
    hands = np.stack([known[found.labels_ == n].mean(axis=0) for n in range(groups)])
    return _spread(hands).astype(np.float32)


def _spread(hands: np.ndarray) -> np.ndarray:
    """The same hands, each the farthest from those before it."""
    distances = np.linalg.norm(hands[:, None] - hands, axis=-1)
    order = [int(distances.sum(axis=1).argmax())]
    while len(order) < len(hands):
        nearest = distances[:, order].min(axis=1)
        nearest[order] = -1
        order.append(int(nearest.argmax()))
    return hands[order]
