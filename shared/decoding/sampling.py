"""Sampling: the token that a random number between 0 and 1 chooses from probabilities."""

from __future__ import annotations

from typing import Any


def draw(probabilities: Any, random_number: Any) -> Any:
    """The token that a random number falls on when the probabilities are laid end to end, int32 (...).

    Args:
        probabilities: (..., tokens); what they add up to stands for 1.
        random_number: (...), uniform from 0 to 1.
    """
    from keras import ops

    sums = ops.cumsum(probabilities, axis=-1)
    token = ops.sum(ops.cast(sums <= random_number[..., None] * sums[..., -1:], "int32"), axis=-1)
    return ops.minimum(token, probabilities.shape[-1] - 1)


def draw_likely(logits: Any, random_number: Any, top_k: Any, top_p: Any) -> Any:
    """A token drawn from logits (tokens,), but only from the likeliest: at most `top_k`, with probability `top_p`."""
    from keras import ops

    tokens = logits.shape[0]
    probabilities, ids = ops.top_k(ops.softmax(logits), tokens)
    before = ops.cumsum(probabilities) - probabilities
    allowed = ops.logical_and(before < top_p, ops.arange(tokens) < top_k)
    return ops.cast(ops.take(ids, draw(ops.where(allowed, probabilities, 0.0), random_number)), "int32")
