"""Colour for a photo of any size from a small prediction: joined along the photo's edges, corrected at a user's hints.

    chroma = Chroma.along_edges(small_lightness, predicted_ab)
    coloured = paint(photo, chroma)  # the photo's own lightness, pixel by pixel

The fast Ld filter (He & Sun 2015, "Fast Guided Filter", arXiv:1505.00996): at each place chroma is a straight line
over lightness, chroma = slope * L + offset. Lines are found where both are small, equally blurred, and then applied to
the large photo's lightness, so that its edges are sharp in the colours, too.
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
from shared.data.images import resize
from shared.errors import UserError
from shared.training.inference import compiled_inference

if TYPE_CHECKING:
    import keras

RADIUS = 1  # of the window in which a line is found, in pixels of what is small
NOISE = 2.0  # in L: what varies less than this is no edge
REACH = 0.25  # how far a hint's weight falls to 1/e on an even surface, as a share of the longest side
EDGE = 8.0  # ... or over edges that together are so high, in L
STRIP = 1 << 19  # pixels at a time: 12 MP need no more memory than a small photo


@dataclass(frozen=True)
class Chroma:
    """Planes that are straight lines over lightness: a and b of CIELAB, or any others."""

    slope: np.ndarray
    """float32 (planes, h, w)."""
    offset: np.ndarray
    """float32 (planes, h, w)."""
    extent: tuple[float, float]
    """Rows and columns of these, from the left top corner, that the photo fills."""

    @classmethod
    def along_edges(cls, L: np.ndarray, planes: np.ndarray, extent: tuple[float, float] | None = None) -> Chroma:
        """The guided filter's lines, by least squares in each small window.

        Args:
            L: lightness, float32 (h, w).
            planes: what belongs to it, float32 (h, w, planes).
            extent: rows and columns that the photo fills; by default all.
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
        """The planes, float32 (planes, n, width), for the rows of a picture `height` rows high that begin at `top`.

        `L` is those rows' lightness, float32 (n, width).
        """
        count, width = L.shape
        box = (0, top * self.extent[0] / height, self.extent[1], (top + count) * self.extent[0] / height)

        def large(plane: np.ndarray) -> np.ndarray:
            return np.asarray(Image.fromarray(plane).resize((width, count), Image.Resampling.BILINEAR, box))

        lines = zip(self.slope, self.offset, strict=True)
        return np.stack([large(slope) * L + large(offset) for slope, offset in lines])


def paint(photo: np.ndarray, chroma: Chroma) -> np.ndarray:
    """The photo, uint8 (H, W, 3), with its own lightness and this chroma, as far as sRGB has it; uint8 (H, W, 3)."""
    height, width = photo.shape[:2]
    painted, count = np.empty((height, width, 3), np.uint8), max(STRIP // width, 1)

    def strip(top: int) -> None:
        L = lab.lightness(photo[top : top + count])
        a, b = chroma.rows(L, top, height)
        painted[top : top + count] = lab.to_rgb(L, lab.within_gamut(L, (a, b)))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(strip, range(0, height, count)))
    return painted


class Painter:
    """Colours photos of any size with a network, compiled once for squares.

    Args:
        network: L float32 (batch, side, side, 1), 0..100 -> (batch, side / n, side / n, outputs).
        chroma: of its output without the batch, the chroma ab, float32 (side / n, side / n, 2).
        side: the longest side of the copy of a photo that the network sees, in pixels.
    """

    def __init__(self, network: keras.Model, chroma: Callable[[np.ndarray], np.ndarray], side: int):
        self.chroma, self.side = chroma, side
        self._see = compiled_inference(lambda L: network(L, training=False), network, batch=1)
        self.look(np.zeros((1, 1, 3), np.uint8))  # compiles it now

    def look(self, photo: np.ndarray) -> tuple[np.ndarray, Chroma]:
        """The lightness that the network sees, float32 (side, side), and the chroma, of a uint8 photo (H, W, 3).

        The photo is in the left top corner, scaled; to the right or below it is mirrored.
        """
        height, width = (max(round(n * self.side / max(photo.shape[:2])), 1) for n in photo.shape[:2])
        L = lab.lightness(resize(photo, height, width))
        L = np.pad(L, ((0, self.side - height), (0, self.side - width)), mode="symmetric")
        ab = self.chroma(self._see(L[None, :, :, None])[0])
        scale = len(ab) / self.side
        return L, Chroma.along_edges(pooled(L, len(ab)), ab, (height * scale, width * scale))

    def __call__(self, photo: np.ndarray, vividness: float = 1.0, hints: Sequence[Hint] = ()) -> np.ndarray:
        """The photo coloured, uint8, in its own size and lightness; `vividness` multiplies what was predicted."""
        L, chroma = self.look(photo)
        return paint(photo, with_hints(chroma * vividness, L, photo, hints))


# ----------------------------------------------------------------------------------------------------------- Hints


@dataclass(frozen=True)
class Hint:
    """A colour that somebody knows."""

    x: int
    """Pixels from the left."""
    y: int
    """Pixels from the top."""
    rgb: tuple[int, int, int]
    """sRGB, 0..255; of it hue and chroma count, the photo keeps its lightness."""

    @classmethod
    def parse(cls, text: str, photo: np.ndarray) -> Hint:
        """x,y,#rrggbb; UserError if it is none, or off the photo (H, W, 3)."""
        found = re.fullmatch(r"(-?\d{1,6}),(-?\d{1,6}),#?([0-9a-fA-F]{6})", text.replace(" ", ""))
        if not found:
            raise UserError(f"--hint {text} is not x,y,#rrggbb, such as 120,40,#b03a2e.")
        x, y, (height, width) = int(found[1]), int(found[2]), photo.shape[:2]
        if not (0 <= x < width and 0 <= y < height):
            raise UserError(f"--hint {text} is off the picture, which is {width} x {height} pixels.")
        return cls(x, y, tuple(bytes.fromhex(found[3])))  # type: ignore[arg-type]


def pooled(plane: np.ndarray, side: int) -> np.ndarray:
    """The means of equal blocks of a square plane, (side, side)."""
    step = len(plane) // side
    return plane.reshape(side, step, side, step).mean((1, 3))


def with_hints(chroma: Chroma, L: np.ndarray, photo: np.ndarray, hints: Sequence[Hint]) -> Chroma:
    """The chroma changed so that each hint's pixel gets the hint's, and what belongs to it is changed with it.

    The change is a sum of one field a hint, which falls off with the distance along the surface (`nearness`). What the
    fields are multiplied by is solved for, so that many hints hold at once.
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
    shares, *_ = np.linalg.lstsq(np.array([at(fields, hint) for hint in hints]), missing, rcond=1e-3)
    slope, offset = (np.tensordot(shares.T.astype(np.float32), part, 1) for part in (fields.slope, fields.offset))
    return Chroma(chroma.slope + slope, chroma.offset + offset, chroma.extent)


def nearness(L: np.ndarray, y: int, x: int) -> np.ndarray:
    """How much each place belongs to (y, x): exp(-distance), float32 (h, w), along the cheapest way over L's edges."""
    from scipy.ndimage import gaussian_gradient_magnitude
    from skimage.graph import MCP_Geometric

    cost = 1 / (REACH * max(L.shape)) + gaussian_gradient_magnitude(L.astype(np.float64), 1.0) / EDGE
    distance, _ = MCP_Geometric(cost).find_costs([(y, x)])
    return np.exp(-distance).astype(np.float32)
