"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) as an encoder of photos, with ImageNet's weights or without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shared.files import downloading
from shared.training.runtime import import_keras

if TYPE_CHECKING:
    import keras


def imagenet_weights() -> list[np.ndarray]:
    """Of MobileNetV2, which Keras downloads once; the last two are the classes'. UserError without a network."""
    keras = import_keras()
    with downloading("MobileNetV2's ImageNet weights"):
        return keras.applications.MobileNetV2(weights="imagenet").get_weights()


def mobilenet(photo: Any, pretrained: bool) -> keras.Model:
    """MobileNetV2 without its classes on a Keras tensor, RGB in [-1, 1]; with ImageNet's weights or random ones."""
    keras = import_keras()
    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_tensor=photo)
    if pretrained:
        network.set_weights(imagenet_weights()[: len(network.weights)])
    return network


def freeze_lower_blocks(network: keras.Model, blocks: int) -> None:
    """Freeze the first so many of the 16 blocks, and all BatchNorm: its statistics are better than those of a batch."""
    import keras

    frozen = blocks > 0
    for layer in network.layers:
        if layer.name.startswith(f"block_{blocks + 1}_") or layer.name == "Conv_1":
            frozen = False
        layer.trainable = not frozen and not isinstance(layer, keras.layers.BatchNormalization)
