"""A mixture density for where a pen goes next: Gaussians over the place, and two chances.

A layer gives 6 M + 2 numbers for each step: of M bivariate Gaussians the weights, the means, the standard deviations
and the correlations, and then the chances that a stroke ends here, and that all is written. The first is Graves 2013,
"Generating sequences with recurrent neural networks", arXiv:1308.0850, equations 18 to 26; the last one is ours.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from keras import ops

from shared.decoding.sampling import draw

LEAST_LOG_SIGMA = -4.0  # narrower Gaussians would make the density of whole numbers as high as one likes


class Density(NamedTuple):
    """Gaussians and chances of each step."""

    log_weights: Any
    """(..., M)"""
    means: Any
    """(..., M, 2): x and y."""
    log_sigmas: Any
    """(..., M, 2)"""
    correlation: Any
    """(..., M), from -1 to 1."""
    end_logit: Any
    """(...): of the chance that the stroke ends at this point."""
    finished_logit: Any
    """(...): of the chance that this is the last point."""


def numbers_of(gaussians: int) -> int:
    """How many numbers a step has."""
    return 6 * gaussians + 2


def density(numbers: Any, bias: Any = 0.0) -> Density:
    """The density that (..., 6 M + 2) numbers mean.

    A `bias` above zero makes it narrower and neater (equations 61 and 62).
    """
    numbers = ops.cast(numbers, "float32")
    count = (numbers.shape[-1] - 2) // 6
    weights, x, y, sigma_x, sigma_y, correlation, chances = ops.split(
        numbers, [n * count for n in range(1, 7)], axis=-1
    )
    log_sigmas = ops.stack([sigma_x, sigma_y], axis=-1) - bias
    return Density(
        log_weights=ops.log_softmax(weights * (1 + bias), axis=-1),
        means=ops.stack([x, y], axis=-1),
        log_sigmas=ops.maximum(log_sigmas, LEAST_LOG_SIGMA),
        correlation=0.95 * ops.tanh(correlation),
        end_logit=chances[..., 0],
        finished_logit=chances[..., 1],
    )


def place_nats(found: Density, place: Any) -> Any:
    """Minus the logarithm of the density at places (..., 2): (...)."""
    off = (ops.expand_dims(place, -2) - found.means) * ops.exp(-found.log_sigmas)  # (..., M, 2), in sigmas
    x, y, r = off[..., 0], off[..., 1], found.correlation
    rest = 1 - ops.square(r)
    power = (ops.square(x) + ops.square(y) - 2 * r * x * y) / (2 * rest)
    log_area = math.log(2 * math.pi) + ops.sum(found.log_sigmas, axis=-1) + 0.5 * ops.log(rest)
    return -ops.logsumexp(found.log_weights - log_area - power, axis=-1)


def chance_nats(logit: Any, happened: Any) -> Any:
    """Minus the logarithm of the chance of what happened, 1, or did not, 0."""
    return ops.softplus(logit) - happened * logit


def drawn(found: Density, uniform: Any, normal: Any) -> Any:
    """Places (..., 2) drawn from the density, with the help of uniform (...) and normal (..., 2) random numbers."""
    one = ops.one_hot(draw(ops.exp(found.log_weights), uniform), found.log_weights.shape[-1])  # (..., M)
    means = ops.sum(ops.expand_dims(one, -1) * found.means, axis=-2)
    sigmas = ops.exp(ops.sum(ops.expand_dims(one, -1) * found.log_sigmas, axis=-2))
    r = ops.sum(one * found.correlation, axis=-1)
    x = normal[..., 0]
    y = r * x + ops.sqrt(1 - ops.square(r)) * normal[..., 1]
    return means + sigmas * ops.stack([x, y], axis=-1)
