"""Losses of networks that write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.data.vocabulary import PAD


def smoothed_cross_entropy(smoothing: float) -> Callable[[Any, Any], Any]:
    """Cross entropy with smoothed labels (Szegedy et al. 2015, arXiv:1512.00567), its mean over tokens, not padding.

    The loss takes targets (batch, time), ids with PAD after the last token, and logits (batch, time, tokens).
    """

    def loss(targets: Any, logits: Any) -> Any:
        from keras import ops

        logits = ops.cast(logits, "float32")
        targets = ops.cast(targets, "int32")
        is_token = ops.cast(targets != PAD, "float32")
        entropy = ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
        even = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)  # cross entropy of all tokens alike
        return ((1 - smoothing) * entropy + smoothing * even) * is_token / ops.mean(is_token)

    return loss
