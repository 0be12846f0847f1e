"""Mean average precision as COCO defines it, from boxes that were found and boxes that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MOST = 100  # boxes of a photo


@dataclass(frozen=True)
class Boxes:
    """Boxes on a photo."""

    corners: np.ndarray
    """float (n, 4): left, top, right, bottom, in pixels or shares."""
    classes: np.ndarray
    """int (n,)."""
    scores: np.ndarray
    """float (n,), 1 for what is there."""

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, chosen: np.ndarray) -> Boxes:
        """Those with these indices, or where a mask is true."""
        return Boxes(self.corners[chosen], self.classes[chosen], self.scores[chosen])


def no_boxes() -> Boxes:
    """None."""
    return Boxes(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))


def overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of each box (n, 4) with each of others (m, 4): (n, m)."""
    left, top = (np.maximum(one[:, None, n], other[None, :, n]) for n in (0, 1))
    right, bottom = (np.minimum(one[:, None, n], other[None, :, n]) for n in (2, 3))
    shared = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    areas = [np.maximum(b[:, 2] - b[:, 0], 0) * np.maximum(b[:, 3] - b[:, 1], 0) for b in (one, other)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-12)


def average_precisions(found: Sequence[Boxes], true: Sequence[Boxes], classes: int) -> np.ndarray:
    """The average precision of each class at each of THRESHOLDS, (classes, 10); NaN for a class that no photo has."""
    result = np.full((classes, len(THRESHOLDS)), np.nan)
    for number in range(classes):
        count = sum(int((boxes.classes == number).sum()) for boxes in true)
        if count:
            result[number] = _of_class(found, true, number, count)
    return result


def _of_class(found: Sequence[Boxes], true: Sequence[Boxes], number: int, count: int) -> np.ndarray:
    scores: list[np.ndarray] = []
    hits: list[np.ndarray] = []
    for given, there in zip(found, true, strict=True):
        mine = given.take(np.argsort(-given.scores, kind="stable")[:MOST])
        mine = mine.take(mine.classes == number)
        corners = there.corners[there.classes == number]
        scores.append(mine.scores)
        hits.append(_matched(overlaps(mine.corners, corners)))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    hit = np.concatenate(hits, axis=1)[:, order]  # (10, boxes)
    right = np.cumsum(hit, axis=1)
    precision = right / np.arange(1, hit.shape[1] + 1)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    result = np.zeros(len(THRESHOLDS))
    for n in range(len(THRESHOLDS)):
        places = np.searchsorted(right[n] / count, RECALLS, side="left")
        reached = places < hit.shape[1]
        result[n] = (
            np.where(reached, precision[n][np.minimum(places, max(hit.shape[1] - 1, 0))], 0).mean() if hit.size else 0
        )
    return result


def _matched(shared: np.ndarray) -> np.ndarray:
    """Which boxes, the likeliest first, hit one that no box before them has hit, at each threshold: (10, boxes)."""
    hit = np.zeros((len(THRESHOLDS), len(shared)), bool)
    for n, threshold in enumerate(THRESHOLDS):
        free = np.ones(shared.shape[1], bool)
        for place, row in enumerate(shared):
            if not free.any():
                break
            best = int(np.where(free, row, -1).argmax())
            if row[best] >= threshold:
                hit[n, place], free[best] = True, False
    return hit
