"""Colours for a photo of any size from a small prediction: enlarged along the photo's edges, corrected by hints.

    chroma = Chroma.along_edges(small_lightness, predicted_ab)
    coloured = apply_chroma(photo, chroma)  # with the photo's own lightness, pixel by pixel

The fast guided filter (He & Sun 2015, arXiv:1505.00996): at each place chroma is a linear function of lightness,
chroma = slope * L + offset. Slopes and offsets are fitted at the small size, and applied to the lightness of the large
photo, so that the colours have its sharp edges, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from apps.parts.colorizer import lab
from shared.data.sizes import resize
from shared.errors import UserError
from shared.training.inference import compiled_inference

if TYPE_CHECKING:
    import keras

RADIUS = 1  # of the window in which a slope is fitted, in pixels of the small size
NOISE = 2.0  # in L: a smaller variation is no edge
REACH = 0.25  # distance on an even surface at which a hint's weight is 1/e, as a share of the longest side
EDGE = 8.0  # change of L across an edge that lowers a hint's weight to 1/e, too
STRIP = 1 << 19  # pixels at a time: 12 megapixels need no more memory than a small photo


@dataclass(frozen=True)
class Chroma:
    """Planes that are linear functions of lightness: a and b of CIELAB, or any others."""

    slope: np.ndarray
    """float32 (planes, h, w)."""
    offset: np.ndarray
    """float32 (planes, h, w)."""
    extent: tuple[float, float]
    """How many of their rows and columns the photo covers, from the left top corner."""

    @classmethod
    def along_edges(cls, L: np.ndarray, planes: np.ndarray, extent: tuple[float, float] | None = None) -> Chroma:
        """Fit slopes and offsets by least squares in each small window.

        Args:
            L: lightness, float32 (h, w).
            planes: the values there, float32 (h, w, planes).
            extent: rows and columns that the photo covers; by default all.
        """
        from scipy.ndimage import uniform_filter

        target, L = np.moveaxis(planes, -1, 0).astype(np.float32), L[None].astype(np.float32)
        window = (0, 2 * RADIUS + 1, 2 * RADIUS + 1)
        mean_L, mean = uniform_filter(L, window), uniform_filter(target, window)
        covariance = uniform_filter(L * target, window) - mean_L * mean
        variance = uniform_filter(L * L, window) - mean_L * mean_L
        slope = covariance / (variance.clip(0) + NOISE**2)
        offset = uniform_filter(mean - slope * mean_L, window)
        return cls(uniform_filter(slope, window), offset, extent or L.shape[1:])

    def __mul__(self, gain: float) -> Chroma:
        return Chroma(self.slope * np.float32(gain), self.offset * np.float32(gain), self.extent)

    def rows(self, L: np.ndarray, top: int, height: int) -> np.ndarray:
        """The planes, float32 (planes, n, width), for n rows from `top` on of a picture `height` rows high.

        `L` is the lightness of these rows, float32 (n, width).
        """
        count, width = L.shape
        box = (0, top * self.extent[0] / height, self.extent[1], (top + count) * self.extent[0] / height)

        def enlarged(plane: np.ndarray) -> np.ndarray:
            return np.asarray(Image.fromarray(plane).resize((width, count), Image.Resampling.BILINEAR, box))

        functions = zip(self.slope, self.offset, strict=True)
        return np.stack([enlarged(slope) * L + enlarged(offset) for slope, offset in functions])


def apply_chroma(photo: np.ndarray, chroma: Chroma) -> np.ndarray:
    """The photo, uint8 (H, W, 3), with its own lightness and this chroma, as far as sRGB has it; uint8 (H, W, 3)."""
    height, width = photo.shape[:2]
    coloured = np.empty((height, width, 3), np.uint8)
    count = max(STRIP // width, 1)  # rows in a strip

    def colour_strip(top: int) -> None:
        L = lab.lightness(photo[top : top + count])
        a, b = chroma.rows(L, top, height)
        coloured[top : top + count] = lab.to_rgb(L, lab.within_gamut(L, (a, b)))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(colour_strip, range(0, height, count)))
    return coloured


class PhotoColorizer:
    """Colours photos of any size with a network, which is compiled once, for squares.

    Args:
        network: L float32 (batch, side, side, 1), 0..100 -> (batch, side / n, side / n, outputs).
        chroma: a function from the outputs for one photo to its ab, float32 (side / n, side / n, 2).
        side: the longest side of the small copy of a photo that the network gets, in pixels.
    """

    def __init__(self, network: keras.Model, chroma: Callable[[np.ndarray], np.ndarray], side: int):
        self.chroma, self.side = chroma, side
        self._outputs = compiled_inference(lambda L: network(L, training=False), network, batch=1)
        self.predict(np.zeros((1, 1, 3), np.uint8))  # compiles it now

    def predict(self, photo: np.ndarray) -> tuple[np.ndarray, Chroma]:
        """The small copy's lightness, float32 (side, side), and its chroma, for a photo, uint8 (H, W, 3).

        The copy is in the left top corner of the square; the rest is filled with its mirror image.
        """
        height, width = (max(round(n * self.side / max(photo.shape[:2])), 1) for n in photo.shape[:2])
        L = lab.lightness(resize(photo, height, width))
        L = np.pad(L, ((0, self.side - height), (0, self.side - width)), mode="symmetric")
        ab = self.chroma(self._outputs(L[None, :, :, None])[0])
        scale = len(ab) / self.side
        return L, Chroma.along_edges(pooled(L, len(ab)), ab, (height * scale, width * scale))

    def __call__(self, photo: np.ndarray, vividness: float = 1.0, hints: Sequence[Hint] = ()) -> np.ndarray:
        """The photo in colour, uint8, with its own size and lightness; `vividness` multiplies the predicted chroma."""
        L, chroma = self.predict(photo)
        return apply_chroma(photo, with_hints(chroma * vividness, L, photo, hints))


# ----------------------------------------------------------------------------------------------------------- Hints


@dataclass(frozen=True)
class Hint:
    """A colour that the user knows."""

    x: int
    """Pixels from the left."""
    y: int
    """Pixels from the top."""
    rgb: tuple[int, int, int]
    """sRGB, 0..255; its hue and chroma count, the lightness stays the photo's own."""

    @classmethod
    def parse(cls, text: str, photo: np.ndarray) -> Hint:
        """Read x,y,#rrggbb; UserError if the text has another form or the place is outside the photo (H, W, 3)."""
        found = re.fullmatch(r"(-?\d{1,6}),(-?\d{1,6}),#?([0-9a-fA-F]{6})", text.replace(" ", ""))
        if not found:
            raise UserError(f"--hint {text} is not x,y,#rrggbb, such as 120,40,#b03a2e.")
        x, y, (height, width) = int(found[1]), int(found[2]), photo.shape[:2]
        if not (0 <= x < width and 0 <= y < height):
            raise UserError(f"--hint {text} is outside the photo, which is {width} x {height} pixels.")
        return cls(x, y, tuple(bytes.fromhex(found[3])))  # type: ignore[arg-type]


def pooled(plane: np.ndarray, side: int) -> np.ndarray:
    """The means of equal blocks of a square plane, (side, side)."""
    step = len(plane) // side
    return plane.reshape(side, step, side, step).mean((1, 3))


def with_hints(chroma: Chroma, L: np.ndarray, photo: np.ndarray, hints: Sequence[Hint]) -> Chroma:
    """The chroma, changed so that each hint's pixel gets the hint's chroma, and the surface around it similar ones.

    The change is a weighted sum of one field for each hint, which falls off with the distance along the surface
    (`nearness`). The weights solve a linear system, so that all hints hold at once.
    """
    if not hints:
        return chroma
    (height, width), side = photo.shape[:2], chroma.slope.shape[1]
    rows, columns = (n * len(L) / side for n in chroma.extent)
    places = [(int((hint.y + 0.5) * rows / height), int((hint.x + 0.5) * columns / width)) for hint in hints]
    planes = np.stack([pooled(nearness(L, *place), side) for place in places], axis=-1)
    fields = Chroma.along_edges(pooled(L, side), planes, chroma.extent)

    def at(planes: Chroma, hint: Hint) -> np.ndarray:
        return planes.rows(lab.lightness(photo[hint.y : hint.y + 1]), hint.y, height)[:, 0, hint.x]

    wanted = np.array([lab.from_rgb(np.array([hint.rgb], np.uint8))[1] for hint in hints])[..., 0]  # (hints, 2)
    missing = wanted - [at(chroma, hint) for hint in hints]
    weights, *_ = np.linalg.lstsq(np.array([at(fields, hint) for hint in hints]), missing, rcond=1e-3)
    slope, offset = (np.tensordot(weights.T.astype(np.float32), part, 1) for part in (fields.slope, fields.offset))
    return Chroma(chroma.slope + slope, chroma.offset + offset, chroma.extent)


def nearness(L: np.ndarray, y: int, x: int) -> np.ndarray:
    """How close each place is to (y, x): exp(-length), float32 (h, w), of the cheapest path across the edges of L."""
    from scipy.ndimage import gaussian_gradient_magnitude
    from skimage.graph import MCP_Geometric

    cost = 1 / (REACH * max(L.shape)) + gaussian_gradient_magnitude(L.astype(np.float64), 1.0) / EDGE
    distance, _ = MCP_Geometric(cost).find_costs([(y, x)])
    return np.exp(-distance).astype(np.float32)
