"""A table of one's own: two columns of numbers and a column of classes or values, from any file of rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from apps.parts.first_networks.tasks import Task
from shared.data.tables import numbers, read_table
from shared.errors import UserError

MOST_ROWS = 100_000
MOST_CLASSES = 20


def read_task(path: Path) -> Task:
    """The task of a CSV file; its inputs are standardised. UserError if it is none, in one sentence."""
    if not path.is_file():
        raise UserError(f"{path} is no file and no task: give a CSV file, or one of the tasks that --help lists.")
    table = read_table(path)
    if len(table.columns) != 3:
        raise UserError(f"{path.name} has {len(table.columns)} columns, and needs three: two numbers, and an answer.")
    if len(table.cells) > MOST_ROWS:
        raise UserError(f"{path.name} has {len(table.cells):,} rows: give at most {MOST_ROWS:,}.")
    inputs = np.stack([_coordinates(path, table.cells[:, n]) for n in (0, 1)], axis=1)
    if not (inputs.std(axis=0) > 0).all():
        raise UserError(f"{path.name}: one of the first two columns has the same number in all rows.")
    inputs = ((inputs - inputs.mean(axis=0)) / inputs.std(axis=0)).astype(np.float32)
    answers, axes = table.cells[:, 2], (table.columns[0], table.columns[1])
    if "" in answers:
        raise UserError(f"{path.name}, row {list(answers).index('') + 1} of the data: the third column is empty.")
    labels, values = sorted(set(answers)), numbers(answers)
    if (values is not None and not (values == np.round(values)).all()) or len(labels) > MOST_CLASSES:
        return _of_values(path, inputs, values, axes)
    if len(labels) < 2:
        raise UserError(f"{path.name} has one class only, {labels[0]}: give at least two.")
    targets = np.array([labels.index(answer) for answer in answers], np.int32)
    return Task(path.stem, inputs, targets, tuple(label[:24] for label in labels), axes)


def _coordinates(path: Path, words: np.ndarray) -> np.ndarray:
    """One of the first two columns as numbers."""
    found = [numbers(words[row : row + 1]) for row in range(len(words))]
    for row, number in enumerate(found, 1):
        if number is None or not np.isfinite(number).all():
            raise UserError(f"{path.name}, row {row} of the data: {words[row - 1]!r:.30} must be a number.")
    return np.concatenate(found)  # type: ignore[arg-type]  # none is None


def _of_values(path: Path, inputs: np.ndarray, values: np.ndarray | None, axes: tuple[str, str]) -> Task:
    if values is None:
        raise UserError(f"{path.name} has more than {MOST_CLASSES} classes in its third column.")
    if not (np.isfinite(values).all() and values.std()):
        raise UserError(f"{path.name} has the same value, or no number, in all rows of its third column.")
    return Task(path.stem, inputs, ((values - values.mean()) / values.std()).astype(np.float32), (), axes)
