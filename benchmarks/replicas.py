"""One device, two replicas, two processes: does every training learn the same?

    python benchmarks/replicas.py                          every app on both backends: about half an hour on 2 cores
    python benchmarks/replicas.py --only digits --backends jax

The trainings are the toys of the tests (tests/apps/toys/), in float32, without dropout and other noise that is drawn
while a step is computed: replicas draw the same noise, each for its part of the batch, so that with it they agree in
distribution only. The devices are two parts of one CPU. Printed is the largest difference of a loss from the one-device
training's, relative to it, over all lines of both records, and the seconds that each took, imports included.

Two processes are killed once, at a random line of the record, and go on by --resume (the last column).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from shared import cli
from shared.console import say
from shared.settings import Range, Settings

ROOT = Path(__file__).resolve().parent.parent
WAYS = {"one": (1, 1), "replicas": (1, 2), "processes": (2, 1)}  # processes, replicas


@dataclass
class Compare(Settings):
    """Train every toy on one device, on two replicas and in two processes, and compare the records."""

    only: tuple[str, ...] = ()
    """These apps alone."""
    backends: tuple[str, ...] = ("tensorflow", "jax")
    """Keras backends."""
    ways: tuple[str, ...] = ("replicas", "processes", "killed")
    """What to compare with one device: replicas, processes, killed."""
    limit: Annotated[float, Range(1, 36_000)] = 600.0
    """Seconds that a training may take."""


def learners() -> list[str]:
    """The apps that train."""
    from tests.apps.command import APPS, Command

    return [app for app in APPS if "train" in Command(app).verbs]


def words_of(app: str, folder: Path) -> list[str]:
    """The command of the app's toy, its data made in the folder."""
    from tests.apps.toy import toy_of

    toy = toy_of(app)
    words = [str(word) for word in [*toy.data(folder / "data"), *toy.train.split()]]
    if "--batch" in words:  # an even one
        place = words.index("--batch") + 1
        words[place] = str(int(words[place]) + int(words[place]) % 2)
    return words


def environment(backend: str) -> dict[str, str]:
    """Of a training on two logical CPU devices."""
    flags = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    on_cpu = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "ARCADE_TOY": "1"}
    return os.environ | on_cpu | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}


def start(app: str, words: list[str], run: Path, backend: str, way: str) -> subprocess.Popen:
    """The training, begun."""
    processes, replicas = WAYS[way]
    child = [__file__, "child", "--app", app, "--words", json.dumps([*words, "--run", str(run)])]
    command = [sys.executable, *child]
    if processes > 1:
        command = [sys.executable, "-m", "shared.training.launch", "--processes", str(processes), *child]
    if replicas > 1:
        child[-1] = json.dumps([*words, "--run", str(run), "--replicas", str(replicas)])
        command = [sys.executable, *child]
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment(backend), start_new_session=True, **pipes)


def finish(process: subprocess.Popen, limit: float, split: bool = True) -> str:
    """Wait for a training; what it died of, in a line, or nothing."""
    try:
        _, said = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"not done after {limit:.0f} s"
    lines = [line for line in said.splitlines() if line.strip()]
    if process.returncode:
        return (lines or ["no word"])[-1]
    return "" if not split or any("2 replicas" in line for line in lines) else "nothing was split"


def record(run: Path) -> list[dict[str, Any]]:
    """The lines of a training's record; a second stage's come after the first's."""
    files = sorted(run.rglob("metrics.jsonl"), key=lambda file: len(file.parts))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def difference(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    """The largest relative difference of a loss, or why there is none."""
    if [line["step"] for line in ours] != [line["step"] for line in theirs]:
        return "other steps"
    pairs = [
        (line[name], other.get(name))
        for line, other in zip(ours, theirs, strict=True)
        for name in line
        if name.endswith("loss") and line[name] is not None
    ]
    if not pairs or any(b is None for _, b in pairs):
        return "no losses"
    return f"{max(abs(a - b) / max(abs(b), 1e-9) for a, b in pairs):.0e}"


def kill_once(process: subprocess.Popen, run: Path, lines: int, limit: float) -> bool:
    """Kill one of two processes when the record has so many lines; whether the launcher ended within two minutes."""
    until = time.monotonic() + limit
    while time.monotonic() < until and process.poll() is None:
        if len(record(run)) >= lines:
            break
        time.sleep(0.02)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    if process.poll() is None and children:
        os.kill(int(children[-1]), signal.SIGKILL)
    try:
        process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return False
    return True


def row(app: str, backend: str, config: Compare, folder: Path) -> str:
    """One line of the table."""
    words, cells = words_of(app, folder), []
    began_s = time.perf_counter()
    if why := finish(start(app, words, folder / "one", backend, "one"), config.limit, split=False):
        return f"{app:18}{backend:12}{why}"
    one, took = record(folder / "one"), time.perf_counter() - began_s
    cells.append(f"{len(one):6}{took:7.0f}")
    for way in config.ways:
        began_s = time.perf_counter()
        if way == "killed":
            launched = start(app, words, folder / way, backend, "processes")
            in_time = kill_once(
                launched, folder / way, random.Random(app).randint(1, max(len(one) - 1, 1)), config.limit
            )
            resumed = [*words, "--resume"] if (folder / way / "metrics.jsonl").exists() else words
            why = finish(start(app, resumed, folder / way, backend, "processes"), config.limit)
            why = why or ("" if in_time else "not ended in 120 s")
        else:
            why = finish(start(app, words, folder / way, backend, way), config.limit)
        found = why or difference(record(folder / way), one)
        cells.append(f"{found:>12.60}{time.perf_counter() - began_s:6.0f}")
    return f"{app:18}{backend:12}" + "".join(cells)


def compare(config: Compare) -> None:
    """Print the table."""
    print(f"{'':30}{'lines':>6}{'s':>7}" + "".join(f"{way:>12}{'s':>6}" for way in config.ways), flush=True)
    for app in config.only or learners():
        for backend in config.backends:
            folder = Path(tempfile.mkdtemp())
            try:
                print(row(app, backend, config, folder), flush=True)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    say("A difference is the largest of a loss, relative to the training on one device.")


@dataclass
class Child(Settings):
    """One training of a toy; for this program's own use."""

    app: str
    """Its name."""
    words: str
    """Its command, as JSON."""


def child(config: Child) -> None:
    """Train a toy without noise, on two logical devices."""
    import pytest

    from shared.training.runtime import import_keras
    from tests.apps.command import Command
    from tests.apps.toy import toy_of

    if os.environ["KERAS_BACKEND"] == "tensorflow" and "TF_CONFIG" not in os.environ:
        import tensorflow as tf

        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
    keras = import_keras()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.src.backend.random, "dropout", lambda inputs, *rest, **more: inputs)
        patch.setattr(keras.random, "dropout", lambda inputs, *rest, **more: inputs)
        patch.setattr(keras.random, "uniform", lambda shape, *rest, **more: keras.ops.full(shape, 0.5))
        toy_of(config.app).shrink(patch)
        code = Command(config.app).main("train", *json.loads(config.words), "--precision", "float32")
    sys.exit(code)


if __name__ == "__main__":
    cli.run(__doc__, compare, {"child": child})
