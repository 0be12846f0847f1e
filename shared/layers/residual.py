"""A residual block of convolutions."""

from __future__ import annotations

from typing import Any


def residual(x: Any) -> Any:
    """Add what three convolutions through half of the channels find; nothing at first (arXiv:1901.09321)."""
    from keras import layers

    channels, y = x.shape[-1], x
    for size in (1, 3):
        y = layers.Conv2D(channels // 2, size, padding="same", kernel_initializer="he_normal")(y)
        y = layers.LeakyReLU(0.2)(y)
    return layers.Add()([x, layers.Conv2D(channels, 1, kernel_initializer="zeros")(y)])
