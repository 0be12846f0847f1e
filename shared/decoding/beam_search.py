"""Sentences from a decoder, all steps in one compiled call: the most likely ones by beam search, or some by chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.data.vocabulary import END, PAD, START, UNKNOWN
from shared.decoding.sampling import drawn
from shared.layers.transformer import Stepwise

if TYPE_CHECKING:
    import keras

NEVER = -1e9  # as a logarithm of a probability
Write = Callable[..., tuple[np.ndarray, np.ndarray]]


def searcher(decoder: keras.Model, beams: int, length_weight: float = 0.7) -> Write:
    """Beam search: `write(features (photos, cells, features))` gives ids and log-probabilities, the best first.

    Captions are compared by log-probability / words ** length_weight (Wu et al. 2016, arXiv:1609.08144, simplified), or
    short ones would always win. One beam is greedy decoding. Neither a word twice running nor the unknown word is
    written, no caption is empty, and each one ends.

    Returns:
        Of `write`: int32 (photos, beams, longest), END behind the words; float32 (photos, beams), the sum over a
        caption's words and its end.
    """
    return _compiled(decoder, beams, length_weight, by_chance=False)


def sampler(decoder: keras.Model, samples: int) -> Write:
    """Captions by chance: `write(features, chance (photos, samples, longest), temperature)`, as of `searcher`.

    The numbers `chance`, uniform from 0 to 1, decide everything, so that a seed writes the same on every backend,
    rounding aside. Probabilities that are given are those at temperature 1.
    """
    return _compiled(decoder, samples, 1.0, by_chance=True)


def _compiled(decoder: keras.Model, beams: int, length_weight: float, by_chance: bool) -> Write:
    from keras import ops

    from shared.training.steps import compile_step

    stepwise, words = Stepwise(decoder), decoder.output_shape[-1]
    longest, place = stepwise.longest, np.arange(stepwise.longest)
    unwritten, ending = _mask(words, [PAD, START, UNKNOWN]), _mask(words, set(range(words)) - {END})

    def write(features: Any, chance: Any = None, temperature: Any = None) -> tuple[Any, Any]:
        photos = features.shape[0]
        looked, kept = stepwise.begin(features, beams)

        def scores_of(logits: Any, previous: Any, at: Any) -> Any:
            """Log-probabilities (rows, words) of what may follow."""
            logits = ops.cast(logits, "float32") + unwritten + NEVER * ops.one_hot(previous, words)
            scores = ops.log_softmax(ops.where(at == 0, logits + _mask(words, [END]), logits))
            scores = ops.where(at == longest - 1, scores + ending, scores)
            return ops.where((previous == END)[:, None], ending, scores)

        def choose(scores: Any, sums: Any, lengths: Any, at: Any) -> tuple[Any, Any]:
            """The row that each new row goes on from, and its next word, both (rows,)."""
            if by_chance:
                return None, drawn(scores / temperature, ops.reshape(ops.take(chance, at, axis=2), (-1,)))
            ranks = (sums[:, None] + scores) / ops.cast(lengths, "float32")[:, None] ** length_weight
            _, best = ops.top_k(ops.reshape(ranks, (photos, -1)), beams)
            parents = np.arange(photos)[:, None] * beams + ops.cast(best // words, "int32")
            return ops.reshape(parents, (-1,)), ops.cast(ops.reshape(best % words, (-1,)), "int32")

        def go_on(at: Any, ids: Any, previous: Any, sums: Any, lengths: Any, *kept: Any) -> tuple:
            logits, rest = stepwise.step(looked, list(kept), previous, at)
            scores, lengths = scores_of(logits, previous, at), lengths + ops.cast(previous != END, "int32")
            parents, chosen = choose(scores, sums, lengths, at)
            if parents is not None and beams > 1:
                state = scores, sums, lengths, ids, *rest
                scores, sums, lengths, ids, *rest = (ops.take(x, parents, axis=0) for x in state)
            sums = sums + ops.sum(scores * ops.one_hot(chosen, words), axis=-1)
            return at + 1, ops.where(place == at, chosen[:, None], ids), chosen, sums, lengths, *rest

        def unfinished(at: Any, ids: Any, previous: Any, *_: Any) -> Any:
            return ops.logical_and(at < longest, ops.any(previous != END))

        rows = photos * beams
        others = 0.0 if by_chance else NEVER  # all beams begin alike: let only the first of them go on
        sums = np.tile(np.array([0.0] + [others] * (beams - 1), np.float32), photos)
        start = np.int32(0), np.full((rows, longest), END, np.int32), np.full(rows, START, np.int32), sums
        state = *map(ops.convert_to_tensor, start), ops.zeros(rows, "int32"), *kept
        _, ids, _, sums, *_ = ops.while_loop(unfinished, go_on, state)
        return ops.reshape(ids, (photos, beams, longest)), ops.reshape(sums, (photos, beams))

    compiled = compile_step(write, decoder)

    def run(features: np.ndarray, *more: Any) -> tuple[np.ndarray, np.ndarray]:
        ids, sums = compiled(features, *more)
        return np.asarray(ids), np.asarray(sums)

    return run


def _mask(words: int, never: Any) -> np.ndarray:
    """NEVER at some ids, 0 elsewhere, float32 (words,)."""
    mask = np.zeros(words, np.float32)
    mask[list(never)] = NEVER
    return mask
