"""The pen: lines of text written by a trained network, several at once, some points in a compiled call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.parts.handwriting.lines import CHARACTERS, STEP, ids_of
from shared.errors import UserError
from shared.training.runtime import import_keras

CHUNK = 64  # points in a compiled call
ROWS = 8  # lines are written so many at once
MOST_POINTS_A_CHARACTER = 60


@dataclass(frozen=True)
class Written:
    """A line as the pen wrote it."""

    text: str
    points: np.ndarray
    """float32 (n, 3): x to the right from 0, y down from the base line, and 1 where a stroke ends."""
    window: np.ndarray
    """float32 (n, characters): how much of each character the network read at each point."""
    finished: bool
    """False if it did not come to the end of the text."""


class Pen:
    """Writes with a network.

    Args:
        network: that of `handwriting_network`.
        characters: those that it knows, in the order of their ids.
        hands: float32 (hands, size).
    """

    def __init__(self, network: Any, characters: str, hands: np.ndarray):
        import_keras()
        from shared.training.steps import compile_step

        self.network, self.characters, self.hands = network, characters, hands
        self._window = network.get_layer("window")
        self._below = [network.get_layer("lstm").cell] if any(each.name == "lstm" for each in network.layers) else []
        self._density = network.get_layer("density")
        self._write_chunk = compile_step(self._steps, network)

    def write(self, lines: Sequence[str], hands: Sequence[int], bias: float, seeds: Sequence[int]) -> list[Written]:
        """Each of the lines in its hand, numbered from 0; the seed of a line decides it, whatever else is written.

        Args:
            lines: of known characters, fewer than 64 each.
            bias: neatness, from 0 on.
        """
        found: list[Written] = []
        for start in range(0, len(lines), ROWS):
            part = slice(start, start + ROWS)
            found += self._write(lines[part], hands[part], bias, seeds[part])
        return found

    def _write(self, lines: Sequence[str], hands: Sequence[int], bias: float, seeds: Sequence[int]) -> list[Written]:
        rows = ROWS if len(lines) > 1 else 1  # a compiled function for each number of rows
        text = np.zeros((rows, CHARACTERS), np.int32)
        for row, line in enumerate(lines):
            ids = ids_of(line, self.characters)
            text[row, : len(ids)] = ids
        vectors = np.zeros((rows, self.hands.shape[1]), np.float32)
        vectors[: len(lines)] = self.hands[list(hands)]
        chances = [np.random.default_rng(seed) for seed in seeds]
        state = self._first_state(rows)
        steps: list[np.ndarray] = []
        windows: list[np.ndarray] = []
        ends = np.arange(rows) >= len(lines)
        most = MOST_POINTS_A_CHARACTER * max(map(len, lines)) + CHUNK
        while not ends.all() and len(steps) * CHUNK < most:
            random = np.zeros((CHUNK, rows, 5), np.float32)
            for row, rng in enumerate(chances):
                random[:, row, :3] = rng.random((CHUNK, 3), np.float32)
                random[:, row, 3:] = rng.standard_normal((CHUNK, 2), np.float32)
            state, step, window = self._write_chunk(state, random, text, vectors, np.float32(bias))
            steps.append(np.asarray(step))
            windows.append(np.asarray(window))
            ends |= (steps[-1][..., 3] > 0).any(axis=0)
        step, window = np.concatenate(steps), np.concatenate(windows)  # (time, rows, ...)
        return [_written(line, step[:, row], window[:, row]) for row, line in enumerate(lines)]

    def _first_state(self, rows: int) -> list:
        from keras import ops

        start = ops.tile(ops.convert_to_tensor([[0.0, 0.0, 1.0, 0.0]]), (rows, 1))
        states = self._window.first_states(rows, len(self.characters) + 1)
        for cell in self._below:
            states += [ops.zeros((rows, size)) for size in cell.state_size]
        return [start, ops.zeros((rows, CHARACTERS)), *states]

    def _steps(self, state: list, random: Any, text: Any, hands: Any, bias: Any) -> tuple:
        """Some points: the last state, steps (time, rows, 4) and windows (time, rows, characters)."""
        from keras import ops

        from shared.layers.mixture_density import density, drawn

        characters = ops.one_hot(text - 1, len(self.characters) + 1)
        recurrent = self._window.recurrent_weights()

        def step(state: list, random_t: Any) -> tuple[list, list]:
            last, _, *states = state
            seen = ops.concatenate([last[:, :3], hands], axis=-1)
            window_states, phi = self._window.step(states[:4], self._window.driven(seen), characters, recurrent)
            hidden, window = window_states[0], window_states[3]
            found, below = [hidden], []
            for cell in self._below:
                output, below = cell(ops.concatenate([seen, hidden, window], axis=-1), states[4:])
                found.append(output)
            numbers = density(self._density(ops.concatenate(found, axis=-1)), bias)
            place = drawn(numbers, random_t[:, 0], random_t[:, 3:])
            chances = ops.sigmoid(ops.stack([numbers.end_logit, numbers.finished_logit], axis=-1) * (1 + bias))
            happened = ops.cast(random_t[:, 1:3] < chances, "float32")
            state = [ops.concatenate([place, happened], axis=-1), phi, *window_states, *below]
            return state, state

        state, (steps, phi, *_) = ops.scan(step, state, random)
        return state, steps, phi


def _written(text: str, steps: np.ndarray, window: np.ndarray) -> Written:
    ends = np.flatnonzero(steps[:, 3] > 0)
    count = int(ends[0]) + 1 if len(ends) else len(steps)
    places = np.cumsum(steps[:count, :2] * STEP, axis=0)
    strokes = steps[:count, 2:3].copy()
    strokes[-1] = 1
    points = np.concatenate([places, strokes], axis=1).astype(np.float32)
    return Written(text, points, window[:count, : len(text) + 1], bool(len(ends)))


def pen_of(network: Any, record: dict[str, Any], name: object) -> Pen:
    """The pen of a saved network and of its record; UserError if they do not belong together."""
    characters, hands = record.get("characters"), record.get("hands")
    try:
        vectors = np.array(hands, np.float32)
        known = isinstance(characters, str) and vectors.shape == (len(vectors), network.inputs[2].shape[-1])
        known = known and len(vectors) > 0 and bool(np.isfinite(vectors).all())
    except (ValueError, TypeError, IndexError):
        known = False
    if not known or network.name != "handwriting":
        raise UserError(f"{name} is not a network that this app trained, with its characters and hands in config.json.")
    return Pen(network, str(characters), vectors)
