"""What to write: the text that a person gives, in the characters that the network knows, in lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from apps.parts.handwriting.lines import CHARACTERS
from shared.data.alphabet import Alphabet
from shared.data.text import open_text
from shared.errors import UserError

SAMPLE = "Machine learning Mastery"
LONGEST = 2000  # characters


def given_text(words: Sequence[str], file: Path | None) -> str:
    """The words of the command, else the file, else a sample; UserError if there is nothing to write, or too much."""
    text = " ".join(words) if words else open_text(file) if file else SAMPLE
    if not text.strip():
        raise UserError("there is nothing to write: the text is empty.")
    if len(text) > LONGEST:
        raise UserError(f"the text has {len(text):,} characters, and a page has {LONGEST:,}: give a shorter one.")
    return text


def spelled(text: str, characters: str) -> tuple[str, str]:
    """The text in known characters, and what was replaced or left out, or ''; UserError if nothing is left."""
    found, told = Alphabet(characters + "\n" * ("\n" not in characters)).spell(text)
    if not found.strip():
        raise UserError(f"there is nothing to write: this network knows no {told.replace(' as nothing', '')}.")
    return found, told


def lines_of(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` characters, broken at words where there are some."""
    width = min(width, CHARACTERS - 1)
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n")]
    return [line for paragraph in paragraphs if paragraph for line in textwrap.wrap(paragraph, width)]
