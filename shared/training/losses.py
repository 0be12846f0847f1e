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
        return ((1 - smoothing) * entropy + smoothing * even) * is_token / mean_of_batch(is_token)

    return loss


def mean_of_batch(x: Any) -> Any:
    """The mean over the whole batch, of which each of several TensorFlow replicas has a part only; a scalar."""
    from keras import ops

    replica, mean = _replica(), ops.mean(x)
    return replica.all_reduce("mean", mean) if replica else mean


def whole_loss(loss: Any) -> Any:
    """The mean of a replica's rows, of a loss from Keras, which gives 1/n of it on each of n TensorFlow replicas."""
    replica = _replica()
    return loss * replica.num_replicas_in_sync if replica else loss


def _replica() -> Any:
    """TensorFlow's context of a replica, for code that runs on one of several; None elsewhere."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    return replica if replica is not None and replica.num_replicas_in_sync > 1 else None
