"""TensorFlow's published detector of COCO's classes, set into our network: SSD on MobileNetV1 of width 0.75.

coco_ssd_mobilenet_v1_1.0_quant, 2018-06-29, from the TensorFlow detection model zoo (Apache-2.0). It is quantised to 8
bits; its batch normalisation is part of the weights.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared.errors import UserError
from shared.training.tflite import read_tensors

if TYPE_CHECKING:
    import keras

# fmt: off
PLACES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "???", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "???", "backpack", "umbrella", "???", "???", "handbag", "tie",
    "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove",
    "skateboard", "surfboard", "tennis racket", "bottle", "???", "wine glass", "cup", "fork", "knife", "spoon",
    "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake",
    "chair", "couch", "potted plant", "bed", "???", "dining table", "???", "???", "toilet", "???", "tv", "laptop",
    "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "???",
    "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)
# fmt: on
"""COCO's 90 places for classes, from 1; ten of them, ???, are empty."""
CLASSES = tuple(name for name in PLACES if name != "???")
ROWS = np.array([n for n, name in enumerate(PLACES, 1) if name != "???"])
"""Where each class is in the published outputs, of which the first is the background."""
BASE, EXTRA = "FeatureExtractor/MobilenetV1/", "FeatureExtractor/MobilenetV1/Conv2d_13_pointwise_"
QUANTISED = "weights_quant/FakeQuantWithMinMaxVars"


def set_published_weights(network: keras.Model, path: Path) -> None:
    """Set the weights of a .tflite file into a network for CLASSES; UserError if it is another detector."""
    tensors = read_tensors(path)
    try:
        for layer in network.layers:
            if layer.weights:
                kernel, bias = (_one(tensors, pattern) for pattern in _names(layer.name))
                kernel = kernel.transpose(1, 2, 3, 0)  # (out, height, width, in) -> (height, width, in, out)
                if layer.name.startswith("class_"):
                    kernel, bias = _real_classes(kernel, bias)
                layer.set_weights([kernel, bias])
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is not TensorFlow's published SSD detector: {error}.") from error


def _names(layer: str) -> tuple[str, str]:
    """Patterns of the published names of a layer's kernel and bias."""
    kind, n = layer.split("_")
    if kind == "conv":
        return rf"{BASE}MobilenetV1/Conv2d_0/{QUANTISED}", rf"{BASE}MobilenetV1/Conv2d_0/Conv2D_Fold_bias"
    if kind in ("depthwise", "pointwise"):
        stem = f"{BASE}MobilenetV1/Conv2d_{n}_{kind}"
        return f"{stem}/{QUANTISED}", f"{stem}/{'depthwise' if kind == 'depthwise' else 'Conv2D'}_Fold_bias"
    if kind in ("reduce", "extra"):
        stem = f"{EXTRA}1_Conv2d_{n}_1x1" if kind == "reduce" else f"{EXTRA}2_Conv2d_{n}_3x3_s2"
        return rf"{stem}_\d+/{QUANTISED}", rf"{stem}_\d+/Conv2D_Fold_bias"
    stem = f"BoxPredictor_{n}/{'BoxEncoding' if kind == 'box' else 'Class'}Predictor"
    return f"{stem}/{QUANTISED}", f"{stem}/Conv2D_bias"


def _one(tensors: dict[str, np.ndarray], pattern: str) -> np.ndarray:
    found = [name for name in tensors if re.fullmatch(pattern, name)]
    if len(found) != 1:
        raise KeyError(f"it has no tensor {pattern}")
    return tensors[found[0]]


def _real_classes(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without the background, which a sigmoid for each class does not need, and without the empty places."""
    inputs, places = kernel.shape[2], len(PLACES) + 1
    kernel = kernel.reshape(1, 1, inputs, -1, places)[..., ROWS].reshape(1, 1, inputs, -1)
    return kernel, bias.reshape(-1, places)[:, ROWS].ravel()
