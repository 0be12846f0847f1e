"""`model.fit` with all that a long training needs: averaged weights, the best one kept, checkpoints, a log, resume."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.cli import write_atomically
from shared.training.checkpoints import fit_checkpoint
from shared.training.runlog import RunLog, fit_log, interruptible

if TYPE_CHECKING:
    import keras


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
    momentum = max(1 - 1 / (average * steps), 0.0)
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=weight_decay, global_clipnorm=clip, use_ema=True, ema_momentum=momentum
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def fit(
    network: keras.Model,
    batches: Callable[[int], Iterator[tuple]],
    folder: Path,
    *,
    epochs: int,
    steps: int,
    judge: Callable[[], float],
    keep: Callable[[int, float], None],
    resume: bool = False,
    score: str | None = None,
) -> float:
    """Fit a compiled network whose optimizer averages weights (`adamw`); return the best validation loss, or score.

    Args:
        network: stateful recurrent layers begin each epoch from zero.
        batches: given an epoch's number, the batches of that epoch and of all that follow, without end.
        folder: of the run: metrics.jsonl, curve.png, checkpoints/, best.json.
        epochs: in all, those before a resume included.
        steps: batches in an epoch.
        judge: the validation loss (or score) with the averaged weights, in the network then; may print a sample.
        keep: called with the epoch and its loss when it is the best so far; saves the model.
        resume: go on from the newest checkpoint in `folder`.
        score: the name of what `judge` gives, if more of it is better; by default it is a loss, val_loss.

    Raises:
        SystemExit: with 130, when Ctrl-C or SIGTERM asked to stop.
        TrainingDiverged: a loss is NaN or infinite.
    """
    with interruptible() as stop:
        checkpoint = fit_checkpoint(folder / "checkpoints", network, resume, stop)
        first = checkpoint.initial_epoch
        judging = _judging(network, judge, keep, folder / "best.json", score, resume=first > 0)
        with RunLog(folder, epochs * steps, "batches", first * steps if resume else None) as log:
            network.fit(
                batches(first),
                steps_per_epoch=steps,
                epochs=epochs,
                initial_epoch=first,
                callbacks=[checkpoint, judging, fit_log(log, steps)],
                shuffle=False,
                verbose=0,
            )
    log.plot(*(("loss", score) if score else (("loss", "val_loss"),)))
    return judging.best


@contextmanager
def averaged(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Put the averages that the network's optimizer keeps in the place of the weights, for the block.

    Keras' own SwapEMAWeights swaps by adding and subtracting on TensorFlow; what that rounds off, a resumed training
    would not have lost.
    """
    latest = [np.copy(variable.numpy()) for variable in network.trainable_variables]
    optimizer.finalize_variable_values(network.trainable_variables)
    for variable in network.trainable_variables:  # a copy: on JAX a compiled step would give the optimizer's own away
        variable.assign(np.copy(variable.numpy()))
    try:
        yield
    finally:
        for variable, value in zip(network.trainable_variables, latest, strict=True):
            variable.assign(value)


def _judging(network: keras.Model, judge: Any, keep: Any, record: Path, score: str | None, resume: bool) -> Any:
    import keras

    sign = -1 if score else 1

    class Judging(keras.callbacks.Callback):
        best: float = json.loads(record.read_text()) if resume and record.exists() else sign * math.inf

        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            for layer in network.layers:
                if getattr(layer, "stateful", False):
                    layer.reset_state()

        def on_epoch_end(self, epoch: int, logs: dict) -> None:
            with averaged(network, network.optimizer):
                logs[score or "val_loss"] = value = judge()
                if sign * value < sign * self.best:
                    keep(epoch + 1, value)
                    with write_atomically(record) as temporary:
                        temporary.write_text(json.dumps(value))
                    self.best = value

    return Judging()
