"""What a first network can learn: small problems of textbooks, drawn by code, each in a fraction of a second.

Russell and Norvig's "Artificial Intelligence: A Modern Approach" (AIMA) is the source of the first four.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shared.data.images import load_image
from shared.data.photo_files import sample_photos
from shared.data.sizes import resize

LINE = (-4.9, 1.7, -1.0)
"""AIMA, figure 18.15: -4.9 + 1.7 x1 - x2 = 0 divides earthquakes from underground explosions."""


@dataclass(frozen=True)
class Task:
    """Examples to learn from, and what to predict."""

    name: str
    inputs: np.ndarray
    """float32 (examples, inputs)."""
    targets: np.ndarray
    """int32 (examples,) classes, or float32 (examples,) values with mean 0 and variance 1."""
    labels: tuple[str, ...] = ()
    """Names of the classes; none for values."""
    axes: tuple[str, str] = ("x", "y")
    """What the first two inputs are."""

    @property
    def classes(self) -> int:
        """How many classes there are; 0 for values."""
        return len(self.labels)

    @property
    def outputs(self) -> int:
        """Outputs that a network for it has."""
        return self.classes or 1


def earthquakes(noise: float, seed: int, count: int = 64) -> Task:
    """Body-wave and surface-wave magnitudes, 0 an earthquake and 1 an explosion, divided by AIMA's line.

    AIMA's own 64 and 72 measurements (Kebeasy et al. 1998) are not here: these are drawn, half on each side, at least
    0.15 from the line; with `noise`, the surface-wave magnitude has an error of that standard deviation.
    """
    rng = np.random.default_rng(seed)
    points = np.stack([rng.uniform(4.7, 6.8, 40 * count), rng.uniform(2.5, 7.2, 40 * count)], axis=1)
    side = LINE[0] + LINE[1] * points[:, 0] + LINE[2] * points[:, 1]  # above 0: an explosion
    distance = np.abs(side) / np.hypot(*LINE[1:])
    near = (distance > 0.15) & (distance < 0.8)
    chosen = [np.flatnonzero(near & (side < 0))[: count // 2], np.flatnonzero(near & (side > 0))[: count // 2]]
    order = rng.permutation(np.concatenate(chosen))
    points, labels = points[order], (side[order] > 0).astype(np.int32)
    points[:, 1] += rng.normal(0, noise, len(points)) if noise else 0
    axes = "body-wave magnitude", "surface-wave magnitude"
    return Task("earthquakes", points.astype(np.float32), labels, ("earthquake", "explosion"), axes)


def gate(name: str) -> Task:
    """AND, OR or XOR of two inputs, 0 or 1."""
    inputs = np.array(list(itertools.product((0, 1), repeat=2)), np.float32)
    a, b = inputs.T.astype(bool)
    targets = {"AND": a & b, "OR": a | b, "XOR": a ^ b}[name]
    return Task(name, inputs, targets.astype(np.int32), ("0", "1"), ("a", "b"))


def majority(count: int, seed: int, inputs: int = 11) -> Task:
    """Whether more than half of eleven inputs are 1: AIMA, figure 18.16."""
    bits = np.random.default_rng(seed).integers(0, 2, (count, inputs))
    return Task("majority", bits.astype(np.float32), (bits.sum(axis=1) > inputs / 2).astype(np.int32), ("no", "yes"))


def restaurant(count: int, seed: int) -> Task:
    """Whether to wait for a table: situations drawn at random, answered by AIMA's tree, figure 18.2.

    The inputs are the ten attributes, those with several values as one-hot.
    """
    rng = np.random.default_rng(seed)
    sizes = {"alternate": 2, "bar": 2, "weekend": 2, "hungry": 2, "rain": 2, "reservation": 2}
    sizes |= {"patrons": 3, "price": 3, "kind": 4, "wait": 4}
    drawn = {name: rng.integers(0, size, count) for name, size in sizes.items()}
    waits = [_waits({name: values[n] for name, values in drawn.items()}) for n in range(count)]
    one_hot = [np.eye(size)[drawn[name]] if size > 2 else drawn[name][:, None] for name, size in sizes.items()]
    inputs = np.concatenate(one_hot, axis=1).astype(np.float32)
    return Task("restaurant", inputs, np.array(waits, np.int32), ("leave", "wait"))


def _waits(at: dict[str, int]) -> bool:
    """AIMA's tree; patrons are none, some or full, the wait is up to 10, 30 or 60 minutes, or longer."""
    if at["patrons"] < 2:
        return at["patrons"] == 1
    if at["wait"] == 3:
        return False
    if at["wait"] == 2:
        return bool(at["weekend"]) if at["alternate"] else bool(at["reservation"] or at["bar"])
    if at["wait"] == 1:
        return bool(not at["hungry"] or not at["alternate"] or at["rain"])
    return True


def spirals(noise: float, seed: int, count: int = 200) -> Task:
    """Two spirals that turn into each other (Lang & Witbrock 1988)."""
    rng = np.random.default_rng(seed)
    way = np.sqrt(rng.uniform(0.02, 1, count))
    labels = np.arange(count) % 2
    angle = 3.5 * np.pi * way + np.pi * labels
    points = way[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points += rng.normal(0, noise, points.shape)
    return Task("spirals", points.astype(np.float32), labels.astype(np.int32), ("one", "other"))


def surface(side: int = 64) -> Task:
    """The grey levels of a photo as a function of the place: the face of scikit-image's astronaut, 64 x 64 pixels.

    The square of 192 pixels whose left top corner is 128 across and 30 down, scaled, standardised.
    """
    [path] = [path for path in sample_photos() if path.stem == "astronaut"]
    pixels = resize(load_image(path, mode="L")[30:222, 128:320], side, side).astype(np.float32)
    return Task("surface", _grid(side), _standardised(pixels.ravel()))


def rosenbrock(side: int = 64) -> Task:
    """100 (y - x^2)^2 + (1 - x)^2 on x from -2 to 2, y from -1 to 3, standardised (Rosenbrock 1960)."""
    x, y = (_grid(side) * 2 + (0, 1)).T
    return Task("rosenbrock", _grid(side), _standardised(100 * (y - x**2) ** 2 + (1 - x) ** 2))


def _grid(side: int) -> np.ndarray:
    """Places from -1 to 1, float32 (side * side, 2), row by row; y goes down."""
    places = np.linspace(-1, 1, side)
    return np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2).astype(np.float32)


def _standardised(values: np.ndarray) -> np.ndarray:
    return ((values - values.mean()) / values.std()).astype(np.float32)


LETTERS = {
    "T": "11111111 11111111 00011000 00011000 00011000 00011000 00011000 00011000",
    "L": "11000000 11000000 11000000 11000000 11000000 11000000 11111111 11111111",
    "C": "00111110 01111111 11000011 11000000 11000000 11000011 01111111 00111110",
}


def letters(count: int, seed: int, noise: float = 0.1) -> Task:
    """T, L or C on 8 x 8 pixels, of which a share is turned over."""
    rng = np.random.default_rng(seed)
    shapes = np.array([[int(pixel) for pixel in rows.replace(" ", "")] for rows in LETTERS.values()])
    labels = rng.integers(0, len(LETTERS), count)
    turned = rng.random((count, 64)) < noise
    return Task("letters", np.abs(shapes[labels] - turned).astype(np.float32), labels.astype(np.int32), tuple(LETTERS))


TASKS: dict[str, Callable[[float, int], Task]] = {
    "earthquakes": earthquakes,
    "gates": lambda noise, seed: gate("XOR"),
    "majority": lambda noise, seed: majority(100, seed),
    "restaurant": lambda noise, seed: restaurant(100, seed),
    "spirals": spirals,
    "surface": lambda noise, seed: surface(),
    "rosenbrock": lambda noise, seed: rosenbrock(),
    "letters": lambda noise, seed: letters(200, seed),
}
