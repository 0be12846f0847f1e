"""Scenarios that must give the same numbers on TensorFlow and on JAX, each backend in one process of its own.

    @scenario  # in tests/scenarios/ANY.py; an app has a file of its own there
    def sum_of_squares():  # a result is JSON
        ...

    def test_it(results):  # in the tests of what it is about
        tensorflow, jax = results("sum_of_squares")

One process a backend runs every scenario that a test asks for, so that Keras is imported once per backend and session.
conftest.py starts both as soon as it knows the tests; pytest-xdist's workers wait for the files that they leave.
By hand: KERAS_BACKEND=jax python -m tests.parity_worker gan
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from shared.files import write_atomically

BACKENDS = ("tensorflow", "jax")
HERE = Path(__file__).parent
FOLDER = "ARCADE_SCENARIOS"  # the variable that names it
SCENARIOS: dict[str, Callable[[], Any]] = {}
# Most of JAX's time would go into making code fast that runs once: with these, two thirds of it are saved.
QUICK_JAX = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)


def scenario(function: Callable[[], Any]) -> Callable[[], Any]:
    """Register a function without arguments, whose result is JSON, under its name."""
    SCENARIOS[function.__name__] = function
    return function


def result(backend: str, name: str) -> Any:
    """What a scenario gave on `backend`; an error there fails here, with its traceback."""
    import pytest

    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    outcome = _outcome(backend)[name]
    assert "traceback" not in outcome, outcome["traceback"]
    return outcome["result"]


@functools.cache
def _outcome(backend: str) -> dict[str, Any]:
    file, deadline_s = Path(os.environ[FOLDER], f"{backend}.json"), time.monotonic() + 1200
    while not file.exists():
        assert time.monotonic() < deadline_s, f"the scenarios on {backend} take too long"
        time.sleep(0.1)
    code, stdout, stderr = json.loads(file.read_text(encoding="utf-8"))
    assert code == 0, stderr
    return json.loads(stdout.splitlines()[-1])


def share_a_folder() -> contextlib.AbstractContextManager[str]:
    """Where the processes leave what they said, for this test session and its workers, who inherit the variable."""
    folder = tempfile.TemporaryDirectory()
    os.environ[FOLDER] = folder.name
    return folder


def start(tests: Iterable[Path]) -> None:
    """Both processes side by side, with the scenarios that these files name. They do not outlive this process."""
    scenarios = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("scenarios/*.py"))
    asked = "".join(path.read_text(encoding="utf-8") for path in tests)
    names = [name for name in re.findall(r"@scenario\ndef (\w+)", scenarios) if f'"{name}"' in asked]
    for backend in BACKENDS if names else ():
        if importlib.util.find_spec(backend):
            process = _process(backend, names)
            atexit.register(process.kill)
            threading.Thread(target=_wait_for, args=(process, backend), daemon=True).start()


def _wait_for(process: subprocess.Popen[str], backend: str) -> None:
    said = process.communicate()
    with contextlib.suppress(FileNotFoundError), write_atomically(Path(os.environ[FOLDER], f"{backend}.json")) as file:
        file.write_text(json.dumps([process.returncode, *said]), encoding="utf-8")


def _process(backend: str, names: list[str]) -> subprocess.Popen[str]:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2 {QUICK_JAX}"
    on_cpu = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    env = os.environ | on_cpu | {"KERAS_BACKEND": backend}
    command = [sys.executable, "-m", "tests.parity_worker", *names]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=HERE.parent, env=env, **pipes)


# ------------------------------------------------------------------------------------------------ Materials


def build(model: Any, seed: int = 0) -> Any:
    """Give `model` weights that do not depend on the backend."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    return model


def data(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal noise that does not depend on the backend."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numbers(variables: list) -> list[float]:
    """A fingerprint of variables: the sum and the sum of squares of each."""
    arrays = [np.asarray(v.numpy(), "float64") for v in variables]
    return [float(f(a)) for a in arrays for f in (np.sum, lambda a: np.sum(a * a))]


def message(function: Callable[[], Any]) -> str:
    """The error that `function()` must raise, as "Type: sentence"."""
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError("no error was raised")


def main() -> None:
    """Run the scenarios named on the command line (default: all) and print {name: result} as one line of JSON."""
    if hasattr(os, "nice"):
        os.nice(5)  # the tests that run meanwhile go first: some of them look at the clock
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
        )
    from shared.training.runtime import import_keras

    import_keras()
    warnings.filterwarnings("error", module=r"(apps|shared|tests)\.")
    for module in sorted(HERE.glob("scenarios/*.py")):
        importlib.import_module(f"tests.scenarios.{module.stem}")
    outcome = {}
    for name in sys.argv[1:] or SCENARIOS:
        try:
            outcome[name] = {"result": json.loads(json.dumps(SCENARIOS[name]()))}
        except Exception:
            outcome[name] = {"traceback": traceback.format_exc()}
    print(json.dumps(outcome))


if __name__ == "__main__":
    from tests import parity_worker  # the module that scenarios register with; this one is called __main__

    parity_worker.main()
