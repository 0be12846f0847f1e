"""A trained network answers for each row of a new table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.parts.tables.preparing import Preprocessing, column_of
from shared.data.tables import Table
from shared.errors import UserError
from shared.files import write_atomically


@dataclass(frozen=True)
class Trained:
    """A network, and what it needs to know about tables."""

    network: Any
    preprocessing: Preprocessing
    target: str
    classes: tuple[str, ...]
    centre: float
    scale: float

    def __call__(self, table: Table) -> np.ndarray:
        """Probabilities (rows, classes), or numbers (rows, 1)."""
        columns = {}
        for recipe in self.preprocessing.recipes:
            name = recipe["column"]
            columns[name] = table.column(name) if "words" in recipe else column_of(table, name)
            if "words" not in recipe and columns[name].dtype == object:
                raise UserError(f"{table.name} has words in {name}, and the network learned numbers there.")
        found = np.asarray(self.network(self.preprocessing(columns)))
        return found if self.classes else found * self.scale + self.centre


def write_answers(path: Path, table: Table, trained: Trained) -> None:
    """The table again, with the answer and, of classes, the probability of each."""
    found, target = trained(table), trained.target
    names = [f"{target} (answer)", *(f"probability of {name}" for name in trained.classes)]
    with write_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*table.columns, *names])
        for row, values in zip(table.cells, found, strict=True):
            answers = (
                [trained.classes[values.argmax()], *(f"{value:.4f}" for value in values)] if trained.classes else []
            )
            writer.writerow([*row, *(answers or [f"{values[0]:.6g}"])])
