"""Several processes: who is who, whose files count, and what is said when one dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from shared.errors import UserError
from shared.training import launch, processes
from shared.training.interrupt import interruptible

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("variables", "who"),
    [
        ({}, (0, 1)),
        ({"KERAS_DISTRIBUTION_NUM_PROCESSES": "4", "KERAS_DISTRIBUTION_PROCESS_ID": "2"}, (2, 4)),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'}, (1, 2)),
        ({"TF_CONFIG": "{}"}, (0, 1)),
    ],
)
def test_who_this_process_is(monkeypatch, variables, who):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert processes.here() == who


@pytest.mark.parametrize(
    "variables",
    [
        {"KERAS_DISTRIBUTION_NUM_PROCESSES": "two"},
        {"KERAS_DISTRIBUTION_NUM_PROCESSES": "2"},
        {"KERAS_DISTRIBUTION_NUM_PROCESSES": "2", "KERAS_DISTRIBUTION_PROCESS_ID": "2"},
        {"TF_CONFIG": "worker"},
        {"TF_CONFIG": "[]"},
    ],
)
def test_variables_that_make_no_sense(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError):
        processes.here()


def test_the_launcher_tells_both_backends(monkeypatch):
    for number in range(2):
        told = launch.environment(number, 2, ["127.0.0.1:5", "127.0.0.1:6"])
        assert told["KERAS_DISTRIBUTION_JOB_ADDRESSES"] == "127.0.0.1:5"
        assert json.loads(told["TF_CONFIG"])["task"]["index"] == number
        monkeypatch.setattr(os, "environ", told)
        assert processes.here() == (number, 2)


def test_others_write_where_nobody_reads(monkeypatch, tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text("{}")
    (tmp_path / "run" / ".tmp-half").write_text("")
    assert processes.own_folder(tmp_path / "run") == tmp_path / "run"
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "1")
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    own = processes.own_folder(tmp_path / "run")
    assert own != tmp_path / "run"
    assert sorted(path.name for path in own.iterdir()) == ["checkpoints", "run.json"]


@pytest.mark.parametrize(
    "words", ["apps/x.py train", "--processes 2", "--processes 0 x", "--processes 2 --process 0 x",
              "--processes 2 --address a:1 x", "--processes 2 --process 2 --address a:1 x"]
)  # fmt: skip
def test_wrong_words_are_refused(words, capsys):
    with pytest.raises(SystemExit) as end:
        launch.arguments(words.split())
    assert end.value.code == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("ends", "code", "says"),
    [
        ("pass", 0, ""),
        ("sys.exit(2)", 2, ""),
        ("sys.exit(1)", 1, "Process 1 died (exit code 1), and the others were ended. Go on with --resume."),
        ("os.kill(os.getpid(), 9)", 1, "Process 1 died (SIGKILL), and the others were ended. Go on with --resume."),
    ],
)
def test_when_one_ends_all_end(monkeypatch, capfd, ends, code, says):
    monkeypatch.setattr(launch, "LEAVE_S", 0.1)
    waits, leaves = "import time; time.sleep(60)", f"import os, sys; {ends}"
    started = {n: subprocess.Popen([sys.executable, "-c", words]) for n, words in enumerate((waits, leaves))}
    assert launch.watch(started) == code
    assert started[0].returncode == -signal.SIGKILL
    assert capfd.readouterr().err.strip() == says


def test_only_the_first_process_heeds_an_interruption(monkeypatch):
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    for number in ("0", "1"):
        monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", number)
        with interruptible() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.stop_requested == (number == "0")


TRAINING = """
    import os
    import sys
    import time
    from pathlib import Path
    import numpy as np
    from shared import settings
    from shared.training import devices, fit_loop, processes
    from shared.training.optimizers import adamw

    asked = {"run": Path(sys.argv[1]), "resume": "--resume" in sys.argv, "precision": "float32"}
    config = settings.resumed(settings.Training(**asked))
    with devices.training(config):
        import keras
        network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        network.compile(adamw(40, 0.1), "mse")
        rows = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")

        def batches(epoch):
            while True:
                time.sleep(0.2 * ("slowly" in sys.argv))
                yield rows, rows.sum(axis=1, keepdims=True)

        def validate():
            if "die" in sys.argv and network.optimizer.iterations > 15 and processes.here()[0] == 1:
                os.kill(os.getpid(), 9)
            return float(np.sum(network.get_weights()[0]))

        fit_loop.fit(network, batches, validate, lambda *_: print("best", flush=True), config.run, epochs=4, steps=10,
                     metric="sum", resume=config.resume)
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_are_interrupted_one_dies_and_both_go_on(tmp_path):
    script = tmp_path / "training.py"
    script.write_text(textwrap.dedent(TRAINING))
    environment = {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"}

    def run(*words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, *words]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=120)

    alone = run(str(script), str(tmp_path / "one"))
    assert alone.returncode == 0, alone.stderr
    together = ["-m", "shared.training.launch", "--processes", "2", str(script), str(tmp_path / "two")]
    (tmp_path / "two").mkdir()
    record, settings_file = tmp_path / "two" / "metrics.jsonl", tmp_path / "two" / "run.json"
    begun = subprocess.Popen(
        [sys.executable, *together, "slowly"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        start_new_session=True,
    )
    until = time.monotonic() + 100
    while not (record.is_file() and record.read_text()) and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(begun.pid, signal.SIGINT)  # Ctrl-C, at a terminal
    _, said = begun.communicate(timeout=60)
    assert begun.returncode == 130, said
    assert "--resume" in said
    settings_file.write_text(json.dumps({"run": str(tmp_path / "two"), "precision": "float32"}))
    died = run(*together, "--resume", "die")
    assert died.returncode == 1, died.stderr
    assert "Process 1 died (SIGKILL), and the others were ended. Go on with --resume." in died.stderr
    both = run(*together, "--resume")
    assert both.returncode == 0, both.stderr
    assert "2 replicas" in both.stderr
    records = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    assert [line["step"] for line in records[1]] == [line["step"] for line in records[0]]
    for ours, theirs in zip(*records, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4, abs=1e-6)
        assert ours.get("sum", 0) == pytest.approx(theirs.get("sum", 0), rel=1e-4)
