"""`model.fit` with all that a long training needs: averaged weights, the best one kept, checkpoints, a log, resume."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.files import write_atomically
from shared.training.checkpoints import fit_checkpoint
from shared.training.interrupt import interruptible
from shared.training.optimizers import averaged
from shared.training.run_log import RunLog, fit_log

if TYPE_CHECKING:
    import keras


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
