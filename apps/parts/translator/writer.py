"""A network that translates, with its subwords: sentences in, sentences out, in batches of sentences of like length."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.parts.translator.rows import LONGEST, padded, row_length
from apps.parts.translator.subwords import Subwords
from shared.data.vocabulary import END, PAD, START
from shared.decoding.beam_search import TokenRules, beam_search
from shared.layers.transformer import attention_maps

if TYPE_CHECKING:
    import keras

BATCH = 32  # sentences; a compiled function takes this many, or one
LENGTH_WEIGHT = 1.0  # the exponent of the length that beams are compared with, chosen on Multi30k's validation split


@dataclass(frozen=True)
class Translation:
    """A translation of one sentence."""

    text: str
    ids: tuple[int, ...]
    """Its subwords and END."""
    log_probability: float
    """Of all of these together, in nats."""

    @property
    def score(self) -> float:
        """The probability of a subword in it, 0 to 1, as the geometric mean."""
        return float(np.exp(self.log_probability / max(len(self.ids), 1)))


class Translator:
    """Writes translations.

    Args:
        network: [sources int32 (batch, time), ids int32 (batch, time)] -> logits; its weights may change between calls.
        subwords: that it learned with.
    """

    def __init__(self, network: keras.Model, subwords: Subwords):
        self.network = network
        self.subwords = subwords
        self.rules = TokenRules(START, END, forbidden=subwords.never_written)
        self._searches: dict[tuple[int, int, int], Callable] = {}

    def translate(self, sentences: Sequence[str], language: str, beams: int = 4) -> list[list[Translation]]:
        """What a beam search finds for each sentence, the best first. No sentence is longer than a row: see `parts`."""
        sources = [self.subwords.source(sentence, language) for sentence in sentences]
        found: list[list[Translation]] = [[] for _ in sources]
        order = sorted(range(len(sources)), key=lambda n: len(sources[n]))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            written = self._search([sources[n] for n in chosen], beams)
            for n, ids, sums in zip(chosen, *written, strict=True):
                found[n] = [self._translation(*beam) for beam in zip(ids, sums, strict=True)]
        return found

    def _search(self, sources: Sequence[list[int]], beams: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids (sentences, beams, longest) and log-probabilities (sentences, beams)."""
        rows = 1 if len(sources) == 1 else BATCH
        length = max(row_length(max(map(len, sources))), 16)
        filled = padded([*sources, *[sources[0]] * (rows - len(sources))], length)
        if not self.is_transformer:
            return self._greedy(filled)
        key = beams, rows, length
        if key not in self._searches:
            self._searches[key] = beam_search(self.network, self.rules, beams, LENGTH_WEIGHT)
        ids, sums = self._searches[key](filled, (filled != PAD)[:, None])
        return np.asarray(ids)[: len(sources)], np.asarray(sums)[: len(sources)]

    @property
    def is_transformer(self) -> bool:
        """Whether the network is made of blocks that can go on token by token."""
        return any(layer.name == "look_0" for layer in self.network.layers)

    def _greedy(self, sources: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The likeliest next token again and again, by the whole network each time: for a recurrent one, slowly."""
        written = np.full((len(sources), LONGEST), PAD, np.int32)
        written[:, 0] = START
        found = np.full((len(sources), 1, LONGEST), END, np.int32)
        sums = np.zeros((len(sources), 1), np.float32)
        for n in range(LONGEST - 1):
            logits = np.array(self._next([sources, written])[:, n], np.float32)
            logits[:, list(self.rules.forbidden)] = -np.inf
            going_on = written[:, n] != END
            best = np.where(going_on, logits.argmax(axis=1), END)
            shifted = logits - logits.max(axis=1, keepdims=True)
            scores = np.take_along_axis(shifted, best[:, None], 1)[:, 0] - np.log(np.exp(shifted).sum(axis=1))
            sums[:, 0] += np.where(going_on, scores, 0)
            found[:, 0, n] = written[:, n + 1] = best
            if (best == END).all():
                break
        return found, sums

    @cached_property
    def _next(self) -> Callable:
        from shared.training.steps import compile_step

        return compile_step(lambda inputs: self.network(inputs, training=False), self.network)

    def _translation(self, ids: np.ndarray, total: float) -> Translation:
        end = int(np.argmax(ids == END)) if END in ids else len(ids)
        kept = tuple(map(int, ids[: end + 1]))
        return Translation(self.subwords.text(kept), kept, float(total))

    def attention(self, sentence: str, language: str, translation: Translation) -> tuple[list, list, np.ndarray]:
        """Words of the translation, words of the sentence, and how each of the first attended to each of the others.

        The mean over the heads of the last block and over a word's subwords; shares float32 (words, words).
        """
        source = self.subwords.source(sentence, language)
        length = row_length(max(len(source), len(translation.ids)))
        written = [START, *translation.ids[:-1]]
        maps = np.asarray(self._maps([padded([source], length), padded([written], length)]))[0]
        rows, columns = self.subwords.words(translation.ids), self.subwords.words(source)
        shares = [[maps[np.ix_(places, others)].sum(axis=1).mean() for _, others in columns] for _, places in rows]
        return [word for word, _ in rows], [word for word, _ in columns], np.array(shares, np.float32)

    @cached_property
    def _maps(self) -> Any:
        return attention_maps(self.network)

    def parts(self, text: str, language: str) -> list[str]:
        """A text as parts that fit the network: sentences; of a sentence that is too long, clauses or words."""
        return [part for sentence in sentences_of(text) for part in self._fitting(sentence, language)]

    def _fitting(self, sentence: str, language: str) -> list[str]:
        if len(self.subwords.source(sentence, language)) <= LONGEST // 2 or len(sentence) < 2:
            return [sentence]
        middle = len(sentence) // 2
        breaks = [match.end() for match in re.finditer(r"[,;:]\s+", sentence)]
        breaks = breaks or [match.end() for match in re.finditer(r"\s+", sentence)] or [middle]
        at = min(breaks, key=lambda place: abs(place - middle))
        if at in (0, len(sentence)):
            at = middle
        return [*self._fitting(sentence[:at].strip(), language), *self._fitting(sentence[at:].strip(), language)]


SENTENCE_END = re.compile(
    r"(?:(?<=[.!?\u2026])|(?<=[.!?\u2026][\"'\u201d\u2019)]))"  # a mark, and perhaps a closing quotation mark,
    r"(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bMrs\.)(?<!\b[A-Z]\.)"  # not of a title or an initial,
    r"\s+(?=[\"'\u201c\u2018(]*[A-Z0-9])"  # before a capital letter or a number
)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text; a line ends one, too."""
    return [part.strip() for line in text.splitlines() for part in SENTENCE_END.split(line) if part.strip()]
