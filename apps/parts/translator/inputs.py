"""The sentences that a person gives: as words of the command, in a file, or through a pipe, as they come."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.data.text import open_text
from shared.errors import UserError

LONGEST_TEXT = 100_000  # characters in a line


def checked_line(line: str) -> str:
    """A line of text to translate; UserError if it is none."""
    if "\0" in line:
        raise UserError("the text has zero bytes in it: give plain text.")
    if len(line) > LONGEST_TEXT:
        raise UserError(f"a text of {len(line):,} characters is too long: give at most {LONGEST_TEXT:,} in a line.")
    return line


def given_lines(sentences: Sequence[str], file: Path | None) -> Iterator[list[str]] | None:
    """What to translate, some lines at a time: of the command, else of the file, else of a pipe; None if nothing is."""
    if sentences:
        if not any(sentence.strip() for sentence in sentences):
            raise UserError("there is nothing to translate: the sentence is empty.")
        return iter([[checked_line(sentence) for sentence in sentences]])
    if file:
        return iter([[checked_line(line) for line in open_text(file).removesuffix("\n").split("\n")]])
    return _piped_lines()


def _piped_lines(wait_s: float = 0.5) -> Iterator[list[str]] | None:
    """Whole lines as they come through a pipe; None without one, or if nobody writes into it for `wait_s` seconds."""
    try:
        if sys.stdin is None or sys.stdin.isatty():
            return None
        if os.name != "nt" and not select.select([sys.stdin], [], [], wait_s)[0]:
            return None
        first = os.read(sys.stdin.fileno(), 1 << 16)
    except (OSError, ValueError, AttributeError):  # closed, or not a real file
        return None
    return _lines_from(first) if first else None


def _lines_from(chunk: bytes) -> Iterator[list[str]]:
    begun = b""
    while chunk:
        *lines, begun = (begun + chunk).split(b"\n")
        if len(begun) > 4 * LONGEST_TEXT:
            raise UserError(f"the piped text has a line of more than {LONGEST_TEXT:,} characters: break it into lines.")
        if lines:
            yield [_decoded(line) for line in lines]
        chunk = os.read(sys.stdin.fileno(), 1 << 16)
    if begun:
        yield [_decoded(begun)]


def _decoded(line: bytes) -> str:
    try:
        return checked_line(line.decode("utf-8").removesuffix("\r"))
    except UnicodeDecodeError as error:
        raise UserError("the piped text is not UTF-8: convert it first.") from error
