"""The optimizers of all trainings: Adam and AdamW, with averaged weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def adam(learning_rate: Any = 0.001, averaged_over: float = 0.0, **options: Any) -> keras.optimizers.Optimizer:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980), with a moving average of the weights.

    Args:
        learning_rate: a number or a schedule.
        averaged_over: updates that the average goes over; 0 keeps none.
        options: of `keras.optimizers.Adam`.
    """
    from shared.training.adam import Adam

    if averaged_over:
        options |= {"use_ema": True, "ema_momentum": max(1 - 1 / averaged_over, 0.0)}
    return Adam(learning_rate, **options)


def adamw(
    steps: int, learning_rate: float, weight_decay: float = 0.0, average: float = 0.03, clip: float = 1.0
) -> keras.optimizers.Optimizer:
    """AdamW along a cosine (Loshchilov & Hutter 2017, arXiv:1711.05101), with a moving average of the weights.

    Args:
        steps: of the whole training. The rate climbs for a tenth of them, 200 at most, then falls to zero.
        learning_rate: the highest rate.
        weight_decay: of everything but biases.
        average: share of `steps` over which the weights are averaged.
        clip: the largest norm of the whole gradient.
    """
    import keras

    warm_up = min(200, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(steps - warm_up, 1), warmup_target=learning_rate, warmup_steps=warm_up
    )
    optimizer = adam(rate, average * steps, weight_decay=weight_decay, global_clipnorm=clip)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


@contextmanager
def averaged(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Put the averages that the network's optimizer keeps in the place of the weights, for a block, or a function.

        with averaged(network, optimizer):
            network.save(path)
        save = averaged(network, optimizer)(save)  # from here on every call is such a block

    Keras' own SwapEMAWeights swaps by adding and subtracting on TensorFlow; what that rounds off, a resumed training
    would not have lost.
    """
    from keras import ops

    latest = [ops.copy(variable) for variable in network.trainable_variables]
    optimizer.finalize_variable_values(network.trainable_variables)
    for variable in network.trainable_variables:  # a copy: on JAX a compiled step would give the optimizer's own away
        variable.assign(ops.copy(variable))
    try:
        yield
    finally:
        for variable, value in zip(network.trainable_variables, latest, strict=True):
            variable.assign(value)
