"""The one rule of both drivers: validate, save the model if it is the best, then checkpoint."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from shared.training.best import BestKeeper
from shared.training.checkpoints import Checkpoints
from shared.training.run_log import TrainingDiverged
from tests.shared.training.test_checkpoints import owner


class Journal:
    """Notes what a BestKeeper does, in its order; it validates to the given values."""

    def __init__(self, folder: Path, metric: str, *values: float, resume: bool = False):
        self.lines: list[str] = []
        self.saved: list[tuple[int, float]] = []
        self.values = iter(values)
        self.checkpoints = Checkpoints(folder, {"model": owner(0)})
        self.best = BestKeeper(self.checkpoints, self.validate, self.save_best, metric, resume)

    def validate(self) -> float:
        self.lines.append("validate")
        return next(self.values)

    def save_best(self, step: int, value: float) -> None:
        self.lines.append("save")
        self.saved.append((step, value))

    def record(self, **metrics: float) -> None:
        self.lines.append(f"record {metrics}")
        if any(math.isnan(value) for value in metrics.values()):
            raise TrainingDiverged("a loss is nan")

    def measure(self, *steps: int) -> list[tuple[int, float]]:
        """What is saved as the best, of validations after these steps."""
        for step in steps:
            before = self.checkpoints.latest()
            self.best.measure(step, {"pace": 1}, self.record)
            assert self.checkpoints.latest() != before
        return self.saved


@pytest.mark.parametrize(
    ("metric", "values", "saved"),
    [
        ("score", [1, 5, 3, 5, 4], [(1, 1), (2, 5), (4, 5)]),
        ("cider", [-2, -3, -2, -1, -1], [(1, -2), (3, -2), (4, -1), (5, -1)]),
        ("val_loss", [4, 5, 3, 3, 9], [(1, 4), (3, 3), (4, 3)]),
    ],
)
def test_higher_scores_and_lower_losses_are_saved_and_of_equals_the_later(tmp_path, metric, values, saved):
    journal = Journal(tmp_path, metric, *values)
    assert journal.measure(1, 2, 3, 4, 5) == saved
    assert journal.best.value == saved[-1][1]
    resumed = Journal(tmp_path, metric, resume=True)
    assert (resumed.best.resumed_step, resumed.best.value) == (5, saved[-1][1])


def test_validates_records_saves_and_then_checkpoints(tmp_path):
    journal = Journal(tmp_path, "score", 7)
    journal.checkpoints.save = lambda step, extra: journal.lines.append(f"checkpoint {step} {extra}")
    journal.best.measure(3, {"pace": 1}, journal.record)
    assert journal.lines == ["validate", "record {'pace': 1, 'score': 7.0}", "save", "checkpoint 3 {'best': 7.0}"]


def test_a_diverged_network_is_neither_saved_nor_checkpointed(tmp_path):
    journal = Journal(tmp_path, "val_loss", math.nan)
    with pytest.raises(TrainingDiverged):
        journal.measure(1)
    assert journal.lines[-1].startswith("record")
    assert journal.checkpoints.latest() is None


def test_without_a_checkpoint_and_without_resume_everything_beats_nothing(tmp_path):
    for resume in (True, False):
        assert Journal(tmp_path / "none", "score", -1e9, resume=resume).best.resumed_step is None
    Journal(tmp_path, "score", 5).measure(1)
    assert Journal(tmp_path, "score", -1e9).measure(1) == [(1, -1e9)]
