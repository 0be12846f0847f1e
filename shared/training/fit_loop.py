"""`model.fit` with all that a long training needs: averages, the best model saved, checkpoints, a log, resume."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shared.training.best import BestKeeper
from shared.training.checkpoints import Checkpoints
from shared.training.interrupt import Interruption, interruptible
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
    course = {"steps_per_epoch": steps, "epochs": epochs, "initial_epoch": first, "shuffle": False, "verbose": 0}
    with interruptible() as stop, RunLog(folder, epochs * steps, "batches", first * steps if resume else None) as log:
        network.fit(batches(first), callbacks=[_callback(best, log, stop, steps)], **course)
    log.plot(*([("loss", metric)] if best.lower_is_better else ["loss", metric]))
    return best.value


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
