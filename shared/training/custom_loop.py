"""The loop around a learner that is not `model.fit`: record, validate, save the best, checkpoint, stop, resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from shared.training.best import BestKeeper
from shared.training.checkpoints import Checkpoints
from shared.training.interrupt import Interruption, interruptible
from shared.training.run_log import RunLog

Learner = Iterator[tuple[int, dict[str, float]]]
"""Learns for ever; gives the steps done so far and what to log, a few times a second or minute."""


def train(
    learner: Callable[[int], Learner],
    owners: Mapping[str, Any],
    validate: Callable[[], float],
    save_best: Callable[[int, float], None],
    folder: Path,
    *,
    total: int,
    unit: str,
    validate_every: int,
    metric: str = "score",
    resume: bool = False,
    checkpoint_minutes: float = 2.0,
    plot: tuple[str | tuple[str, ...], ...] = ("score",),
) -> float:
    """Drive a learner to its last step; return the best of what `validate` gave.

    It leaves as `fit_loop.fit` does. `validate`, `save_best`, `metric` and `resume` are as in `BestKeeper`.

    Args:
        learner: given the steps done, it goes on from there; it keeps no state but what `owners` hold.
        owners: all that a checkpoint holds, by name, as in `Checkpoints`.
        folder: of the run: metrics.jsonl, curve.png, checkpoints/.
        total: steps to learn for.
        unit: what a step is, in the plural.
        validate_every: steps between two validations; there is one at the end, too.
        checkpoint_minutes: minutes between two checkpoints, at most; there is one after each validation, too.
        plot: the panels of the curve, as in `RunLog.plot`.
    """
    best = BestKeeper(Checkpoints(folder / "checkpoints", owners), validate, save_best, metric, resume)
    with interruptible() as stop, RunLog(folder, total, unit, best.resumed_step) as log:
        done = _drive(learner, best, log, stop, validate_every, checkpoint_minutes)
    log.plot(*plot)
    if done < total:
        stop.leave()
    return best.value


def _drive(
    learner: Callable[[int], Learner],
    best: BestKeeper,
    log: RunLog,
    stop: Interruption,
    validate_every: int,
    checkpoint_minutes: float,
) -> int:
    """Learn to the last step, or until somebody asks to stop; return the steps done."""
    done = best.resumed_step or 0
    if done >= log.total:
        return done
    for steps, metrics in learner(done):
        finished = steps >= log.total
        validating = finished or steps // validate_every > done // validate_every
        done = steps
        if validating:
            best.measure(steps, metrics, partial(log.log, steps))
        else:
            log.log(steps, **metrics)
        stopping = stop.stop_requested  # read once: what is asked for from here on waits for the next turn
        if not validating and (stopping or time.monotonic() >= best.saved_s + 60 * checkpoint_minutes):
            best.checkpoint(steps)
        if finished or stopping:
            break
    return done
