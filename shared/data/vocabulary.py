"""The words that a network reads and writes, as ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

PAD, START, END, UNKNOWN = range(4)  # ids below those of words


SPECIAL = 4


Words = tuple[str, ...]


class Vocabulary:
    """The words that a network knows, as ids from 4 on; 0 to 3 are nothing, the start, the end, any other word."""

    def __init__(self, known: Iterable[str]):
        self.known = list(known)
        self._ids = {word: n for n, word in enumerate(self.known, SPECIAL)}

    @classmethod
    def of(cls, captions: Iterable[Words], least: int) -> Vocabulary:
        """Those that occur `least` times or more, the most common first."""
        counts = Counter(word for caption in captions for word in caption)
        return cls(sorted((word for word in counts if counts[word] >= least), key=lambda word: (-counts[word], word)))

    def __len__(self) -> int:
        return SPECIAL + len(self.known)

    def encode(self, words: Words) -> list[int]:
        """A caption's ids, between a start and an end."""
        return [START, *(self._ids.get(word, UNKNOWN) for word in words), END]

    def decode(self, ids: Iterable[int]) -> Words:
        """The words up to the first end; what is not a word is left out."""
        words: list[str] = []
        for n in ids:
            if n == END:
                break
            if n >= SPECIAL:
                words.append(self.known[n - SPECIAL])
        return tuple(words)
