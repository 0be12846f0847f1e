"""`model.fit` with all that a long training needs: averages, the best model saved, checkpoints, a log, resume."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.console import say
from shared.data.prefetch import prefetch
from shared.training.best import BestKeeper
from shared.training.checkpoints import Checkpoints
from shared.training.interrupt import Interruption, interruptible
from shared.training.losses import whole_loss
from shared.training.optimizers import averaged
from shared.training.run_log import RunLog

if TYPE_CHECKING:
    import keras

LOG_EVERY = 10  # batches


def fit(
    network: keras.Model,
    batches: Callable[[int], Iterator[tuple]],
    validate: Callable[[], float],
    save_best: Callable[[int, float], None],
    folder: Path,
    *,
    epochs: int,
    steps: int,
    metric: str = "val_loss",
    resume: bool = False,
) -> float:
    """Fit a network that is compiled with an averaging optimizer (`adamw`); return the best of what `validate` gave.

    While `validate` and `save_best` run, the averages are in the place of the network's weights. These two, `metric`
    and `resume` are as in `BestKeeper`; a step there is an epoch. Stateful layers begin each epoch from zero.

    Args:
        batches: given an epoch's number, the batches of that epoch and of all that follow, without end.
        folder: of the run: metrics.jsonl, curve.png, checkpoints/.
        epochs: in all, those before a resume included.
        steps: batches in an epoch.

    Raises:
        SystemExit: with 130, when Ctrl-C or SIGTERM asked to stop. An epoch that it cuts short is trained again.
        TrainingDiverged: a loss is NaN or infinite.
    """
    if not network.optimizer.built:
        network.optimizer.build(network.trainable_variables)
    average = averaged(network, network.optimizer)
    checkpoints = Checkpoints(folder / "checkpoints", {"model": network, "optimizer": network.optimizer})
    best = BestKeeper(checkpoints, average(validate), average(save_best), metric, resume)
    first = best.resumed_step or 0
    made = prefetch(batches(first))
    with interruptible() as stop, RunLog(folder, epochs * steps, "batches", first * steps if resume else None) as log:
        began_s = log.time_s
        _learn(network, iter(made), _callback(best, log, stop, steps), range(first, epochs), steps)
        _say_share(made.made_s / max(log.time_s - began_s, 1e-9))
    log.plot(*([("loss", metric)] if best.lower_is_better else ["loss", metric]))
    return best.value


def _say_share(share: float) -> None:
    """In which share of the time batches were made."""
    hint = ": the learning waits for them, and a faster device would, too" if share > 0.9 else ""
    say(f"Batches were made in {min(share, 1):.0%} of the time, beside the learning{hint}.")


def _callback(best: BestKeeper, log: RunLog, stop: Interruption, steps: int) -> keras.callbacks.Callback:
    """Logs the running means every few batches, and at the end of an epoch does what `BestKeeper.measure` does."""
    import keras

    class Epochs(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            self.done = epoch * steps
            for layer in self.model.layers:
                if getattr(layer, "stateful", False):
                    layer.reset_state()

        def on_train_batch_end(self, batch: int, logs: dict) -> None:
            if stop.stop_requested:
                stop.leave()
            if (batch + 1) % LOG_EVERY == 0:
                log.log(self.done + batch + 1, **logs)

        def on_epoch_end(self, epoch: int, logs: dict) -> None:
            best.measure(epoch + 1, logs, partial(log.log, (epoch + 1) * steps))

    return Epochs()


def _learn(network: keras.Model, batches: Iterator[tuple], callback: Any, epochs: range, steps: int) -> None:
    """`model.fit`, or, for several replicas, what `_learn_split` does."""
    from shared.training.steps import replicas

    if replicas() > 1:
        return _learn_split(network, batches, callback, epochs, steps)
    course = {"epochs": epochs.stop, "initial_epoch": epochs.start, "steps_per_epoch": steps}
    network.fit(batches, callbacks=[callback], shuffle=False, verbose=0, **course)


def _learn_split(network: keras.Model, batches: Iterator[tuple], callback: Any, epochs: range, steps: int) -> None:
    """`model.fit` for several replicas, by a compiled step.

    Keras' own logs the first replica's loss alone, and does not run over several TensorFlow processes.
    """
    from keras import tree

    from shared.training.steps import compile_step, shard, value_and_grad

    def update(x: Any, y: Any) -> Any:
        def loss() -> Any:
            return whole_loss(network.compute_loss(x, y, network(x, training=True), training=True))

        value, gradients = value_and_grad(loss, network.trainable_variables)
        network.optimizer.apply(gradients, network.trainable_variables)
        return value

    step = compile_step(update, network, network.optimizer)
    callback.set_model(network)
    for epoch in epochs:
        callback.on_epoch_begin(epoch)
        losses, rows = [], []
        _synchronise(network, True)
        for n in range(steps):
            batch = next(batches)
            losses.append(step(*shard(*batch)))
            rows.append(len(tree.flatten(batch)[0]))
            logs = {}
            if (n + 1) % LOG_EVERY == 0 or n + 1 == steps:  # reading a number waits for it
                logs["loss"] = float(np.average([np.asarray(loss) for loss in losses], weights=rows))
            callback.on_train_batch_end(n, logs)
        _synchronise(network, False)  # a file with this flag opens on TensorFlow only
        callback.on_epoch_end(epoch, logs)


def _synchronise(layer: keras.Layer, flag: bool) -> None:
    """Let BatchNorm see the whole batch, and not each replica its own part; JAX computes on whole batches anyway."""
    import keras

    if isinstance(layer, keras.layers.BatchNormalization) and keras.backend.backend() == "tensorflow":
        layer.synchronized = flag
    for inner in getattr(layer, "layers", []):
        _synchronise(inner, flag)
