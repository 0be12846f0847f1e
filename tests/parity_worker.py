"""Scenarios that must give the same numbers on TensorFlow and on JAX, each backend in one process of its own.

    @scenario  # in tests/scenarios/ANY.py; an app has a file of its own there
    def sum_of_squares():  # a result is JSON
        ...

    def test_it():  # in the tests of what it is about
        assert results("jax")["sum_of_squares"] == ...

`results(backend)` runs every scenario in one subprocess, so that Keras is imported once per backend and test session.
Where several files ask for them, conftest.py starts these processes at once, and the files come last.
By hand: KERAS_BACKEND=jax python -m tests.parity_worker gan
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

BACKENDS = ("tensorflow", "jax")
SCENARIOS: dict[str, Callable[[], Any]] = {}


def scenario(function: Callable[[], Any]) -> Callable[[], Any]:
    """Register a function without arguments, whose result is JSON, under its name."""
    SCENARIOS[function.__name__] = function
    return function


def results(backend: str) -> dict[str, Any]:
    """Every scenario's result on `backend`, or its traceback where it failed. Skips the test without the backend."""
    import pytest

    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    process, said = start()[backend]
    stdout, stderr = said.result(timeout=1200)
    assert process.returncode == 0, stderr
    return json.loads(stdout.splitlines()[-1])


@functools.cache  # a failure, too
def start() -> dict[str, tuple[subprocess.Popen[str], Future[tuple[str, str]]]]:
    """Both processes side by side, each with what it will have said: each mostly keeps one core busy."""
    pool = ThreadPoolExecutor(len(BACKENDS))
    processes = {backend: _process(backend) for backend in BACKENDS if importlib.util.find_spec(backend)}
    return {backend: (process, pool.submit(process.communicate)) for backend, process in processes.items()}


def stop() -> None:
    """End the processes that nobody waits for any more."""
    if start.cache_info().currsize:
        for process, _ in start().values():
            process.kill()


def _process(backend: str) -> subprocess.Popen[str]:
    quick = "--xla_backend_optimization_level=0"  # most of JAX's time would go into making code fast that runs once
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2 {quick}"
    on_cpu = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    env = os.environ | on_cpu | {"KERAS_BACKEND": backend}
    command, root = [sys.executable, "-m", "tests.parity_worker"], Path(__file__).parents[1]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=root, env=env, **pipes)


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
    for module in sorted((Path(__file__).parent / "scenarios").glob("*.py")):
        importlib.import_module(f"tests.scenarios.{module.stem}")
    outcome = {}
    for name in sys.argv[1:] or SCENARIOS:
        try:
            outcome[name] = json.loads(json.dumps(SCENARIOS[name]()))
        except Exception:
            outcome[name] = traceback.format_exc()
    print(json.dumps(outcome))


if __name__ == "__main__":
    from tests import parity_worker  # the module that scenarios register with; this one is called __main__

    parity_worker.main()
