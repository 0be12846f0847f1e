"""The weights of a published TensorFlow Lite file, read through TensorFlow's own interpreter."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from shared.errors import UserError

LARGEST = 256 << 20  # bytes


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors that the file holds, by name, float32: quantised ones as what they stand for.

    UserError if it is no such file, or TensorFlow is not installed.
    """
    try:
        content = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.") from error
    if content[4:8] != b"TFL3":  # the identifier of the format
        raise UserError(f"{path} is no TensorFlow Lite file: give a .tflite file.")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise UserError("TensorFlow is needed to read a .tflite file: pip install tensorflow.") from error
    try:
        with warnings.catch_warnings(action="ignore"):  # TensorFlow 2.21 says that another package will have it
            interpreter = tf.lite.Interpreter(model_content=content)
        details = interpreter.get_tensor_details()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{path} is damaged: fetch it again.") from error
    found = {}
    for detail in details:
        try:
            values = interpreter.get_tensor(detail["index"])
        except ValueError:  # of what is computed, and not kept
            continue
        scales = detail["quantization_parameters"]["scales"]
        zeros = detail["quantization_parameters"]["zero_points"]
        number = values.astype(np.float32)
        found[detail["name"]] = (number - zeros[0]) * scales[0] if len(scales) == 1 else number
    return found
