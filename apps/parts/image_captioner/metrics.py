"""How similar captions are to what people wrote about the same photos: BLEU, ROUGE-L and CIDEr-D, all times 100.

The definitions are those of the COCO caption evaluation (Chen et al. 2015, arXiv:1504.00325), which papers report:
every candidate has several references, and a caption is a sequence of words (tokenised by the caller).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np

Words = Sequence[str]
ORDERS = 4  # n-grams of one to four words
SIGMA = 6.0  # words; how much CIDEr-D tolerates another length


def evaluate(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> dict[str, float]:
    """All metrics of one candidate for each photo: BLEU-1 to BLEU-4, ROUGE-L, CIDEr."""
    scores = {f"BLEU-{n}": score for n, score in enumerate(bleu(candidates, references), 1)}
    return scores | {"ROUGE-L": rouge_l(candidates, references), "CIDEr": Cider(references).mean(candidates)}


def summary(candidates: Sequence[Words], references: Sequence[Sequence[Words]], known: Collection[Words]) -> str:
    """All metrics, how many candidates are distinct, how many are among the known captions, and their length."""
    scores = [f"{name} {value:.2f}" for name, value in evaluate(candidates, references).items()]
    distinct = len(set(candidates)) / len(candidates)
    copied = np.mean([words in known for words in candidates])
    length = np.mean([len(words) for words in candidates])
    return f"{', '.join(scores)}, {distinct:.1%} distinct, {copied:.1%} as in training, {length:.1f} words"


def bleu(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """BLEU-1 to BLEU-4 of the whole corpus (Papineni et al. 2002), with the closest reference's length."""
    matches, total = np.zeros(ORDERS), np.zeros(ORDERS)
    length = reference_length = 0
    for candidate, known in zip(candidates, references, strict=True):
        most: Counter[tuple] = Counter()
        for reference in known:
            most |= ngrams(reference)
        for gram, count in ngrams(candidate).items():
            matches[len(gram) - 1] += min(count, most[gram])
        total += np.maximum(len(candidate) - np.arange(ORDERS), 0)
        length += len(candidate)
        reference_length += min((abs(len(reference) - len(candidate)), len(reference)) for reference in known)[1]
    brevity = min(1.0, math.exp(1 - reference_length / max(length, 1e-9)))
    precisions = (matches + 1e-15) / (total + 1e-9)
    return [100 * brevity * float(np.prod(precisions[:n]) ** (1 / n)) for n in range(1, ORDERS + 1)]


def rouge_l(candidates: Sequence[Words], references: Sequence[Sequence[Words]], beta: float = 1.2) -> float:
    """ROUGE-L (Lin 2004): the F measure of the longest common subsequence, as the mean over candidates."""
    scores = []
    for candidate, known in zip(candidates, references, strict=True):
        common = [common_length(candidate, reference) for reference in known]
        precision = max(common) / max(len(candidate), 1)
        recall = max(length / max(len(reference), 1) for length, reference in zip(common, known, strict=True))
        scores.append((1 + beta**2) * precision * recall / max(recall + beta**2 * precision, 1e-12))
    return 100 * float(np.mean(scores))


class Cider:
    """CIDEr-D (Vedantam et al. 2015, arXiv:1411.5726): how similar the characteristic words are, from 0 to 1000.

    An n-gram counts the more, the fewer photos' references contain it. The references are prepared once, for many
    candidates.

    Args:
        references: the captions that people wrote about each photo.
    """

    def __init__(self, references: Sequence[Sequence[Words]]):
        counted = [[ngrams(reference) for reference in known] for known in references]
        self.frequency = Counter(gram for known in counted for gram in set().union(*known))
        self.log_photos = math.log(len(references))
        self.references = [[self._vector(counts) for counts in known] for known in counted]

    def mean(self, candidates: Sequence[Words]) -> float:
        """The mean score of one candidate for each photo."""
        return float(np.mean(self.each(candidates)))

    def each(self, candidates: Sequence[Words], photos: Iterable[int] | None = None) -> np.ndarray:
        """Each candidate's score, float64 (candidates,); `photos` are their numbers, by default all in order."""
        numbers = range(len(self.references)) if photos is None else photos
        return np.array([self._score(words, photo) for words, photo in zip(candidates, numbers, strict=True)])

    def _score(self, candidate: Words, photo: int) -> float:
        vector, norms, length = self._vector(ngrams(candidate))
        total = 0.0
        for known, known_norms, known_length in self.references[photo]:
            products = [0.0] * ORDERS
            for gram, weight in vector.items():
                if gram in known:
                    products[len(gram) - 1] += min(weight, known[gram]) * known[gram]
            similarity = sum(
                product / (ours * theirs)
                for product, ours, theirs in zip(products, norms, known_norms, strict=True)
                if ours and theirs
            )
            total += similarity * math.exp(-((length - known_length) ** 2) / (2 * SIGMA**2))
        return 1000 * total / ORDERS / len(self.references[photo])

    def _vector(self, counts: Counter[tuple]) -> tuple[dict[tuple, float], list[float], int]:
        """tf-idf of each n-gram, the norm of each order, and the length, which the definition counts in pairs."""
        vector = {gram: n * (self.log_photos - math.log(max(1, self.frequency[gram]))) for gram, n in counts.items()}
        squares = [0.0] * ORDERS
        for gram, weight in vector.items():
            squares[len(gram) - 1] += weight**2
        return vector, [math.sqrt(square) for square in squares], sum(n for gram, n in counts.items() if len(gram) == 2)


def ngrams(words: Words) -> Counter[tuple]:
    """How often each sequence of one to four words occurs."""
    words = tuple(words)
    return Counter(words[i : i + n] for n in range(1, ORDERS + 1) for i in range(len(words) - n + 1))


def common_length(one: Words, other: Words) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0  # of the row above, one to the left
        for i, theirs in enumerate(other, 1):
            before, row[i] = row[i], before + 1 if word == theirs else max(row[i], row[i - 1])
    return row[-1]
