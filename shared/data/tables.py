"""Tables as people have them: separators, encodings, gaps, words; and what is wrong with one, in a sentence."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.errors import UserError, sentence_of, suggest

MOST_BYTES, MOST_ROWS, MOST_COLUMNS, MOST_WORDS = 256 << 20, 1_000_000, 2_000, 50
GAPS = {"", "?", "na", "n/a", "nan", "null", "none", "-", "."}
SEPARATORS = ",;\t|"
OTHER_FORMATS = {b"PK\x03\x04": "an Excel file or a zip", b"\x1f\x8b": "a gzip file", b"PAR1": "a Parquet file"}


@dataclass(frozen=True)
class Table:
    """Words by row and column, (rows, columns); a gap is the empty word."""

    name: str
    columns: tuple[str, ...]
    cells: np.ndarray

    def column(self, name: str) -> np.ndarray:
        """One column's words, (rows,)."""
        if name not in self.columns:
            raise UserError(f"{self.name} has no column {name!r}.{suggest(name, self.columns)}")
        return self.cells[:, self.columns.index(name)]

    def rows(self, chosen: np.ndarray) -> Table:
        """The table with these rows alone."""
        return Table(self.name, self.columns, self.cells[chosen])


def read_table(path: Path) -> Table:
    """A file of rows; the first one has the names if a word in it stands above numbers. UserError if it is no table."""
    name = path.name
    text = _text(path)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{name} is empty: give a table with a row for each case.")
    if len(lines) > MOST_ROWS:
        raise UserError(f"{name} has {len(lines):,} rows, and at most {MOST_ROWS:,} are read: draw some of them.")
    rows = _split(name, text, _separator(name, lines))
    if not _is_data(rows[0], rows[1:]):
        columns, rows = _checked_names(name, rows[0]), rows[1:]
    else:
        columns = tuple(f"column {n}" for n in range(1, len(rows[0]) + 1))
    if not rows:
        raise UserError(f"{name} has names of columns and no rows below them.")
    return Table(name, columns, np.array(rows, object))


def numbers(words: np.ndarray) -> np.ndarray | None:
    """The numbers (rows,) that the words are, gaps as NaN; None if one of them is no number."""
    try:
        return np.array([np.nan if word == "" else _number(word) for word in words], np.float64)
    except ValueError:
        return None


def _number(word: str) -> float:
    if "_" in word:  # which Python would take
        raise ValueError(word)
    return float(word.replace(",", ".") if word.count(",") == 1 and "." not in word else word)


def _is_number(word: str) -> bool:
    try:
        _number(word)
    except ValueError:
        return False
    return True


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path.name} is larger than {MOST_BYTES >> 20} MiB: draw some of its rows.")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {sentence_of(error)}") from error
    for magic, what in OTHER_FORMATS.items():
        if content.startswith(magic):
            raise UserError(f"{path.name} is {what}, and no text: save the table as CSV.")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
        if b"\0" in content:
            raise UserError(f"{path.name} holds zero bytes, and is no text: save the table as CSV in UTF-8.")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        if encoding == "utf-16":
            raise UserError(f"{path.name} is damaged UTF-16: save the table as CSV in UTF-8.") from None
        return content.decode("cp1252", "replace")  # what spreadsheets in the west of Europe still write


def _separator(name: str, lines: list[str]) -> str:
    """The one that cuts the first lines into equally many pieces, and most of them."""
    if lines[0].lstrip().startswith(("<", "{")):
        raise UserError(f"{name} looks like HTML, XML or JSON: save the table as CSV.")
    pieces = {s: {len(row) for row in _csv(name, "\n".join(lines[:20]), s)} for s in SEPARATORS}
    even = {s: min(found) for s, found in pieces.items() if len(found) == 1 and min(found) > 1}
    several = even or {s: max(found) for s, found in pieces.items() if max(found) > 1}
    if not several:
        raise UserError(f"{name} has one column: separate its columns by commas, semicolons or tabs.")
    # 1,5;2,5 is cut by both, in three and two pieces: a semicolon or a tab is never part of a number
    return max(several, key=lambda s: (s != ",", several[s]))


def _csv(name: str, text: str, separator: str) -> list[list[str]]:
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise UserError(
            f"{name} is no table that can be read ({error}): look for a quote that is not closed."
        ) from None
    return [row for row in rows if any(cell.strip() for cell in row)]


def _split(name: str, text: str, separator: str) -> list[list[str]]:
    rows, first = _csv(name, text, separator), 0
    if not rows:
        raise UserError(f"{name} is empty: give a table with a row for each case.")
    for number, row in enumerate(rows, 1):
        first = first or len(row)
        if len(row) != first:
            raise UserError(f"{name} has {first} cells in its first row and {len(row)} in row {number}: mend that row.")
    if first > MOST_COLUMNS:
        raise UserError(f"{name} has {first:,} columns, and at most {MOST_COLUMNS:,} are read: leave some out.")
    return [["" if (word := cell.strip()).lower() in GAPS else word for cell in row] for row in rows]


def _is_data(first: list[str], others: list[list[str]]) -> bool:
    """Whether the first row is a case as the others are, and no names."""
    if any(_is_number(word) for word in first):
        return True
    columns = list(zip(*others[:100], strict=True))
    if any(word and all(map(_is_number, filter(None, column))) for word, column in zip(first, columns, strict=False)):
        return False
    known = [word in column for word, column in zip(first, columns, strict=False)]
    return sum(known) > len(first) / 2


def _checked_names(name: str, names: list[str]) -> tuple[str, ...]:
    for place, column in enumerate(names, 1):
        if not column:
            raise UserError(f"{name} has no name above column {place}: write one.")
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise UserError(f"{name} has several columns {twice[0]!r}: give each a name of its own.")
    return tuple(names)
