"""The loop around a learner: the best is kept, a stop or a crash costs little, and resuming equals never stopping."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from shared.training import custom_loop
from shared.training.checkpoints import Checkpoints
from shared.training.run_log import TrainingDiverged
from tests.shared.training.test_checkpoints import owner

ROOT = Path(__file__).parents[3]
STEPS = 10  # in one turn of the learner


class Training:
    """A learner without Keras: two numbers that depend on every step taken."""

    def __init__(self, folder: Path, scores=None, on_turn=lambda steps: None, loss=lambda steps: 1.0):
        self.folder, self.model = folder, owner(0, [0, 0, 0])
        self.scores, self.on_turn, self.loss = scores, on_turn, loss
        self.began_at: list[int] = []
        self.validated: list[int] = []
        self.saved: list[tuple[int, float]] = []

    def learner(self, steps: int) -> custom_loop.Learner:
        self.began_at.append(steps)
        while True:
            steps += STEPS
            for variable in self.model.variables:
                variable.assign(variable.value * np.float32(0.9) + np.float32(steps))
            self.steps = steps
            self.on_turn(steps)
            yield steps, {"loss": self.loss(steps)}

    def validate(self) -> float:
        self.validated.append(self.steps)
        return float(self.scores[len(self.validated) - 1] if self.scores else self.steps)

    def save_best(self, steps: int, score: float) -> None:
        self.saved.append((steps, score))

    def run(self, total: int = 100, validate_every: int = 30, **options) -> float:
        options = {"checkpoint_minutes": 1000.0, "plot": ("score", "loss"), **options}
        owners = {"model": self.model}
        return custom_loop.train(
            self.learner,
            owners,
            self.validate,
            self.save_best,
            self.folder,
            total=total,
            unit="steps",
            validate_every=validate_every,
            **options,
        )

    def state(self) -> list[float]:
        return [variable.value.tolist() for variable in self.model.variables]


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def checkpoint(folder: Path) -> dict | None:
    return Checkpoints(folder / "checkpoints", {"model": owner(0, [0, 0, 0])}).restore()


# ------------------------------------------------------------------------------------------- validate and save


def test_validated_at_every_multiple_and_at_the_end(tmp_path):
    training = Training(tmp_path)
    training.run(total=100, validate_every=30)
    assert training.validated == [30, 60, 90, 100]
    lines = records(tmp_path)
    assert [line["step"] for line in lines] == list(range(10, 101, 10))
    assert [line["step"] for line in lines if "score" in line] == [30, 60, 90, 100]
    assert all("loss" in line for line in lines)


def test_validated_once_where_a_turn_passes_several_multiples(tmp_path):
    training = Training(tmp_path)
    training.run(total=45, validate_every=3)
    assert training.validated == [10, 20, 30, 40, 50]


def test_the_best_is_saved(tmp_path):
    training = Training(tmp_path, scores=[1, 5, 3, 4])
    assert training.run() == 5.0
    assert training.saved == [(30, 1.0), (60, 5.0)]


def test_of_equal_scores_the_later_is_saved(tmp_path):
    training = Training(tmp_path, scores=[0, 0, 0, 0])
    assert training.run() == 0.0
    assert training.saved[-1] == (100, 0.0), "the last one has learned longest"


def test_the_end_leaves_a_checkpoint_and_a_curve(tmp_path):
    training = Training(tmp_path)
    training.run()
    assert checkpoint(tmp_path)["step"] == 100
    assert (tmp_path / "curve.png").stat().st_size > 1000


# ------------------------------------------------------------------------------------------- stop and resume


def interrupt_at(step: int):
    def on_turn(steps: int) -> None:
        if steps == step:
            signal.raise_signal(signal.SIGINT)

    return on_turn


def test_ctrl_c_saves_and_exits_with_130(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["apps/x.py", "train", "--run", "a run"])
    training = Training(tmp_path, on_turn=interrupt_at(50))
    with pytest.raises(SystemExit, match="130"):
        training.run()
    assert checkpoint(tmp_path)["step"] == 50
    assert "python apps/x.py train --run 'a run' --resume" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_before_the_first_validation(tmp_path):
    with pytest.raises(SystemExit, match="130"):
        Training(tmp_path, on_turn=interrupt_at(10)).run()
    assert checkpoint(tmp_path) == {"step": 10, "best": -np.inf}
    resumed = Training(tmp_path, scores=[-3, -2, -1, -4])
    assert resumed.run(resume=True) == -1.0


def test_ctrl_c_in_the_last_step_finishes(tmp_path):
    training = Training(tmp_path, on_turn=interrupt_at(100))
    assert training.run() == 100.0


def test_a_second_ctrl_c_aborts_at_once(tmp_path):
    def impatient(steps: int) -> None:
        if steps == 50:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Training(tmp_path, on_turn=impatient).run()


@pytest.mark.parametrize("stop_at", [10, 30, 50, 90])
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, stop_at):
    whole = Training(tmp_path / "whole")
    whole.run()
    first = Training(tmp_path / "parts", on_turn=interrupt_at(stop_at))
    with pytest.raises(SystemExit):
        first.run()
    second = Training(tmp_path / "parts")
    second.run(resume=True)
    assert second.began_at == [stop_at]
    assert second.state() == whole.state()
    assert first.validated + second.validated == whole.validated
    logged = [[(line["step"], line.get("score")) for line in records(tmp_path / run)] for run in ("parts", "whole")]
    assert logged[0] == logged[1]
    assert [step for step, _ in logged[0]] == list(range(10, 101, 10))


def test_the_best_score_is_remembered_across_a_resume(tmp_path):
    with pytest.raises(SystemExit):
        Training(tmp_path, scores=[50], on_turn=interrupt_at(40)).run()
    resumed = Training(tmp_path, scores=[20, 30, 40])
    assert resumed.run(resume=True) == 50.0
    assert resumed.saved == [], "nothing better than before the stop"


def test_a_crash_after_saving_the_best_does_not_replace_it_with_worse(tmp_path):
    def crash(steps: int) -> None:
        if steps == 50:
            raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError):
        Training(tmp_path, scores=[80], on_turn=crash).run()
    resumed = Training(tmp_path, scores=[20, 30, 40, 50])  # emulators restart: the same step may score differently
    assert resumed.run(resume=True) == 80.0
    assert resumed.saved == []


def test_a_kill_between_saving_the_best_and_the_checkpoint(tmp_path, monkeypatch):
    def killed(checkpoints: Checkpoints, step: int, extra: dict) -> None:
        raise KeyboardInterrupt

    whole = Training(tmp_path / "whole")
    whole.run(metric="loss_held_out")
    first = Training(tmp_path / "parts", on_turn=interrupt_at(40))
    with pytest.raises(SystemExit):
        first.run(metric="loss_held_out")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Checkpoints, "save", killed)
        Training(tmp_path / "parts").run(resume=True, metric="loss_held_out")
    again = Training(tmp_path / "parts")
    assert again.run(resume=True, metric="loss_held_out") == 30.0, "of a loss less is better"
    assert again.validated == [60, 90, 100]
    assert (again.saved, again.state()) == ([], whole.state())
    scores = [[line.get("loss_held_out") for line in records(tmp_path / run)] for run in ("parts", "whole")]
    assert scores[0] == scores[1] == [None, None, 30, None, None, 60, None, None, 90, 100]


def test_resume_before_the_first_checkpoint_begins_anew(tmp_path):
    training = Training(tmp_path)
    training.run(resume=True)
    assert training.began_at == [0]


def test_resume_of_a_finished_training_ends_at_once(tmp_path):
    training = Training(tmp_path, scores=[1, 5, 3, 4])
    training.run()
    again = Training(tmp_path)
    assert again.run(resume=True) == 5.0
    assert (again.began_at, again.validated, again.state()) == ([], [], training.state())


def test_without_resume_the_old_record_is_replaced(tmp_path):
    Training(tmp_path).run()
    training = Training(tmp_path)
    training.run(total=20)
    assert training.began_at == [0]
    assert [line["step"] for line in records(tmp_path)] == [10, 20]
    assert checkpoint(tmp_path)["step"] == 20


# ------------------------------------------------------------------------------------------------ checkpoints


def test_checkpoints_come_at_their_interval(tmp_path, monkeypatch):
    clock = SimpleNamespace(now_s=0.0)
    saved = []

    def one_turn_takes_30_seconds(steps: int) -> None:
        clock.now_s += 30.0

    def save(checkpoints: Checkpoints, step: int, extra: dict) -> None:
        saved.append(step)

    monkeypatch.setattr(time, "monotonic", lambda: clock.now_s)
    monkeypatch.setattr(Checkpoints, "save", save)
    Training(tmp_path, on_turn=one_turn_takes_30_seconds).run(validate_every=1000, checkpoint_minutes=2.0)
    assert saved == [40, 80, 100]


def test_a_diverged_training_stops_and_leaves_the_checkpoint_before(tmp_path):
    training = Training(tmp_path, loss=lambda steps: 1.0 if steps < 50 else float("nan"))
    with pytest.raises(TrainingDiverged, match="loss is nan after 50 steps"):
        training.run(checkpoint_minutes=1e-9)
    assert checkpoint(tmp_path)["step"] == 40


CRASHING = """
import sys, time
from pathlib import Path
from shared.files import write_atomically
from tests.shared.training.test_custom_loop import Training

class Slow(Training):
    def __init__(self, folder):
        super().__init__(folder, on_turn=lambda steps: time.sleep(0.001))

    def save_best(self, steps, score):
        with write_atomically(self.folder / "model.txt") as temporary:
            temporary.write_text(f"{score:.0f} " * 20_000)

training = Slow(Path(sys.argv[1]))
print("ready", flush=True)
training.run(total=10**9, validate_every=50, checkpoint_minutes=1e-9, resume=True)
"""


def test_kill_9_at_ten_random_moments_then_resume(tmp_path):
    """With a checkpoint after every turn, at most the turn under way may be lost."""
    moments, before = random.Random(1), 0
    for _ in range(10):
        crashing = subprocess.Popen(
            [sys.executable, "-c", CRASHING, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert crashing.stdout.readline().strip() == b"ready", crashing.stderr.read().decode()
        time.sleep(moments.uniform(0, 0.3))
        crashing.kill()
        stderr = crashing.communicate()[1].decode()
        assert "damaged" not in stderr
        assert "Traceback" not in stderr
        logged = [line["step"] for line in intact(tmp_path)]
        assert logged == list(range(STEPS, STEPS * len(logged) + 1, STEPS)), "no gap, nothing twice"
        state = checkpoint(tmp_path) or {"step": 0}
        assert state["step"] >= max(logged[-1] - STEPS if logged else 0, before)
        before = state["step"]
        if (tmp_path / "model.txt").exists():
            words = (tmp_path / "model.txt").read_text().split()
            assert len(words) == 20_000
            assert len(set(words)) == 1, "a model is whole"
    assert before > 0
    again = Training(tmp_path)
    again.run(total=before + 30, resume=True)
    assert again.began_at == [before]


def intact(folder: Path) -> list[dict]:
    """The record's whole lines: a kill may cut the last one."""
    path = folder / "metrics.jsonl"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
