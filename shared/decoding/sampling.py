"""Choosing by chance: the symbol that a random number falls on."""

from __future__ import annotations

from typing import Any


def drawn_among(logits: Any, chance: Any, top_k: Any, top_p: Any) -> Any:
    """The symbol that a number from 0 to 1 falls on when the allowed ones, the likeliest first, are laid end to end."""
    from keras import ops

    symbols = logits.shape[0]
    likely, ids = ops.top_k(ops.softmax(logits), symbols)
    before = ops.cumsum(likely) - likely
    allowed = ops.logical_and(before < top_p, ops.arange(symbols) < top_k)
    sums = ops.cumsum(ops.where(allowed, likely, 0.0))
    place = ops.sum(ops.cast(sums <= chance * sums[-1], "int32"))
    return ops.cast(ops.take(ids, ops.minimum(place, symbols - 1)), "int32")


def drawn(scores: Any, chance: Any) -> Any:
    """The word (rows,) that a number from 0 to 1 falls on when the probabilities are laid end to end."""
    from keras import ops

    sums = ops.cumsum(ops.softmax(scores), axis=-1)
    place = ops.sum(ops.cast(sums <= chance[:, None] * sums[:, -1:], "int32"), axis=-1)
    return ops.minimum(place, scores.shape[-1] - 1)
