"""Random changes to all images that a critic sees, real and generated, so that it cannot memorise the real ones.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", arXiv:2006.10738. The random numbers
are drawn on the host, so that each replica gets its part of one draw.
"""

from __future__ import annotations

from typing import Any, Literal

Policy = Literal["none", "geometry", "all"]
UNIFORMS = 7  # random numbers from 0 to 1 for each image


def augment(images: Any, uniforms: Any, policy: Policy) -> Any:
    """Shift images and cut a square out of them ("geometry"), or change their colours too ("all"); differentiable.

    Args:
        images: floats from -1 to 1, (batch, size, size, 3).
        uniforms: random numbers from 0 to 1, (batch, UNIFORMS).
    """
    if policy == "none":
        return images
    if policy == "all":
        images = _recoloured(images, uniforms[:, 4:])
    return _cut_out(_shifted(images, uniforms), uniforms[:, 2:])


def _recoloured(images: Any, uniforms: Any) -> Any:
    from keras import ops

    brightness, saturation, contrast = (ops.reshape(uniforms[:, n], (-1, 1, 1, 1)) for n in range(3))
    images = images + brightness - 0.5
    grey = ops.mean(images, axis=-1, keepdims=True)
    images = grey + (images - grey) * 2 * saturation
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * (contrast + 0.5)


def _shifted(images: Any, uniforms: Any) -> Any:
    """Shift by up to an eighth of the side, filling with zeros; a product with a shifted unit matrix is fast."""
    from keras import ops

    size = images.shape[1]
    index = ops.arange(size, dtype="float32")

    def vertically(x, uniform):
        by = ops.floor(uniform * (size // 4 + 1)) - size // 8
        matrix = ops.cast(index == index[:, None] + by[:, None, None], x.dtype)  # (batch, size, size)
        return ops.reshape(ops.matmul(matrix, ops.reshape(x, (-1, size, size * 3))), (-1, size, size, 3))

    def transposed(x):
        return ops.transpose(x, (0, 2, 1, 3))

    return transposed(vertically(transposed(vertically(images, uniforms[:, 0])), uniforms[:, 1]))


def _cut_out(images: Any, uniforms: Any) -> Any:
    """Set a square to zero whose side is half that of the image, and which may extend beyond it."""
    from keras import ops

    size = images.shape[1]
    index = ops.arange(size, dtype="float32")

    def stripe(uniform):
        start = ops.floor(uniform * (size + 1))[:, None] - size // 4
        return ops.cast(ops.logical_and(index >= start, index < start + size // 2), images.dtype)

    return images * (1 - stripe(uniforms[:, 0])[:, :, None, None] * stripe(uniforms[:, 1])[:, None, :, None])
