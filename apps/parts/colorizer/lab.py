"""sRGB to CIELAB (white D65, observer of 2 degrees) and back, in float32.

Lightness L is 0..100; a (green to red) and b (blue to yellow) are roughly -110..110. Not every (L, a, b) is a colour
that a screen can show: `within_gamut` keeps lightness and hue, and lowers the chroma, sqrt(a^2 + b^2), until it is.

The numbers are those of skimage.color to 0.01. It is not used because it takes 2 to 12 times as long, most for the
lightness alone, and half a second to import: benchmarks/lab_speed.py measures both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

Planes = tuple[np.ndarray, np.ndarray]  # a and b, float32 of one shape

_WHITE = np.array([0.95047, 1.0, 1.08883])
_XYZ_OF_RGB = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_RELATIVE = (_XYZ_OF_RGB / _WHITE[:, None]).astype(np.float32)  # linear RGB -> XYZ as a share of the white's
_BACK = np.linalg.inv(_XYZ_OF_RGB / _WHITE[:, None]).astype(np.float32)
_KNEE, _SLOPE, _OFFSET = 0.008856, 7.787, 16 / 116  # below the knee the cube root is a straight line

_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
_STEPS = 1 << 14  # of linear light: a fifth of a grey level where the curve is steepest
_LIGHT = np.arange(_STEPS + 1) / _STEPS
_ENCODED = np.where(_LIGHT <= 0.0031308, 12.92 * _LIGHT, 1.055 * _LIGHT ** (1 / 2.4) - 0.055)
_ENCODED = np.rint(255 * _ENCODED).astype(np.uint8)

_LIGHTNESSES, _HUES = 4 * 100 + 1, 256  # rows and columns of the table of the gamut


def lightness(rgb: np.ndarray) -> np.ndarray:
    """L, float32 (...), of uint8 sRGB (..., 3)."""
    return np.float32(116) * _root(_channel(rgb, 1)) - np.float32(16)


def from_rgb(rgb: np.ndarray) -> tuple[np.ndarray, Planes]:
    """L and (a, b), float32 (...), of uint8 sRGB (..., 3)."""
    fx, fy, fz = (_root(_channel(rgb, n)) for n in range(3))
    return np.float32(116) * fy - np.float32(16), (np.float32(500) * (fx - fy), np.float32(200) * (fy - fz))


def to_rgb(L: np.ndarray, ab: Planes) -> np.ndarray:
    """uint8 sRGB (..., 3); each channel of a colour that sRGB lacks is clipped."""
    rgb = np.empty((*L.shape, 3), np.uint8)
    for n, channel in enumerate(_linear_rgb(L, ab)):
        scaled = np.clip(channel * np.float32(_STEPS) + np.float32(0.5), 0, _STEPS)
        np.take(_ENCODED, scaled.astype(np.int16), out=rgb[..., n])
    return rgb


def in_one_colour(rgb: np.ndarray, ab: Sequence[float] = (0.0, 0.0)) -> np.ndarray:
    """A photo, uint8 sRGB (H, W, 3), with its lightness and the same a and b everywhere: by default grey."""
    L = lightness(rgb)
    return to_rgb(L, within_gamut(L, (np.full_like(L, ab[0]), np.full_like(L, ab[1]))))


def within_gamut(L: np.ndarray, ab: Planes) -> Planes:
    """The a and b of the same hue with no more chroma than sRGB has at this lightness."""
    a, b = ab
    chroma = np.sqrt(a * a + b * b)
    hue = np.rint(np.arctan2(b, a) * np.float32(_HUES / (2 * np.pi))).astype(np.int32) % _HUES
    limit = largest_chroma()[np.rint(np.clip(L, 0, 100) * np.float32(4)).astype(np.int32), hue]
    above = chroma > limit
    above[above] = ~_in_gamut(L[above], (a[above], b[above]))  # the table is coarse where the solid has its corners
    scale = np.ones_like(chroma)
    scale[above] = limit[above] / chroma[above]
    return a * scale, b * scale


@lru_cache
def largest_chroma() -> np.ndarray:
    """The largest chroma in sRGB, float32 (401 lightnesses from 0 to 100, 256 hues from 0 to 2 pi), by bisection."""
    L = np.linspace(0, 100, _LIGHTNESSES, dtype=np.float32)[:, None]
    hue = np.linspace(0, 2 * np.pi, _HUES, endpoint=False, dtype=np.float32)
    low, high = np.zeros((_LIGHTNESSES, _HUES), np.float32), np.full((_LIGHTNESSES, _HUES), 140, np.float32)
    for _ in range(12):
        middle = (low + high) / 2
        shown = _in_gamut(L, (middle * np.cos(hue), middle * np.sin(hue)))
        low, high = np.where(shown, middle, low), np.where(shown, high, middle)
    return low


def reachable(ab: np.ndarray, margin: float) -> np.ndarray:
    """Whether sRGB has a colour, of any lightness, within `margin` of a and b, for each of ab (n, 2); bool (n,)."""
    steps = np.stack(np.meshgrid(*[(-margin, 0, margin)] * 2), -1).reshape(-1, 1, 2)
    a, b = np.moveaxis(ab + steps, -1, 0)  # (9, n) each
    hue = np.rint(np.arctan2(b, a) * _HUES / (2 * np.pi)).astype(int) % _HUES
    return (np.hypot(a, b) <= largest_chroma().max(0)[hue]).any(0)


def is_grey(rgb: np.ndarray) -> bool:
    """Whether a uint8 sRGB photo (H, W, 3) has no colour: the chroma of 98 % of its pixels is below 5.

    Of a large photo it looks at every n-th row and column, 16,384 pixels or fewer.
    """
    step = math.ceil(math.sqrt(rgb.shape[0] * rgb.shape[1] / 2**14))
    rgb = rgb[::step, ::step]
    if (rgb[..., :1] == rgb[..., 1:]).all():
        return True
    _, (a, b) = from_rgb(rgb)
    return bool(np.percentile(np.hypot(a, b), 98) < 5)


def _channel(rgb: np.ndarray, n: int) -> np.ndarray:
    """X, Y or Z as a share of the white's."""
    red, green, blue = (np.take(_LINEAR * _RELATIVE[n, k], rgb[..., k]) for k in range(3))
    red += green
    red += blue
    return red


def _root(t: np.ndarray) -> np.ndarray:
    return np.where(t > np.float32(_KNEE), np.cbrt(t), np.float32(_SLOPE) * t + np.float32(_OFFSET))


def _in_gamut(L: np.ndarray, ab: Planes) -> np.ndarray:
    return np.all([(channel > -1e-4) & (channel < 1.0001) for channel in _linear_rgb(L, ab)], axis=0)


def _linear_rgb(L: np.ndarray, ab: Planes) -> tuple[np.ndarray, ...]:
    """Linear red, green and blue; outside 0..1 for what sRGB cannot show."""
    fy = (L + np.float32(16)) / np.float32(116)
    roots = fy + ab[0] * np.float32(1 / 500), fy, fy - ab[1] * np.float32(1 / 200)
    x, y, z = (_cube(f) for f in roots)
    return tuple(row[0] * x + row[1] * y + row[2] * z for row in _BACK)


def _cube(f: np.ndarray) -> np.ndarray:
    return np.where(f > np.float32(0.2068966), f * f * f, (f - np.float32(_OFFSET)) / np.float32(_SLOPE))
