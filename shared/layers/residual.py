"""A residual block of three convolutions (a bottleneck), without normalisation."""

from __future__ import annotations

from typing import Any


def residual(x: Any) -> Any:
    """Add to x a function of it: three convolutions with half of the channels between them.

    The last one begins with zeros, so that the block is the identity at first (Zhang et al. 2019, arXiv:1901.09321).
    """
    from keras import layers

    channels = x.shape[-1]
    y = x
    for size in (1, 3):
        y = layers.Conv2D(channels // 2, size, padding="same", kernel_initializer="he_normal")(y)
        y = layers.LeakyReLU(0.2)(y)
    return layers.Add()([x, layers.Conv2D(channels, 1, kernel_initializer="zeros")(y)])
