"""The parts of a text, and measures of a text that a network wrote."""

from __future__ import annotations

import re


def split(text: str) -> tuple[str, str]:
    """The first nine tenths of a text, for training, and its last tenth, for validation."""
    return text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]


def words(text: str) -> list[str]:
    """The words of a text in lower case; "o'er" and "to-morrow" are one word each."""
    return re.findall(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*", text.lower())


def longest_copy(text: str, source: str) -> str:
    """The longest passage of `text` that occurs in `source`; it takes seconds for 10,000 characters and 1 MB."""
    best, start = "", 0
    for start in range(len(text)):
        while start + len(best) < len(text) and text[start : start + len(best) + 1] in source:
            best = text[start : start + len(best) + 1]
    return best
