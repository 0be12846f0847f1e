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


def freeze(eyes: keras.Model, blocks: int) -> None:
    """Let what comes after so many blocks learn, but BatchNorm nowhere: its statistics are better than a batch's."""
    import keras

    after = False
    for layer in eyes.layers:
        after = after or blocks == 0 or layer.name.startswith(f"block_{blocks + 1}_") or layer.name == "Conv_1"
        layer.trainable = after and not isinstance(layer, keras.layers.BatchNormalization)
