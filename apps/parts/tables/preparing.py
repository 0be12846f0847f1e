"""From words in a table to the inputs of a network: what to predict, and a preprocessing fitted to some rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.console import say
from shared.data.tables import MOST_WORDS, Table, numbers
from shared.errors import UserError

MOST_CLASSES, FEWEST_ROWS = 20, 20
Columns = Mapping[str, np.ndarray]
"""Numbers (rows,) with NaN for gaps, or words (rows,) with '' for gaps, by name."""


@dataclass(frozen=True)
class Problem:
    """What is asked of a table: from these columns, that one."""

    name: str
    target: str
    columns: dict[str, np.ndarray]
    classes: tuple[str, ...]
    "Their names; none if a number is predicted."
    answers: np.ndarray
    "The number of the class, or the number itself, (rows,)."

    def __len__(self) -> int:
        return len(self.answers)


def problem_of(table: Table, target: str | None) -> Problem:
    """The last column, or the one named, as what is to be predicted; UserError if nothing can be learned from that."""
    target = target or table.columns[-1]
    known = table.column(target) != ""
    if not known.all():
        say(f"Left out of {table.name}: {(~known).sum():,} rows without {target}.")
        table = table.rows(known)
    if len(table.cells) < FEWEST_ROWS:
        raise UserError(f"{table.name} has {len(table.cells)} rows with an answer; at least {FEWEST_ROWS} are needed.")
    classes, answers = _answers(table, target)
    columns = {name: column_of(table, name) for name in table.columns if name != target}
    useless = {name for name, values in columns.items() if not _tells(values)}
    if useless:
        say(f"Left out of {table.name}: {', '.join(sorted(useless))} (empty, all the same, or names and free text).")
    columns = {name: values for name, values in columns.items() if name not in useless}
    if not columns:
        raise UserError(f"{table.name} has no column beside {target} that could tell anything about it.")
    return Problem(table.name, target, columns, classes, answers)


def _answers(table: Table, target: str) -> tuple[tuple[str, ...], np.ndarray]:
    words = table.column(target)
    values = column_of(table, target)
    distinct, places = np.unique(values if values.dtype != object else words.astype(str), return_inverse=True)
    if len(distinct) < 2:
        raise UserError(f"{table.name} has one value of {target} only, {words[0]}: there is nothing to tell apart.")
    if values.dtype == object and len(distinct) > MOST_CLASSES:
        raise UserError(f"{target} has {len(distinct):,} different words; at most {MOST_CLASSES} can be classes.")
    if values.dtype == object or (len(distinct) <= 10 and np.array_equal(distinct, np.round(distinct))):
        return tuple(f"{value:g}" if values.dtype != object else f"{value}" for value in distinct), places
    return (), values


def column_of(table: Table, name: str) -> np.ndarray:
    """A column as numbers or, where words are meant, as words; UserError if it is neither."""
    words = table.column(name)
    values = numbers(words)
    if values is None:
        given = [word for word in words if word]
        strange = [word for word in given if numbers(np.array([word], object)) is None]
        if len(strange) < 0.1 * len(given):
            raise UserError(
                f"{table.name} has {strange[0]!r} among the numbers of {name}: mend it, or leave the cell empty."
            )
        return words
    if np.isinf(values).any():
        raise UserError(f"{table.name} has a number without end in {name}: mend it, or leave the cell empty.")
    if np.nanmax(np.abs(values), initial=0) > 1e30:
        raise UserError(f"{table.name} has a number beyond 1e30 in {name}: mend it, or leave the cell empty.")
    return values


def _tells(values: np.ndarray) -> bool:
    if values.dtype == object:
        return 1 < len(set(values)) <= MOST_WORDS
    found = values[~np.isnan(values)]
    return len(found) > 0 and (found.min() < found.max() or len(found) < len(values))


class Preprocessing:
    """Numbers are centred and scaled, gaps filled by the median, words are one input each: as some rows say.

    Args:
        recipes: what to do with each column; `fit` finds it out, and JSON keeps it.
    """

    def __init__(self, recipes: Sequence[Mapping[str, Any]]):
        self.recipes = recipes

    @classmethod
    def fit(cls, columns: Columns, rows: np.ndarray) -> Preprocessing:
        """What these rows alone say: no other row has any part in it."""
        return cls([_recipe(name, values[rows]) for name, values in columns.items()])

    def __call__(self, columns: Columns) -> np.ndarray:
        """The inputs, float32 (rows, inputs)."""
        parts = [_applied(recipe, columns[recipe["column"]]) for recipe in self.recipes]
        return np.concatenate(parts, axis=1).astype(np.float32)


def _recipe(name: str, values: np.ndarray) -> dict[str, Any]:
    if values.dtype == object:
        return {"column": name, "words": sorted(set(values))}
    found = values[~np.isnan(values)]
    if not len(found):
        return {"column": name, "median": 0.0, "mean": 0.0, "scale": 1.0}
    median = float(np.median(found))
    filled = np.where(np.isnan(values), median, values)
    return {"column": name, "median": median, "mean": float(filled.mean()), "scale": float(filled.std()) or 1.0}


def _applied(recipe: Mapping[str, Any], values: np.ndarray) -> np.ndarray:
    if "words" in recipe:
        return (values[:, None] == np.array(recipe["words"], object)[None]).astype(np.float32)
    filled = np.where(np.isnan(values), recipe["median"], values)
    return np.clip((filled - recipe["mean"]) / recipe["scale"], -10, 10)[:, None]  # beyond, it is a slip of the pen
