"""MobileNets below a detector: pixels in [-1, 1] in, maps of features at strides of 8, 16 and 32 pixels out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shared.layers.mobilenet import freeze_lower_blocks, mobilenet

if TYPE_CHECKING:
    import keras

FIRST = 24
POINTWISE = (48, 96, 96, 192, 192, 384, 384, 384, 384, 384, 384, 768, 768)  # MobileNetV1 of width 0.75
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
ENDS = (5, 11, 13)  # the last block at each of three strides
V2_ENDS = ("block_6_expand_relu", "block_13_expand_relu", "out_relu")
FROZEN_BLOCKS = 1  # of MobileNetV2: edges and colours are the same in all photos


def convolution(x: Any, filters: int, size: int, name: str, strides: int = 1, dtype: str = "float32") -> Any:
    """Convolve, and cut off below 0 and above 6."""
    from keras import layers

    x = layers.Conv2D(filters, size, strides, padding="same", name=name, dtype=dtype)(x)
    return layers.ReLU(6.0, name=f"{name}_relu", dtype=dtype)(x)


def mobilenet_v1(x: Any, dtype: str) -> list[Any]:
    """MobileNetV1, its batch normalisation part of the weights, as in TensorFlow's published detector."""
    from keras import layers

    x = convolution(x, FIRST, 3, "conv_0", strides=2, dtype=dtype)
    maps = []
    for n, (filters, strides) in enumerate(zip(POINTWISE, STRIDES, strict=True), 1):
        x = layers.DepthwiseConv2D(3, strides, padding="same", name=f"depthwise_{n}", dtype=dtype)(x)
        x = layers.ReLU(6.0, name=f"depthwise_{n}_relu", dtype=dtype)(x)
        x = convolution(x, filters, 1, f"pointwise_{n}", dtype=dtype)
        if n in ENDS:
            maps.append(x)
    return maps


def mobilenet_v2(x: Any) -> list[Any]:
    """MobileNetV2 in float32 (bfloat16 is slower on CPUs), its batch normalisation with the statistics that it has."""
    import keras

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        network = mobilenet(x, pretrained=False)
    finally:
        keras.config.set_dtype_policy(policy)
    freeze_lower_blocks(network, FROZEN_BLOCKS)
    return [network.get_layer(name).output for name in V2_ENDS]


def is_mobilenet_v2(network: keras.Model) -> bool:
    """Whether this is MobileNetV2, or a detector on it."""
    return any(layer.name == V2_ENDS[-1] for layer in network.layers)


def take_over(network: keras.Model, donor: keras.Model | None) -> None:
    """Give a detector the weights that fit; layers for other classes, and those that the donor lacks, begin anew."""
    given = {layer.name: layer.get_weights() for layer in donor.layers} if donor else {}
    for layer in network.layers:
        weights = given.get(layer.name, [])
        if weights and [w.shape for w in weights] == [w.shape for w in layer.get_weights()]:
            layer.set_weights(weights)
        elif layer.name.startswith("class_"):
            kernel, bias = layer.get_weights()
            layer.set_weights([0.1 * kernel, np.full_like(bias, -4.6)])  # one in a hundred (Lin et al. 2017, 3.3)
