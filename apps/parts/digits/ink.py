"""From a photo of handwriting to single digits in MNIST's form: which pixels are ink, and where each digit is.

What users of MNIST demos report most is that their own digit is read wrongly: it was not centred, not turned to white
on black, or not smoothed as the training digits are (docs/digits.md names the issues). So every drawing is made as
MNIST's were (LeCun et al. 1998): scaled to fit a box of 20 x 20 pixels, anti-aliased, its centre of mass in the middle
of 28 x 28.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE, BOX = 28, 20  # pixels: of a drawing, and of the square that the digit fits
LONGEST = 1600  # pixels: a larger photo is made smaller before it is searched
FAINT = 0.06  # of the strongest ink: less is the grain of the paper
CONTRAST = 0.12  # of the whole range: fainter marks are paper


@dataclass(frozen=True)
class Found:
    """A digit on a photo."""

    drawing: np.ndarray
    """uint8 (28, 28), ink 255 on 0, as MNIST's."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom in pixels of the photo."""


def normalised(ink: np.ndarray) -> np.ndarray:
    """A drawing of one digit, any size, larger numbers for more ink, as MNIST has it: uint8 (28, 28)."""
    ink = np.asarray(ink, np.float32)
    top = ink.max(initial=0)
    if not top > 0:
        return np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = np.nonzero(ink > 0.2 * top)
    part = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] / top
    height, width = part.shape
    scale = BOX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(
        Image.fromarray(part).resize(size, Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR)
    )
    small = np.clip(small / max(small.max(), 1e-6), 0, 1)
    return (255 * _centred(small)).round().astype(np.uint8)


def _centred(small: np.ndarray) -> np.ndarray:
    """A picture of at most 20 x 20 in one of 28 x 28, its centre of mass in the middle, to the nearest pixel."""
    height, width = small.shape
    mass = small.sum()
    row = (small.sum(axis=1) @ np.arange(height)) / mass
    column = (small.sum(axis=0) @ np.arange(width)) / mass
    top = int(np.clip(round((SIDE - 1) / 2 - row), 0, SIDE - height))
    left = int(np.clip(round((SIDE - 1) / 2 - column), 0, SIDE - width))
    whole = np.zeros((SIDE, SIDE), np.float32)
    whole[top : top + height, left : left + width] = small
    return whole


def ink_of(grey: np.ndarray) -> np.ndarray:
    """How much ink each pixel of a grey photo (H, W), 0 to 255, has: float32 0 to 1; dark on light or light on dark.

    The paper is what the edge of the photo looks like, and elsewhere what the paler quarter of the neighbourhood does
    (of light ink, the darker quarter), so that a shadow over the page is no ink.
    """
    from scipy import ndimage

    grey = np.asarray(grey, np.float32) / 255
    edge = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    dark_ink = grey.mean() <= edge
    step = max(1, min(grey.shape) // 100)
    small = grey[::step, ::step]
    window = max(3, min(small.shape) // 3)
    paper = ndimage.percentile_filter(small, 75 if dark_ink else 25, size=window, mode="nearest")
    paper = ndimage.gaussian_filter(paper, window / 4, mode="nearest")
    paper = np.asarray(Image.fromarray(paper).resize(grey.shape[::-1], Image.Resampling.BILINEAR))
    marks = np.maximum(paper - grey if dark_ink else grey - paper, 0)
    strongest = np.quantile(marks, 0.999) if marks.size > 1000 else marks.max(initial=0)
    if strongest < CONTRAST:
        return np.zeros_like(marks)
    return np.clip((marks / strongest - FAINT) / (1 - FAINT), 0, 1)


def digits_on(grey: np.ndarray) -> list[Found]:
    """The digits on a grey photo, uint8 (H, W), in reading order: lines from the top, each from left to right."""
    from scipy import ndimage

    scale = min(1.0, LONGEST / max(grey.shape))
    size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    ink = ink_of(np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX)) if scale < 1 else grey)
    dark = ink > _threshold(ink)
    labels, count = ndimage.label(dark, structure=np.ones((3, 3)))
    if count == 0:
        return []
    areas = ndimage.sum_labels(dark, labels, range(1, count + 1))
    slices = ndimage.find_objects(labels)
    boxes = [_Box(part[1].start, part[0].start, part[1].stop, part[0].stop, {n + 1}) for n, part in enumerate(slices)]
    tallest = max(max(box.height, box.width) for box in boxes)
    boxes = [
        box for box, area in zip(boxes, areas, strict=True) if area >= 4 and max(box.height, box.width) >= tallest / 8
    ]
    return [_cut(ink, labels, box, scale) for box in _in_reading_order(_joined(boxes))]


@dataclass
class _Box:
    left: int
    top: int
    right: int
    bottom: int
    labels: set[int]

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


def _threshold(ink: np.ndarray) -> float:
    """Otsu's: between ink and paper."""
    from skimage.filters import threshold_otsu

    return max(0.15, 0.8 * float(threshold_otsu(ink))) if ink.max(initial=0) > 0 else 1.0


def _joined(boxes: list[_Box]) -> list[_Box]:
    """Parts of one digit, such as the bar of a 5, belong together: one above the other, and near."""
    boxes = sorted(boxes, key=lambda box: -box.height * box.width)
    kept: list[_Box] = []
    for box in boxes:
        for other in kept:
            shared = min(box.right, other.right) - max(box.left, other.left)
            gap = max(box.top, other.top) - min(box.bottom, other.bottom)
            smaller = max(box.height, box.width) < 0.75 * max(other.height, other.width)
            if shared > 0.5 * min(box.width, other.width) and gap < 0.2 * other.height and smaller:
                other.left, other.top = min(box.left, other.left), min(box.top, other.top)
                other.right, other.bottom = max(box.right, other.right), max(box.bottom, other.bottom)
                other.labels |= box.labels
                break
        else:
            kept.append(box)
    return kept


def _in_reading_order(boxes: list[_Box]) -> list[_Box]:
    """Lines from the top, each from left to right; a line is what overlaps its first box by height."""
    lines: list[list[_Box]] = []
    for box in sorted(boxes, key=lambda box: box.top + box.bottom):
        middle = (box.top + box.bottom) / 2
        for line in lines:
            if min(other.top for other in line) <= middle <= max(other.bottom for other in line):
                line.append(box)
                break
        else:
            lines.append([box])
    return [box for line in lines for box in sorted(line, key=lambda box: box.left)]


def _cut(ink: np.ndarray, labels: np.ndarray, box: _Box, scale: float) -> Found:
    """The digit in a box, without what belongs to its neighbours."""
    margin = 2
    rows = slice(max(box.top - margin, 0), box.bottom + margin)
    columns = slice(max(box.left - margin, 0), box.right + margin)
    others = (labels[rows, columns] > 0) & ~np.isin(labels[rows, columns], list(box.labels))
    part = np.where(others, 0, ink[rows, columns])
    left, top, right, bottom = (round(side / scale) for side in (box.left, box.top, box.right, box.bottom))
    return Found(normalised(part), (left, top, right, bottom))
