"""Sequences from a decoder, all steps in one compiled call: the likeliest ones by beam search, or random samples.

Both give tensors: ids, int32 (inputs, beams or samples, longest), with the end id after a sequence; and
log-probabilities, float32 (inputs, beams or samples), each the sum over a sequence's tokens and its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.decoding.sampling import draw
from shared.layers.transformer import CachedDecoder

if TYPE_CHECKING:
    import keras

NEVER = -1e9  # as the logarithm of a probability
Decode = Callable[..., tuple[Any, Any]]


@dataclass(frozen=True)
class TokenRules:
    """What a decoder may write, by the ids of its vocabulary. No sequence is empty, and each one ends."""

    start: int
    """Given before the first token."""
    end: int
    """Written after the last token."""
    forbidden: tuple[int, ...] = ()
    """Never written, such as padding and the unknown word."""
    repeats: bool = True
    """Whether a token may follow itself."""
    once: tuple[int, ...] = ()
    """Written once in a sequence at most."""


def beam_search(decoder: keras.Model, rules: TokenRules, beams: int, length_weight: float = 0.7) -> Decode:
    """Compile `search(inputs, memory_mask=None, bonus=None)`, which gives the best sequences, the best first.

    `inputs` are the decoder's before its ids, an array or several. A `bonus` (inputs, tokens) is added to the
    log-probabilities: sequences with such a token, where it fits best, win over those without, a soft form of
    constrained beam search (Anderson et al. 2017, arXiv:1612.00576).

    Sequences are compared by log-probability / tokens ** length_weight (Wu et al. 2016, arXiv:1609.08144, simplified),
    or short ones would always win. One beam is greedy decoding.
    """
    from keras import ops, tree

    from shared.training.steps import compile_step

    loop = _Loop(decoder, rules, beams)

    def choose(scores: Any, sums: Any, lengths: Any, position: Any) -> tuple[Any, Any]:
        ranks = (sums[:, None] + scores) / ops.cast(lengths, "float32")[:, None] ** length_weight
        inputs = ranks.shape[0] // beams
        _, best = ops.top_k(ops.reshape(ranks, (inputs, -1)), beams)  # of all beams of an input, with all tokens
        parents = np.arange(inputs)[:, None] * beams + ops.cast(best // loop.tokens, "int32")
        chosen = ops.cast(best % loop.tokens, "int32")
        return ops.reshape(parents, (-1,)) if beams > 1 else None, ops.reshape(chosen, (-1,))

    def search(inputs: Any, memory_mask: Any = None, bonus: Any = None) -> tuple[Any, Any]:
        only_first = [0.0] + [NEVER] * (beams - 1)  # all beams begin alike: only one of them may go on
        count = tree.flatten(inputs)[0].shape[0]
        sums = np.tile(np.array(only_first, np.float32), count)
        return loop.run(choose, sums, inputs, memory_mask, None if bonus is None else ops.repeat(bonus, beams, axis=0))

    return compile_step(search, decoder)


def sampler(decoder: keras.Model, rules: TokenRules, samples: int) -> Decode:
    """Compile `sample(inputs, random_numbers, temperature, memory_mask=None)`, which gives random sequences.

    The random numbers (inputs, samples, longest), uniform from 0 to 1, decide everything, so that a seed writes the
    same on every backend, rounding aside. The log-probabilities are those at temperature 1.
    """
    from keras import ops, tree

    from shared.training.steps import compile_step

    loop = _Loop(decoder, rules, samples)

    def sample(inputs: Any, random_numbers: Any, temperature: Any, memory_mask: Any = None) -> tuple[Any, Any]:
        def choose(scores: Any, sums: Any, lengths: Any, position: Any) -> tuple[None, Any]:
            numbers = ops.reshape(ops.take(random_numbers, position, axis=2), (-1,))
            return None, draw(ops.softmax(scores / temperature), numbers)

        count = tree.flatten(inputs)[0].shape[0]
        return loop.run(choose, np.zeros(count * samples, np.float32), inputs, memory_mask)

    return compile_step(sample, decoder)


class _Loop:
    """What beam search and sampling share: the loop over the positions of all rows, `rows` for each input."""

    def __init__(self, decoder: keras.Model, rules: TokenRules, rows: int):
        self.rules = rules
        self.rows = rows
        self.cached = CachedDecoder(decoder)
        self.tokens = decoder.output_shape[-1]
        self.longest = self.cached.longest
        self.once = np.zeros(self.tokens, np.float32)
        self.once[list(rules.once)] = 1

    def run(self, choose: Callable, sums: Any, inputs: Any, memory_mask: Any, bonus: Any = None) -> tuple[Any, Any]:
        """Sequences of tokens that `choose(scores, sums, lengths, position)` chooses, and their log-probabilities.

        It gives the row that each new row continues, None for its own, and its next token, both (rows,).
        """
        from keras import ops

        memory_cache, kv_cache = self.cached.begin(inputs, self.rows, memory_mask)
        end = self.rules.end
        positions = np.arange(self.longest)

        def unfinished(position: Any, ids: Any, previous: Any, *_: Any) -> Any:
            return ops.logical_and(position < self.longest, ops.any(previous != end))

        def advance(position: Any, ids: Any, previous: Any, sums: Any, lengths: Any, spent: Any, *cache: Any) -> tuple:
            logits, kv_cache = self.cached.step(memory_cache, list(cache), previous, position)
            scores = self.scores(ops.cast(logits, "float32") + NEVER * spent, previous, position)
            scores = scores if bonus is None else scores + bonus
            lengths = lengths + ops.cast(previous != end, "int32")
            parents, chosen = choose(scores, sums, lengths, position)
            if parents is not None:
                state = scores, sums, lengths, ids, spent, *kv_cache
                scores, sums, lengths, ids, spent, *kv_cache = (ops.take(x, parents, axis=0) for x in state)
            written = ops.one_hot(chosen, self.tokens)
            sums = sums + ops.sum(scores * written, axis=-1)
            ids = ops.where(positions == position, chosen[:, None], ids)
            return position + 1, ids, chosen, sums, lengths, ops.maximum(spent, written * self.once), *kv_cache

        ids = np.full((len(sums), self.longest), end, np.int32)
        previous = np.full(len(sums), self.rules.start, np.int32)
        lengths = np.zeros(len(sums), np.int32)
        spent = np.zeros((len(sums), self.tokens), np.float32)  # 1 where a token must not come again
        state = *map(ops.convert_to_tensor, (np.int32(0), ids, previous, sums, lengths, spent)), *kv_cache
        _, ids, _, sums, *_ = ops.while_loop(unfinished, advance, state)
        return ops.reshape(ids, (-1, self.rows, self.longest)), ops.reshape(sums, (-1, self.rows))

    def scores(self, logits: Any, previous: Any, position: Any) -> Any:
        """Log-probabilities (rows, tokens) of what may follow the previous tokens (rows,)."""
        from keras import ops

        end = self.rules.end
        only_end = self._without(set(range(self.tokens)) - {end})
        logits = ops.cast(logits, "float32") + self._without(self.rules.forbidden)
        if not self.rules.repeats:
            logits = logits + NEVER * ops.one_hot(previous, self.tokens)
        scores = ops.log_softmax(ops.where(position == 0, logits + self._without([end]), logits))
        scores = ops.where(position == self.longest - 1, scores + only_end, scores)
        return ops.where((previous == end)[:, None], only_end, scores)

    def _without(self, ids: Iterable[int]) -> np.ndarray:
        """NEVER at some ids, 0 at the others, float32 (tokens,)."""
        mask = np.zeros(self.tokens, np.float32)
        mask[list(ids)] = NEVER
        return mask
