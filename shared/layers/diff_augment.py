"""Random changes to what a critic sees, of photos and of paintings alike, so that it cannot learn the photos by heart.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", arXiv:2006.10738. The dice come from
the host, so that replicas get their share of one throw.
"""

from __future__ import annotations

from typing import Any, Literal

Policy = Literal["none", "geometry", "all"]
DICE = 7  # numbers from 0 to 1 for each image


def augment(images: Any, dice: Any, policy: Policy) -> Any:
    """Shift and partly cover images ("geometry"), or recolour them too ("all"); differentiable.

    Args:
        images: floats from -1 to 1, (batch, size, size, 3).
        dice: uniform from 0 to 1, (batch, DICE).
    """
    if policy == "none":
        return images
    return _covered(_shifted(images if policy == "geometry" else _recoloured(images, dice[:, 4:]), dice), dice[:, 2:])


def _recoloured(images: Any, dice: Any) -> Any:
    from keras import ops

    light, saturation, contrast = (ops.reshape(dice[:, n], (-1, 1, 1, 1)) for n in range(3))
    images = images + light - 0.5
    grey = ops.mean(images, axis=-1, keepdims=True)
    images = grey + (images - grey) * 2 * saturation
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * (contrast + 0.5)


def _shifted(images: Any, dice: Any) -> Any:
    """By up to an eighth of the side, zeros moving in. A product with a shifted unit matrix is fast on every device."""
    from keras import ops

    size = images.shape[1]
    place = ops.arange(size, dtype="float32")

    def along_rows(x, chance):
        by = ops.floor(chance * (size // 4 + 1)) - size // 8
        matrix = ops.cast(place == place[:, None] + by[:, None, None], x.dtype)  # (batch, size, size)
        return ops.reshape(ops.matmul(matrix, ops.reshape(x, (-1, size, size * 3))), (-1, size, size, 3))

    def turned(x):
        return ops.transpose(x, (0, 2, 1, 3))

    return turned(along_rows(turned(along_rows(images, dice[:, 0])), dice[:, 1]))


def _covered(images: Any, dice: Any) -> Any:
    """A square of half the side, which may stick out, becomes zero."""
    from keras import ops

    size = images.shape[1]
    place = ops.arange(size, dtype="float32")

    def stripe(chance):
        start = ops.floor(chance * (size + 1))[:, None] - size // 4
        return ops.cast(ops.logical_and(place >= start, place < start + size // 2), images.dtype)

    return images * (1 - stripe(dice[:, 0])[:, :, None, None] * stripe(dice[:, 1])[:, None, :, None])
