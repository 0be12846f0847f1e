"""Where a program computes, and how precisely: the seed, the precision, GPU memory and replicas, set up in one place.

    with devices.setup(seed=1, precision="auto", replicas=1) as device:
        print(f"Training on {device.description}")
        model = build()  # models, optimizers and compiled steps belong inside

What a backend would ignore without a word is refused here in a sentence. `python -m shared.training.devices` prints
what there is, and says when there is a GPU that the backend does not see.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.console import held_stderr, say
from shared.errors import UserError, in_range, suggest
from shared.settings import Precision, Training
from shared.training import processes
from shared.training.runtime import import_keras, over_processes

_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX"}
_CPUINFO = Path("/proc/cpuinfo")  # Linux; elsewhere a CPU counts as one without bfloat16


@dataclass(frozen=True)
class Devices:
    """What `setup` chose, for the record of a run."""

    backend: str
    """tensorflow or jax."""
    precision: str
    """The Keras dtype policy: float32 or mixed_bfloat16."""
    replicas: int
    """Copies of the model, each on its own device with its own part of the batch; those of all processes."""
    description: str
    """All of it, with the hardware, in a line for a person."""

    def rows(self, batch: int) -> int:
        """Rows of a batch that a copy of the model is called with: all on JAX, which splits what is computed."""
        return batch // self.replicas if self.backend == "tensorflow" else batch


@contextlib.contextmanager
def training(config: Training) -> Iterator[Devices]:
    """`setup` as the settings of a training ask for it, and a line that says so."""
    with setup(config.seed, config.precision, config.replicas) as device:
        say(f"Training on {device.description}.")
        yield device


@contextlib.contextmanager
def setup(seed: int | None, precision: Precision = "auto", replicas: int = 1) -> Iterator[Devices]:
    """Import Keras, choose precision and replicas for the block, seed every generator (None: leave them random).

    "auto" is mixed_bfloat16 where that is faster: on a GPU of compute capability 8.0 or more, and for TensorFlow on a
    CPU with AVX512-BF16 or AMX. Several replicas are a MirroredStrategy on TensorFlow and DataParallel on JAX; split
    each batch with `steps.shard`. `replicas` counts the devices of each process (`processes.here`).

    Raises:
        UserError: an unknown backend or precision, a seed out of range, or more replicas than devices.
    """
    if precision not in (choices := ("auto", "float32", "mixed_bfloat16")):
        near = suggest(precision, choices) or " Choose auto, float32 or mixed_bfloat16."
        raise UserError(f"precision {precision} is not one of those on offer.{near}")
    if seed is not None:
        in_range("seed", seed, 0, 2**32 - 1)
    keras = import_keras()
    backend = keras.backend.backend()
    if backend not in _NAMES:
        raise UserError(f"the Keras backend is {backend}, and must be tensorflow or jax: set KERAS_BACKEND.")
    with held_stderr():
        devices = _tensorflow_devices() if backend == "tensorflow" else _jax_devices()
    _check_replicas(replicas, devices)
    if precision == "auto":
        precision = "mixed_bfloat16" if _gains_from_bfloat16(backend, devices[0]) else "float32"
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        with _replicated(backend, replicas, devices):
            if seed is not None:
                with held_stderr():  # Keras seeds TensorFlow, too, wherever it is installed: its greeting
                    keras.utils.set_random_seed(seed)
            copies = replicas * processes.here()[1]
            yield Devices(backend, precision, copies, _describe(backend, precision, copies, devices[0]))
    finally:
        keras.config.set_dtype_policy(policy)


# ------------------------------------------------------------------------------------------------- Hardware


@dataclass(frozen=True)
class _Device:
    name: str
    """As the backend calls it."""
    hardware: str
    """As a person calls it."""
    is_cpu: bool
    capability: float = 0.0
    """CUDA compute capability; 0.0 where there is none."""


def _tensorflow_devices() -> list[_Device]:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # already in use, by someone who chose for themselves
            tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        return [_Device(d.name, _cpu(), True) for d in tf.config.list_logical_devices("CPU")]
    details = tf.config.experimental.get_device_details(gpus[0])
    capability = float("{}.{}".format(*details.get("compute_capability", (0, 0))))
    hardware = details.get("device_name", "GPU")
    return [_Device(d.name, hardware, False, capability) for d in tf.config.list_logical_devices("GPU")]


def _jax_devices() -> list[_Device]:
    import jax

    return [
        _Device(
            name=f"{d.platform}:{d.id}",
            hardware=_cpu() if d.platform == "cpu" else d.device_kind,
            is_cpu=d.platform == "cpu",
            capability=_number(getattr(d, "compute_capability", "")),
        )
        for d in jax.local_devices()
    ]


def _number(text: Any) -> float:
    found = re.match(r"\d+(\.\d+)?", str(text))  # an AMD GPU says "gfx90a"
    return float(found[0]) if found else 0.0


def _cpu() -> str:
    found = re.search(r"model name\s*: (.+)", _cpuinfo())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{found[1] if found else platform.machine()} ({cores} {'core' if cores == 1 else 'cores'})"


def _cpuinfo() -> str:
    with contextlib.suppress(OSError):
        return _CPUINFO.read_text()
    return ""


def _gains_from_bfloat16(backend: str, device: _Device) -> bool:
    if not device.is_cpu:
        return device.capability >= 8.0
    # On one and the same CPU the Nature-DQN network gains 1.5 times on TensorFlow and nothing on JAX.
    return backend == "tensorflow" and bool({"avx512_bf16", "amx_bf16"} & set(_cpuinfo().split()))


# ------------------------------------------------------------------------------------------------- Replicas


def _check_replicas(replicas: int, devices: list[_Device]) -> None:
    if not 1 <= replicas <= len(devices):
        most, hardware = len(devices), devices[0].hardware
        raise UserError(
            f"replicas is {replicas}, and must be from 1 to {most}, the devices that are here ({hardware})."
        )


def _replicated(backend: str, replicas: int, devices: list[_Device]) -> contextlib.AbstractContextManager:
    count = processes.here()[1]
    if replicas * count == 1:
        return contextlib.nullcontext()
    if backend == "tensorflow":
        if count == 1:
            return _mirrored(*(device.name for device in devices[:replicas])).scope()
        if replicas > 1:
            raise UserError("several TensorFlow processes take all GPUs of their hosts: leave --replicas out.")
        return over_processes().scope()
    import jax
    import keras

    everybodys = [device for number in range(count) for device in jax.local_devices(number)[:replicas]]
    names = [f"{device.platform}:{device.id}" for device in everybodys]
    return keras.distribution.DataParallel(devices=names, auto_shard_dataset=False).scope()


@functools.cache  # every strategy numbers its reductions from 100: a second one would run into those of the first
def _mirrored(*names: str) -> Any:
    import tensorflow as tf

    with held_stderr():
        return tf.distribute.MirroredStrategy(list(names))


def _describe(backend: str, precision: str, replicas: int, device: _Device) -> str:
    copies = f", {replicas} replicas" if replicas > 1 else ""
    return f"{_NAMES[backend]} on {device.hardware}, {precision}{copies}"


# -------------------------------------------------------------------------------------------------- Report


def report() -> Iterator[str]:
    """What a training here would use, line by line; UserError for an unknown backend."""
    keras = import_keras()
    with setup(None) as chosen:
        backend, python = f"{_NAMES[chosen.backend]} {_version(chosen.backend)}", platform.python_version()
        yield f"Keras {keras.__version__} on {backend}, Python {python}"
        devices = _tensorflow_devices() if chosen.backend == "tensorflow" else _jax_devices()
        for device in devices:
            yield f"  {device.name}: {device.hardware}"
        yield f"--precision auto is {chosen.precision}: {_why(chosen.backend, devices[0])}"
    gpus = _nvidia_gpus()
    for gpu in gpus:
        yield f"The driver has: {gpu}"
    if gpus and devices[0].is_cpu:
        file = "requirements-gpu.txt" if chosen.backend == "tensorflow" else "requirements-jax-gpu.txt"
        yield (
            f"{_NAMES[chosen.backend]} does not see it: pip install -r {file} -c constraints.txt, in an environment "
            "of its own (on Linux or in WSL2), and try again."
        )


def _version(backend: str) -> str:
    from importlib.metadata import version

    return version(backend)


def _why(backend: str, device: _Device) -> str:
    gains = _gains_from_bfloat16(backend, device)
    if device.is_cpu:
        has = {"avx512_bf16", "amx_bf16"} & set(_cpuinfo().split())
        if has and not gains:
            return "JAX gains nothing from the processor's bfloat16"
        return f"the processor has {', '.join(sorted(has))}" if has else "the processor has no bfloat16"
    return f"compute capability {device.capability:.1f}, and bfloat16 is fast from 8.0 on"


def _nvidia_gpus() -> list[str]:
    """Name, memory and driver of each GPU that NVIDIA's driver knows; none without the driver."""
    words = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in found.splitlines() if line.strip()]


if __name__ == "__main__":
    try:
        for line in report():
            print(line)
    except UserError as error:
        sys.exit(f"{error}")
