"""A table of one's own: two columns of numbers and a column of classes or values, from any CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from apps.parts.first_networks.tasks import Task
from shared.errors import UserError

MOST_BYTES = 50 << 20
MOST_ROWS = 100_000
MOST_CLASSES = 20


def read_task(path: Path) -> Task:
    """The task of a CSV file; its inputs are standardised. UserError if it is none, in one sentence."""
    rows = _rows(path)
    head = None if _numbers(rows[0][:2]) else rows.pop(0)
    if not rows:
        raise UserError(f"{path} has a head and no rows: give some examples.")
    inputs = np.array([_coordinates(path, n, row) for n, row in enumerate(rows, 2 if head else 1)])
    if not (inputs.std(axis=0) > 0).all():
        raise UserError(f"{path}: one of the first two columns has the same number in all rows.")
    answers = [row[2].strip() for row in rows]
    if any(not answer for answer in answers):
        raise UserError(f"{path}, line {answers.index('') + (2 if head else 1)}: the third column is empty.")
    inputs = ((inputs - inputs.mean(axis=0)) / inputs.std(axis=0)).astype(np.float32)
    axes = (head[0].strip(), head[1].strip()) if head else ("first column", "second column")
    labels = sorted(set(answers))
    values = _numbers(answers)
    if (values is not None and not all(value == int(value) for value in values)) or len(labels) > MOST_CLASSES:
        return _of_values(path, inputs, values, axes)
    if len(labels) < 2:
        raise UserError(f"{path} has one class only, {labels[0]}: give at least two.")
    targets = np.array([labels.index(answer) for answer in answers], np.int32)
    return Task(path.stem, inputs, targets, tuple(label[:24] for label in labels), axes)


def _of_values(path: Path, inputs: np.ndarray, values: list[float] | None, axes: tuple[str, str]) -> Task:
    if values is None:
        raise UserError(f"{path} has more than {MOST_CLASSES} classes in its third column.")
    targets = np.array(values)
    if not targets.std():
        raise UserError(f"{path} has the same value in all rows of its third column.")
    return Task(path.stem, inputs, ((targets - targets.mean()) / targets.std()).astype(np.float32), (), axes)


def _rows(path: Path) -> list[list[str]]:
    if path.is_dir() or not path.is_file():
        raise UserError(f"{path} is no file and no task: give a CSV file, or one of the tasks that --help lists.")
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path} has more than {MOST_BYTES >> 20} MB: give at most {MOST_ROWS:,} rows.")
    content = path.read_bytes()
    if (b"\0" in content[:4] and not content.startswith((b"\xff\xfe", b"\xfe\xff"))) or b"\0\0\0" in content:
        raise UserError(f"{path} is not text: save it as CSV.")
    text = _decoded(path, content)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path} is empty: give some rows.")
    if len(lines) > MOST_ROWS:
        raise UserError(f"{path} has {len(lines):,} rows: give at most {MOST_ROWS:,}.")
    marks = sorted(";\t|,", key=lambda mark: -min(line.count(mark) for line in lines[:20]))
    separator = next((mark for mark in ";\t|," if all(line.count(mark) == 2 for line in lines[:20])), marks[0])
    decimal_comma = separator != "," and "." not in text
    rows = list(csv.reader((line.replace(",", ".") if decimal_comma else line for line in lines), delimiter=separator))
    for number, row in enumerate(rows, 1):
        if len(row) != 3:
            raise UserError(
                f"{path}, line {number}: it has {len(row)} columns, and needs three: two numbers, and an answer."
            )
    return rows


def _decoded(path: Path, content: bytes) -> str:
    for encoding in ("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UserError(f"{path} is not text in a known encoding: save it as UTF-8.")


def _coordinates(path: Path, number: int, row: list[str]) -> list[float]:
    found = _numbers(row[:2])
    if found is None:
        raise UserError(f"{path}, line {number}: {row[0]!r:.30} and {row[1]!r:.30} must be numbers.")
    return found


def _numbers(words: list[str]) -> list[float] | None:
    """The words as finite numbers; None if one is none."""
    try:
        found = [float(word) for word in words]
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None
