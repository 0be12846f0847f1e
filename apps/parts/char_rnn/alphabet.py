"""Text as the numbers of its characters, and measures of text that a network wrote."""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property

import numpy as np

from shared.errors import UserError

_PLAIN = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}  # quotes, dashes


class Alphabet:
    """The symbols of a text, each one's number its place among them.

    Args:
        symbols: every character once, in the order of their code points, as in `Alphabet.of(text).symbols`.
    """

    def __init__(self, symbols: str):
        self.symbols = symbols
        self._codes = _codes(symbols)

    @classmethod
    def of(cls, text: str) -> Alphabet:
        """The alphabet of a text."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def start(self) -> str:
        """What to begin from without a prompt: a new line, if there is one."""
        return "\n" if "\n" in self.symbols else self.symbols[0]

    def encode(self, text: str) -> np.ndarray:
        """The numbers of the characters, int32 (len(text),). UserError if one is not in the alphabet."""
        codes = _codes(text)
        ids = np.minimum(np.searchsorted(self._codes, codes), len(self) - 1)
        strange = codes[self._codes[ids] != codes]
        if len(strange):
            some = ", ".join(map(repr, map(chr, np.unique(strange)[:8])))
            raise UserError(
                f"the model was trained without {some}, which this text has: give the text it was trained on."
            )
        return ids.astype(np.int32)

    def decode(self, ids: np.ndarray) -> str:
        """The text of an array of numbers."""
        return "".join(self.symbols[i] for i in ids)

    def spell(self, text: str) -> tuple[str, str]:
        """The text in this alphabet; and what became of the characters that are not in it, in words, or ''.

        A stranger becomes its plain form (an e for an e with an accent, a straight quote for a curly one), a space for
        other white space, or the other case of a letter, whichever the alphabet has; otherwise it is left out.
        """
        changed = {c: self._stand_in(c) for c in dict.fromkeys(text) if c not in self.symbols}
        told = ", ".join(f"{old!r} as {new!r}" if new else f"{old!r} as nothing" for old, new in changed.items())
        return "".join(changed.get(c, c) for c in text), told

    def _stand_in(self, character: str) -> str:
        plain = unicodedata.normalize("NFKD", _PLAIN.get(character, character))
        candidates = (" " if character.isspace() else "", *(form(plain) for form in (str, str.lower, str.upper)))
        kept = ("".join(c for c in candidate if c in self.symbols) for candidate in candidates)
        return next(filter(None, kept), "")


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


def split(text: str) -> tuple[str, str]:
    """The first nine tenths of a text, to learn from, and its last tenth."""
    return text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]


def words(text: str) -> list[str]:
    """The words of a text in small letters, "o'er" and "to-morrow" being one each."""
    return re.findall(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*", text.lower())


def longest_copy(text: str, source: str) -> str:
    """The longest passage of `text` that stands in `source` word for word; seconds for 10,000 characters of 1 MB."""
    best, start = "", 0
    for start in range(len(text)):
        while start + len(best) < len(text) and text[start : start + len(best) + 1] in source:
            best = text[start : start + len(best) + 1]
    return best
