"""The loop around a learner that is not `model.fit`: record, judge, keep the best, checkpoint, stop, resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.training.checkpoints import Checkpoints
from shared.training.interrupt import interruptible
from shared.training.run_log import RunLog

Learner = Iterator[tuple[int, dict[str, float]]]
"""Learns for ever; gives the steps done so far and what to log, a few times a second or minute."""


def train(
    learner: Callable[[int], Learner],
    owners: Mapping[str, Any],
    folder: Path,
    *,
    total: int,
    unit: str,
    judge: Callable[[], float],
    judge_every: int,
    keep: Callable[[int, float], None],
    resume: bool = False,
    checkpoint_minutes: float = 2.0,
    plot: tuple[str | tuple[str, ...], ...] = ("score",),
) -> float:
    """Drive a learner to its last step and return the best score.

    Args:
        learner: given the steps done, it goes on from there; it keeps no state but what `owners` hold.
        owners: all that a checkpoint holds, by name, as in `Checkpoints`.
        folder: of the run: metrics.jsonl, curve.png, checkpoints/.
        total: steps to learn for.
        unit: what a step is, in the plural.
        judge: scores the network as it stands; more is better. Logged as "score".
        judge_every: steps between two judgements; there is one at the end, too.
        keep: called with steps and score when the score is the best so far; saves the model.
        resume: go on from the newest checkpoint in `folder`.
        checkpoint_minutes: minutes between two checkpoints, at most; there is one after each judgement, too.
        plot: the panels of the curve, as in `RunLog.plot`.

    Raises:
        SystemExit: with 130, when Ctrl-C or SIGTERM asked to stop, and all is saved.
        TrainingDiverged: a loss is NaN or infinite.
    """
    checkpoints = Checkpoints(folder / "checkpoints", owners)
    before = checkpoints.restore() if resume else None
    done, best = (before["step"], before["best"]) if before else (0, None)
    due_s = time.monotonic() + 60 * checkpoint_minutes
    due_steps = _next_multiple(done, judge_every)
    with interruptible() as stop, RunLog(folder, total, unit, done if before else None) as log:
        for steps, metrics in learner(done):
            finished = steps >= total
            judging = finished or steps >= due_steps
            if judging:
                metrics["score"], due_steps = judge(), _next_multiple(steps, judge_every)
            log.log(steps, **metrics)  # raises if the training has diverged: such a network is not kept
            if judging and (best is None or metrics["score"] >= best):
                best = metrics["score"]
                keep(steps, best)
            # After a judgement always: after a crash, the best model kept is not to be replaced by a worse one.
            if judging or stop.stop_requested or time.monotonic() >= due_s:
                checkpoints.save(steps, {"best": best})
                due_s = time.monotonic() + 60 * checkpoint_minutes
            if finished or stop.stop_requested:
                break
    log.plot(*plot)
    if stop.stop_requested and not finished:
        stop.leave()
    assert best is not None, "the last step is judged"
    return float(best)


def _next_multiple(steps: int, of: int) -> int:
    return (steps // of + 1) * of
