"""Words as ids, for a network that reads and writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

PAD, START, END, UNKNOWN = range(4)
FIRST_WORD = 4  # the ids of words begin here

Words = tuple[str, ...]


def word_set(text: str) -> frozenset[str]:
    """The words of a text, each once."""
    return frozenset(text.split())


class Vocabulary:
    """The words that a network knows, and their ids.

    Args:
        words: in the order of their ids, from FIRST_WORD on. Some may be several, such as "traffic light".
    """

    def __init__(self, words: Iterable[str]):
        self.words = list(words)
        self._ids = {word: n for n, word in enumerate(self.words, FIRST_WORD)}
        self._pairs = {word for word in self.words if word.count(" ") == 1}

    @classmethod
    def of(cls, sentences: Iterable[Words], least: int) -> Vocabulary:
        """The words that occur at least `least` times in some sentences, the most common first."""
        counts = Counter(word for sentence in sentences for word in sentence)
        return cls(sorted((word for word in counts if counts[word] >= least), key=lambda word: (-counts[word], word)))

    def __len__(self) -> int:
        return FIRST_WORD + len(self.words)

    def encode(self, sentence: Words) -> list[int]:
        """The ids of a sentence, between START and END; two words that are one in the vocabulary get one id."""
        return [START, *(self._ids.get(word, UNKNOWN) for word in self.joined(sentence)), END]

    def joined(self, sentence: Words) -> list[str]:
        """The sentence with "traffic light" as one word, where that is one in the vocabulary."""
        words: list[str] = []
        for word in sentence:
            if words and f"{words[-1]} {word}" in self._pairs:
                word = f"{words.pop()} {word}"
            words.append(word)
        return words

    def id_of(self, word: str) -> int:
        """The id of a word, UNKNOWN if it has none."""
        return self._ids.get(word, UNKNOWN)

    def decode(self, ids: Iterable[int]) -> Words:
        """The words before the first END; ids that stand for no word are left out."""
        words: list[str] = []
        for n in ids:
            if n == END:
                break
            if n >= FIRST_WORD:
                words.append(self.words[n - FIRST_WORD])
        return tuple(words)
