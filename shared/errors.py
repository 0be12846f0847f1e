"""Errors that the user sees, each in one sentence: what is wrong and what to do."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable
from typing import TypeVar

Number = TypeVar("Number", int, float)


class UserError(Exception):
    """One sentence for the person at the keyboard: what is wrong and what to do. Exit code 2."""


REASONS = {
    errno.ENOSPC: "no space is left on the disk: free some and run it again",
    errno.EDQUOT: "your disk quota is used up: free some space and run it again",
    errno.EACCES: "permission denied: choose a place that you may use",
    errno.EPERM: "operation not permitted: choose a place that you may use",
    errno.EROFS: "the disk is read-only: choose another place",
    errno.EISDIR: "this is a folder, and a file is needed",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST: "it exists already: choose another name",
    errno.ENOENT: "no such file or folder: check the spelling",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}


def sentence_of(error: OSError) -> str:
    """The file that an operating system's error names, and what to do about the error."""
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
    return f"{where}{REASONS.get(error.errno or 0, error.strerror or str(error))}."


def suggest(word: str, choices: Iterable[str]) -> str:
    """' Did you mean x or y?' to end a sentence with, or '' when nothing is near."""
    near = difflib.get_close_matches(word, list(choices), 3)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def in_range(name: str, value: Number, low: Number, high: Number) -> Number:
    """Return `value`; UserError unless `low <= value <= high` (NaN never is)."""
    if not low <= value <= high:
        raise UserError(f"{name} is {written(value)}, and must be from {written(low)} to {written(high)}.")
    return value


def written(number: float) -> str:
    """A number as a person writes it: 10,000, 0.5, 1e-9."""
    return f"{number:,}" if isinstance(number, int) else f"{number:,.12g}".replace("e-0", "e-")
