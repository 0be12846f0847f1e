"""Keras itself: which backend, imported once, quietly."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from shared.console import held_stderr, loading
from shared.errors import UserError, suggest
from shared.training import processes

_PACKAGES = {"tensorflow": "requirements.txt", "jax": "requirements-jax.txt"}  # backend -> who installs its package


def backend_name() -> str:
    """The Keras backend that KERAS_BACKEND, or else keras.json, chooses, without importing Keras."""
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    try:
        chosen = json.loads((home / "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        chosen = None
    return os.environ.get("KERAS_BACKEND") or chosen or "tensorflow"


def import_keras() -> ModuleType:
    """Import Keras and wake its backend, once, saying so at once; what they print on stderr is held back.

    The one place where Keras is first imported. The backend's memory options are set here because they count only
    before its first operation, which also runs here: the backend's greeting ends with it. UserError for a backend
    that is unknown or not installed.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    backend = backend_name()
    if backend not in _PACKAGES:
        known = " or ".join(_PACKAGES)
        raise UserError(f"KERAS_BACKEND is {backend}, and must be {known}.{suggest(backend, _PACKAGES)}")
    for package, source in (("keras", "requirements.txt"), (backend, _PACKAGES[backend])):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"{package} is not installed: run `pip install -r {source}`.")
    loading(f"Keras ({backend})")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # leave the rest of the GPU's memory to others
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the same, for JAX
    with held_stderr():
        import keras

        if processes.here()[1] > 1:  # before the first operation
            keras.distribution.initialize() if backend == "jax" else over_processes()
        keras.ops.add(1.0, 1.0)
    return keras


@functools.cache
def over_processes() -> Any:
    """TensorFlow's strategy for the processes that TF_CONFIG names."""
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()
