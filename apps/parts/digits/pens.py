"""Digits drawn by code: the strokes of a hand, with pens of any width, anywhere and in any size."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

Points = list[tuple[float, float]]


def _arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> Points:
    """Part of an ellipse around (x, y), from one angle to another in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 24))
    return [(x + rx * float(np.cos(angle)), y + ry * float(np.sin(angle))) for angle in angles]


STROKES: dict[str, list[Points]] = {
    "0": [_arc(0.5, 0.5, 0.32, 0.5, -90, 270)],
    "0 slashed": [_arc(0.5, 0.5, 0.32, 0.5, -90, 270), [(0.22, 0.88), (0.78, 0.12)]],
    "1": [[(0.5, 0.0), (0.5, 1.0)]],
    "1 with a flag": [[(0.28, 0.28), (0.55, 0.0), (0.55, 1.0)]],
    "1 with a foot": [[(0.3, 0.25), (0.52, 0.0), (0.52, 1.0)], [(0.3, 1.0), (0.74, 1.0)]],
    "2": [[*_arc(0.5, 0.28, 0.3, 0.28, -170, 25), (0.2, 1.0), (0.82, 1.0)]],
    "2 with a loop": [[*_arc(0.5, 0.28, 0.3, 0.28, -170, 30), *_arc(0.3, 0.88, 0.12, 0.11, 60, 330), (0.86, 0.98)]],
    "3": [[*_arc(0.45, 0.25, 0.3, 0.25, -150, 90), *_arc(0.45, 0.75, 0.34, 0.25, -90, 150)]],
    "3 with a flat top": [[(0.2, 0.0), (0.75, 0.0), (0.45, 0.4), *_arc(0.45, 0.7, 0.34, 0.3, -90, 150)]],
    "4": [[(0.6, 0.0), (0.15, 0.65), (0.85, 0.65)], [(0.65, 0.35), (0.65, 1.0)]],
    "4 open": [[(0.22, 0.05), (0.2, 0.55), (0.8, 0.55)], [(0.74, 0.0), (0.7, 1.0)]],
    "5": [[(0.75, 0.0), (0.28, 0.0), (0.25, 0.45), *_arc(0.45, 0.68, 0.34, 0.32, -115, 150)]],
    "6": [[(0.7, 0.02), *_arc(0.62, 0.62, 0.42, 0.6, -110, -180), *_arc(0.5, 0.72, 0.3, 0.28, 180, 540)]],
    "7": [[(0.15, 0.02), (0.82, 0.02), (0.4, 1.0)]],
    "7 crossed": [[(0.15, 0.02), (0.82, 0.02), (0.4, 1.0)], [(0.32, 0.5), (0.78, 0.5)]],
    "8": [[*_arc(0.5, 0.25, 0.26, 0.25, 90, 450), *_arc(0.5, 0.74, 0.32, 0.26, -90, 270)]],
    "9": [[*_arc(0.48, 0.3, 0.3, 0.29, 0, 360), (0.76, 0.35), (0.68, 1.0)]],
    "9 with a hook": [[*_arc(0.48, 0.28, 0.3, 0.28, 0, 360), *_arc(0.4, 0.6, 0.38, 0.4, -30, 110)]],
}
"""How each digit is drawn, some in two or three ways; x and y from 0 to 1, y down. The first letter is the digit."""


def drawn(
    kind: str,
    size: int = 280,
    pen: float = 0.09,
    scale: float = 0.7,
    at: tuple[float, float] = (0.5, 0.5),
    slant: float = 0.0,
    turn: float = 0.0,
    wobble: float = 0.0,
    seed: int = 0,
) -> np.ndarray:
    """A digit drawn with a round pen, uint8 (size, size), ink 255 on 0.

    Args:
        kind: a key of STROKES.
        size: pixels.
        pen: width of the pen, as a share of the size.
        scale: height of the digit, as a share of the size.
        at: where its middle is, as shares of the size.
        slant: to the right, columns a row.
        turn: degrees, clockwise.
        wobble: how far the hand strays, as a share of the digit's height.
        seed: of the wobble.
    """
    rng, angle = np.random.default_rng(seed), np.radians(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    fine = 2  # drawn twice as large, for smooth edges
    canvas = Image.new("L", (fine * size, fine * size))
    draw, radius = ImageDraw.Draw(canvas), fine * size * pen / 2
    for stroke in STROKES[kind]:
        points = _resampled(np.array(stroke))
        waves = np.cumsum(rng.normal(0, 1, points.shape), axis=0)
        points = points + wobble * waves / max(1.0, np.abs(waves).max())
        points = (points - 0.5) @ np.array([[1, 0], [-slant, 1]]).T.T
        points = fine * size * (np.array(at) + scale * points @ rotation.T)
        draw.line([tuple(point) for point in points], 255, max(1, round(2 * radius)), "curve")
        for x, y in points[[0, -1]]:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX))


def _resampled(points: np.ndarray, count: int = 40) -> np.ndarray:
    """The same line through `count` points, evenly spaced."""
    lengths = np.r_[0, np.hypot(*np.diff(points, axis=0).T).cumsum()]
    even = np.linspace(0, lengths[-1], count)
    return np.stack([np.interp(even, lengths, points[:, n]) for n in (0, 1)], axis=1)


def random_hands(per_kind: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Drawings in many sizes, places and pens, uint8 (n, 140, 140), and what they show, int64 (n,)."""
    rng, drawings, labels = np.random.default_rng(seed), [], []
    for kind in STROKES:
        for _ in range(per_kind):
            scale = rng.uniform(0.3, 0.85)
            room = (1 - scale) / 2
            at = 0.5 + rng.uniform(-room, room), 0.5 + rng.uniform(-room, room)
            look = {
                "pen": scale * rng.uniform(0.05, 0.2),
                "slant": rng.uniform(-0.2, 0.35),
                "turn": rng.uniform(-12, 12),
            }
            drawings.append(drawn(kind, 140, scale=scale, at=at, wobble=0.08, seed=int(rng.integers(2**31)), **look))
            labels.append(int(kind[0]))
    return np.stack(drawings), np.array(labels)
