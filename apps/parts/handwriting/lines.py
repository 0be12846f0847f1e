"""Words of one writer joined to lines, and lines in batches, as steps of the pen.

Lengths are in units of which a small letter is about 100 high, as in the data; steps are in units of STEP of these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

STEP = 25.0  # so that the steps of the pen have a standard deviation of about 1
LENGTH = 384  # points in a row
CHARACTERS = 64  # in a row, END included
SPACES = (45.0, 110.0)  # between two words
END, FIRST_CHARACTER = 1, 2  # ids of texts; 0 is padding


class Sample(NamedTuple):
    """A word, or a few, as somebody wrote it."""

    points: np.ndarray
    """float32 (n, 3): x to the right, y down, and 1 where a stroke ends."""
    text: str
    writer: int
    """From 1 on; 0 is nobody we know."""


class Batch(NamedTuple):
    """Lines side by side, filled up with zeros."""

    steps: np.ndarray
    """float32 (rows, time, 3): the step before each, and whether a stroke ended with it."""
    text: np.ndarray
    """int32 (rows, characters)."""
    writers: np.ndarray
    """int32 (rows,)."""
    targets: np.ndarray
    """float32 (rows, time, 5): dx, dy, whether a stroke ends, whether all is written, and 1 for a step that is one."""


@dataclass(frozen=True)
class Lines:
    """Samples to make lines of.

    Args:
        samples: what was written.
        characters: those that are known, in the order of their ids; samples with others are left out.
    """

    samples: Sequence[Sample]
    characters: str
    by_writer: dict[int, list[Sample]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        found: dict[int, list[Sample]] = defaultdict(list)
        for sample in self.samples:
            if len(sample.text) < CHARACTERS and set(sample.text) <= set(self.characters):
                x, y = sample.points[:, 0].min(), baseline_of(sample.points)
                found[sample.writer].append(sample._replace(points=sample.points - np.array([x, y, 0], np.float32)))
        self.by_writer.update(found)

    @cached_property
    def points(self) -> int:
        """How many there are, those of samples that were left out not counted."""
        return sum(min(len(sample.points), LENGTH) for samples in self.by_writer.values() for sample in samples)

    def batches(self, rows: int, epoch: int, seed: int, nobody: float, steps: int = 0) -> Iterator[Batch]:
        """Batches of so many rows; the seed and the epoch decide everything.

        Args:
            nobody: share of the lines that do not say who wrote them.
            steps: batches in an epoch, and then comes the next one; with 0, there is one epoch, with all its lines.
        """
        while True:
            rng, count = np.random.default_rng([seed, epoch]), 0
            while count < max(steps, 1):
                waiting: list[Sample] = []
                for line in self.lines(rng):
                    waiting.append(line._replace(writer=0) if rng.random() < nobody else line)
                    if len(waiting) == rows:
                        yield self._batch(waiting, rng)
                        waiting = []
                        count += 1
                        if count == steps:
                            break
                if not steps:
                    if waiting:
                        yield self._batch(waiting, rng)
                    return
            epoch += 1

    def lines(self, rng: np.random.Generator) -> Iterator[Sample]:
        """Every sample once, in lines of one writer's, in random order."""
        lines = []
        for samples in self.by_writer.values():
            waiting: list[Sample] = []
            for n in rng.permutation(len(samples)):
                following = [*waiting, samples[n]]
                points = sum(len(sample.points) for sample in following)
                characters = sum(len(sample.text) + 1 for sample in following)
                if waiting and (points > LENGTH or characters > CHARACTERS):
                    lines.append(waiting)
                    following = [samples[n]]
                waiting = following
            lines.append(waiting)
        yield from (joined(lines[n], rng) for n in rng.permutation(len(lines)))

    def _batch(self, lines: Sequence[Sample], rng: np.random.Generator) -> Batch:
        steps = np.zeros((len(lines), LENGTH, 3), np.float32)
        targets = np.zeros((len(lines), LENGTH, 5), np.float32)
        text = np.zeros((len(lines), CHARACTERS), np.int32)
        for row, line in enumerate(lines):
            found = steps_of(line.points, rng)[:LENGTH]
            ids = ids_of(line.text, self.characters)
            text[row, : len(ids)] = ids
            targets[row, : len(found), :3] = found
            targets[row, len(found) - 1, 3] = len(line.points) <= LENGTH  # else there is more to write
            targets[row, : len(found), 4] = 1
            steps[row, 0, 2] = 1
            steps[row, 1 : len(found)] = found[:-1]
        return Batch(steps, text, np.array([line.writer for line in lines], np.int32), targets)


def ids_of(text: str, characters: str) -> list[int]:
    """The ids of a text's characters, all of which are among `characters`, and END."""
    return [*(characters.index(character) + FIRST_CHARACTER for character in text), END]


def steps_of(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The steps of the pen, float32 (n, 3), from the beginning of the base line on.

    The data are whole numbers: what was rounded away comes back as noise, or one number would be infinitely likely.
    """
    places = points[:, :2] + rng.uniform(-0.5, 0.5, (len(points), 2))
    steps = np.diff(places, axis=0, prepend=0) / STEP
    return np.concatenate([steps, points[:, 2:]], axis=1).astype(np.float32)


def joined(words: Sequence[Sample], rng: np.random.Generator) -> Sample:
    """Words, their base lines at 0, as one line."""
    space = rng.uniform(*SPACES)
    parts, end = [], 0.0
    for word in words:
        parts.append(word.points + np.array([end, 0, 0], np.float32))
        end += float(word.points[:, 0].max()) + space * rng.uniform(0.8, 1.2)
    text = " ".join(word.text for word in words)
    return Sample(np.concatenate(parts), text, words[0].writer)


def baseline_of(points: np.ndarray) -> float:
    """Where the letters stand: the median of the strokes' lowest turning points, but for those above the middle."""
    return _turns(points)[1]


def small_height_of(points: np.ndarray) -> float:
    """About how high the small letters are: from the median of the highest turning points to the base line."""
    top, bottom = _turns(points)
    return bottom - top


def _turns(points: np.ndarray) -> tuple[float, float]:
    """The medians of the turning points above the middle, and of those below."""
    y, last = points[:, 1].astype(np.float64), points[:, 2] > 0
    first = np.r_[True, last[:-1]]
    before, after = np.r_[0, y[:-1]], np.r_[y[1:], 0]
    dots = first & last
    lowest = (first | (y >= before)) & (last | (y >= after)) & ~dots  # y goes down
    highest = (first | (y <= before)) & (last | (y <= after)) & ~dots
    middle = np.median(y)
    below, above = y[lowest & (y > middle)], y[highest & (y < middle)]
    return (
        float(np.median(above)) if len(above) else float(y.min()),
        float(np.median(below)) if len(below) else float(y.max()),
    )
