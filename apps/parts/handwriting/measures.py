"""What tells one hand from another: some plain properties of a line, and how far lines are apart in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from apps.parts.handwriting.lines import small_height_of
from apps.parts.handwriting.pen import Written

TEXTS = (
    "It writes a letter a day",
    "over the hills and far away",
    "some are born in the morning",
    "The garden was full of roses",
    "winter came early that year",
    "He put the bread on the table",
    "music from another room",
    "They sailed along the coast",
)
"""Lines of everyday words, about as long as one another."""


def style_of(line: Written) -> np.ndarray:
    """(4,): the slant in radians, the height of small letters, the width of a character, and points in a stroke."""
    points = line.points
    steps = np.diff(points[:, :2], axis=0)[points[:-1, 2] == 0]  # with the pen on the paper
    down = steps[steps[:, 1] > 0]  # strokes towards oneself carry the slant
    slant = float(np.arctan2(-down[:, 0].sum(), down[:, 1].sum())) if len(down) else 0.0
    width = float(np.ptp(points[:, 0])) / max(len(line.text), 1)
    stroke = len(points) / max(float(points[:, 2].sum()), 1.0)
    return np.array([slant, small_height_of(points), width, stroke])


def distances(styles: Sequence[np.ndarray], hands: Sequence[int]) -> tuple[float, float]:
    """Mean distance between the styles of two lines of one hand, and of two hands; in standard deviations of all."""
    found = np.stack(styles)
    found = found / np.maximum(found.std(axis=0), 1e-9)
    apart = np.linalg.norm(found[:, None] - found, axis=-1)
    same = np.equal.outer(hands, hands)
    different = ~same
    np.fill_diagonal(same, False)
    means = [float(apart[which].mean()) if which.any() else 0.0 for which in (same, different)]
    return means[0], means[1]
