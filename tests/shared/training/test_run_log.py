"""RunLog: the record survives resumes and crashes, the bar costs nothing, and a first Ctrl-C is polite."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from shared.training import run_log
from shared.training.interrupt import interruptible
from shared.training.run_log import RunLog, TrainingDiverged

ROOT = Path(__file__).parents[3]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def fill(folder: Path, steps: int, first: int = 0, **options) -> None:
    with RunLog(folder, 100, "agent steps", **options) as log:
        for step in range(first, steps):
            log.log(step + 1, loss=1 / (step + 1), episodes=step)


def test_one_json_line_a_call_readable_at_once(tmp_path):
    with RunLog(tmp_path / "new" / "run", 10) as log:
        log.log(1, loss=np.float32(0.1), episodes=np.int64(3), mean_return=float("nan"))
        line = records(tmp_path / "new" / "run")[0]
    assert line.pop("time_s") >= 0
    assert line == {"step": 1, "loss": 0.1, "episodes": 3, "mean_return": None}
    assert isinstance(line["episodes"], int)


def test_resume_drops_what_the_resumed_training_will_write_again(tmp_path):
    fill(tmp_path, 10)
    fill(tmp_path, 8, first=5, resume_step=5)
    assert [line["step"] for line in records(tmp_path)] == list(range(1, 9))


def test_resume_continues_the_clock(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 3, "time_s": 50.5}\n{"step": 4, "time_s": 70.0}\n')
    with RunLog(tmp_path, 10, resume_step=3) as log:
        log.log(4, loss=1.0)
        assert 50.5 <= log.time_s < 60
    assert 50.5 <= records(tmp_path)[-1]["time_s"] < 60


def test_resume_passes_over_a_torn_line(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "time_s": 1.0}\n{"step": 2, "ti')
    fill(tmp_path, 3, first=2, resume_step=2)
    assert [line["step"] for line in records(tmp_path)] == [1, 3]


def test_a_new_run_begins_a_new_record(tmp_path):
    fill(tmp_path, 10)
    fill(tmp_path, 2)
    assert len(records(tmp_path)) == 2


def test_resume_without_a_record_begins_one(tmp_path):
    fill(tmp_path, 6, first=5, resume_step=5)
    assert [line["step"] for line in records(tmp_path)] == [6]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), np.float32("-inf")])
def test_a_loss_that_is_no_number_stops_the_training(tmp_path, bad):
    sentence = r"d_loss is -?(nan|inf) after 1,234 agent steps"
    with RunLog(tmp_path, 2000, "agent steps") as log, pytest.raises(TrainingDiverged, match=sentence):
        log.log(1234, d_loss=bad)
    assert records(tmp_path)[-1]["d_loss"] is None


def test_plain_lines_when_not_a_terminal(tmp_path, capsys, monkeypatch):
    clock = iter(float(seconds) for seconds in range(0, 10_000, 5))
    monkeypatch.setattr(run_log.time, "perf_counter", lambda: next(clock))
    fill(tmp_path, 10)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert not out
    assert "\x1b" not in err
    assert 3 <= len(lines) < 10  # some lines are left out, the last one is not
    assert lines[-1].startswith("10/100 agent steps")
    assert " left  loss 0.1  episodes 9" in lines[-1]


def test_a_bar_on_a_terminal(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(run_log, "BAR_EVERY_S", 0.0)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    fill(tmp_path, 50)
    drawn = sys.stderr.getvalue()
    assert "━" in drawn
    assert "50/100 agent steps" in drawn
    assert "loss 0.02" in drawn


def test_eta():
    log = RunLog.__new__(RunLog)
    log.total, log.unit, log._step, log._latest = 1000, "steps", 600, {}
    log._seconds_before, log._start_s = 0.0, time.perf_counter() - 60
    log._recent = [(0.0, 500)]
    assert log._status(10.0) == "600/1,000 steps  0:01:00, 0:00:40 left"


def test_log_is_cheap(tmp_path):
    with RunLog(tmp_path, 10**6) as log:
        start = time.perf_counter()
        for step in range(2000):
            log.log(step, loss=0.5, q_mean=1.5, epsilon=0.1, mean_return=3.0)
        assert (time.perf_counter() - start) / 2000 < 0.001  # about 20 microseconds on a quiet core


def test_plot(tmp_path):
    with RunLog(tmp_path, 600) as log:
        for step in range(600):
            log.log(step, d_loss=2 / (1 + step), g_loss=1.0, score=step if step % 3 else float("nan"))
    picture = log.plot(("d_loss", "g_loss"), "score")
    assert picture == tmp_path / "curve.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(picture.read_bytes()) > 10_000


@pytest.mark.parametrize("points", [0, 1, 2])
def test_plot_of_a_short_run(tmp_path, points):
    fill(tmp_path, points)
    assert RunLog(tmp_path, 100, resume_step=100).plot("loss", "never_logged").exists()


def test_the_first_signal_asks_and_the_second_aborts(capsys):
    before = signal.getsignal(signal.SIGINT)
    with interruptible() as stop:
        assert not stop.stop_requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.stop_requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert "Ctrl-C again" in capsys.readouterr().err


def test_interruptible_in_a_thread_does_nothing():
    seen = []

    def work():
        with interruptible() as stop:
            seen.append(stop.stop_requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


TRAINING = """
import sys, time
from shared.training.interrupt import interruptible
from shared.training.run_log import RunLog
with interruptible() as stop, RunLog(sys.argv[1], 10**9) as log:
    for step in range(10**9):
        log.log(step + 1, loss=1.0)
        time.sleep(0.01)
        if stop.stop_requested:
            print("saved", step + 1, flush=True)
            stop.leave()
"""


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    script = tmp_path / "app.py"
    script.write_text(TRAINING)
    command = [sys.executable, str(script), str(tmp_path / "my run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline().startswith("1/1,000,000,000 steps")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out.startswith("saved ")
    assert "Traceback" not in err
    assert err.rstrip().endswith(f"python {script} '{tmp_path / 'my run'}' --resume")
    assert records(tmp_path / "my run")[-1]["step"] == int(out.split()[1])


def test_no_heavy_imports():
    code = (
        "import shared.training.run_log, sys; print([m for m in ('keras', 'matplotlib', 'numpy') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "[]\n"
