"""Text as the ids of its characters."""

from __future__ import annotations

import unicodedata
from functools import cached_property

import numpy as np

from shared.errors import UserError

_PLAIN = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}  # quotes, dashes


class Alphabet:
    """The symbols of a text; the id of a symbol is its place among them.

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
        """The symbol to begin with where there is no prompt: a line break, if there is one."""
        return "\n" if "\n" in self.symbols else self.symbols[0]

    def encode(self, text: str) -> np.ndarray:
        """The ids of the characters, int32 (len(text),). UserError if one is not in the alphabet."""
        codes = _codes(text)
        ids = np.minimum(np.searchsorted(self._codes, codes), len(self) - 1)
        unknown = codes[self._codes[ids] != codes]
        if len(unknown):
            some = ", ".join(map(repr, map(chr, np.unique(unknown)[:8])))
            raise UserError(
                f"the model was trained without {some}, which this text has: give the text it was trained on."
            )
        return ids.astype(np.int32)

    def decode(self, ids: np.ndarray) -> str:
        """The text of an array of ids."""
        return "".join(self.symbols[i] for i in ids)

    def spell(self, text: str) -> tuple[str, str]:
        """The text in this alphabet, and a description of how unknown characters were replaced, or ''.

        An unknown character becomes a space if it is white space, else its plain form (an e for an e with an accent, a
        straight quote for a curly one) or the other case of the letter, whichever the alphabet has, else nothing.
        """
        replaced = {c: self._replacement(c) for c in dict.fromkeys(text) if c not in self.symbols}
        told = ", ".join(f"{old!r} as {new!r}" if new else f"{old!r} as nothing" for old, new in replaced.items())
        return "".join(replaced.get(c, c) for c in text), told

    def _replacement(self, character: str) -> str:
        plain = unicodedata.normalize("NFKD", _PLAIN.get(character, character))
        candidates = (" " if character.isspace() else "", *(form(plain) for form in (str, str.lower, str.upper)))
        known = ("".join(c for c in candidate if c in self.symbols) for candidate in candidates)
        return next(filter(None, known), "")


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")
