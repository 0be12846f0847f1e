"""The best model of a training: how both drivers, `fit_loop` and `custom_loop`, find it and save it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from shared.errors import UserError
from shared.training.checkpoints import Checkpoints


class BestKeeper:
    """Validates, saves the model if it is the best so far, then writes a checkpoint: always in this order.

    A training that is killed before the checkpoint learns and validates this stretch again. One that is killed after
    it has the best value in the checkpoint, and nowhere else, and the best model on the disk.

    Of equal values the later is the better: its network has learned for longer.

    Args:
        checkpoints: of the training, with all of its state.
        validate: measures the network as it stands.
        save_best: saves the model; called with the steps (or epochs) done and the value, when it is the best so far.
        metric: what `validate` measures. Lower is better if the name has "loss" in it, as in val_loss; else higher is.
        resume: restore the newest checkpoint, if there is one, now.

    Attributes:
        value: the best so far; infinitely bad before the first validation.
        resumed_step: the steps (or epochs) done when the restored checkpoint was written; None without one.
        saved_s: when the last checkpoint was written, by `time.monotonic`; before the first one, when this began.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        validate: Callable[[], float],
        save_best: Callable[[int, float], None],
        metric: str,
        resume: bool,
    ):
        self.checkpoints, self.metric = checkpoints, metric
        self.validate, self.save_best = validate, save_best
        self.lower_is_better = "loss" in metric
        self.value = math.inf if self.lower_is_better else -math.inf
        self.resumed_step: int | None = None
        if resume and (restored := checkpoints.restore()):
            if not isinstance(restored.get("best"), (int, float)):
                raise UserError(f"The checkpoint in {checkpoints.folder} says no best value; train without --resume.")
            self.value, self.resumed_step = restored["best"], restored["step"]
        self.saved_s = time.monotonic()

    def measure(self, step: int, metrics: dict[str, Any], record: Callable[..., None]) -> None:
        """Validate after `step` steps (or epochs), with all that follows from it.

        `record` gets `metrics` and the new value, by name. It may raise TrainingDiverged: such a network is neither
        saved nor checkpointed.
        """
        value = float(self.validate())
        record(**metrics, **{self.metric: value})
        if value <= self.value if self.lower_is_better else value >= self.value:
            self.save_best(step, value)
            self.value = value
        self.checkpoint(step)

    def checkpoint(self, step: int) -> None:
        """Write a checkpoint without validating."""
        self.checkpoints.save(step, {"best": self.value})
        self.saved_s = time.monotonic()
