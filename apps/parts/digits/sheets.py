"""Pictures of digits: what was read, and what each layer saw of one of them; the wrong ones; curves and tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.parts.digits.ink import Found
from apps.parts.digits.reader import Answer, Layer
from shared.drawing.curves import COLOURS, save_figure

STRIP = 16  # digits in the row of what was read
MAPS = 64  # feature maps of a layer at most


def save_inside(
    path: Path,
    answers: Sequence[Answer],
    layers: Sequence[Layer],
    chosen: int = 0,
    photo: np.ndarray | None = None,
    found: Sequence[Found] = (),
) -> None:
    """Draw what was read and, of the chosen drawing, its way through the network.

    Args:
        path: of the picture.
        answers: of all drawings; the first STRIP are shown.
        layers: of the chosen drawing.
        chosen: which drawing.
        photo: uint8 (H, W), where the digits come from, if they come from one; `found` are their places on it.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7.6), dpi=100, layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[1.15 if photo is None else 2, 5])
    above, below = parts
    if photo is None:
        _strip(above, answers[:STRIP], chosen)
    else:
        _photo(above, photo, answers, found)
    parts = below.subfigures(1, 2 + len(layers), width_ratios=[1.15, *[1.6] * len(layers), 1.5])
    _drawing(parts[0], answers[chosen])
    for part, layer in zip(parts[1:], layers, strict=False):
        _maps(part, layer)
    _answer(parts[-1], answers[chosen])
    save_figure(path, figure)


def _bare(axes: Any, picture: np.ndarray, colours: str = "gray", **options: Any) -> None:
    axes.imshow(picture, cmap=colours, **options)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _strip(figure: Any, answers: Sequence[Answer], chosen: int) -> None:
    """The drawings side by side, each with its answer above."""
    for n, axes in enumerate(np.atleast_1d(figure.subplots(1, max(len(answers), 10)))):
        if n >= len(answers):
            axes.axis("off")
            continue
        answer = answers[n]
        _bare(axes, answer.drawing, vmin=0, vmax=255)
        text = f"{answer.digit}" if answer.sure else f"no digit ({answer.digit}?)"
        colour = COLOURS[1] if n == chosen else "black" if answer.sure else "grey"
        axes.set_title(text, size=17 if answer.sure else 10, color=colour, fontweight="bold")


def _photo(figure: Any, photo: np.ndarray, answers: Sequence[Answer], found: Sequence[Found]) -> None:
    """The photo with a box around each digit."""
    axes = figure.subplots()
    _bare(axes, photo, vmin=0, vmax=255)
    for answer, place in zip(answers, found, strict=True):
        left, top, right, bottom = place.box
        colour = COLOURS[0] if answer.sure else "grey"
        axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=colour, linewidth=1.5)
        text = f"{answer.digit}" if answer.sure else "?"
        axes.text(left, top, text, color=colour, size=13, fontweight="bold", va="bottom")


def _drawing(figure: Any, answer: Answer) -> None:
    """The drawing as the network gets it, and the training digits nearest to it."""
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.7, 1])
    axes = top.subplots()
    _bare(axes, answer.drawing, vmin=0, vmax=255)
    axes.set_title("what the network gets", size=11)
    bottom.suptitle("nearest training digits" if len(answer.nearest) else "", size=11)
    for n, axes in enumerate(bottom.subplots(2, 4).ravel()):
        if n < len(answer.nearest):
            _bare(axes, answer.nearest[n], vmin=0, vmax=255)
        else:
            axes.axis("off")


def _maps(figure: Any, layer: Layer) -> None:
    """A layer's feature maps, the strong ones bright; of the first layer each beside its filter."""
    axes = figure.subplots()
    maps = layer.maps[:MAPS]
    height, width = maps.shape[1:]
    bright = maps / max(float(np.abs(maps).max()), 1e-6)
    low = 0.0 if maps.min() >= 0 else -1.0
    tiles = list(bright)
    if layer.filters is not None:
        tiles = [
            np.concatenate([_filter_tile(kernel, height, low), tile], axis=1)
            for kernel, tile in zip(layer.filters, tiles, strict=False)
        ]
    columns = min(len(tiles), 8 if layer.filters is None else 4)
    _bare(axes, _tiled(tiles, columns, max(1, height // 8)), "magma" if low == 0 else "RdBu_r", vmin=low, vmax=1)
    filters = "filters, and " if layer.filters is not None else ""
    axes.set_title(f"{layer.name}: {filters}{len(layer.maps)} maps of {height} x {width}", size=11)


def _filter_tile(kernel: np.ndarray, height: int, low: float) -> np.ndarray:
    """A filter enlarged, in the middle of a column as high as a map: its smallest weight dark, its largest bright."""
    scaled = (kernel - kernel.min()) / max(float(np.ptp(kernel)), 1e-6) * (1 - low) + low
    factor = max(1, height // (2 * len(scaled)))
    large = np.kron(scaled, np.ones((factor, factor)))
    tile = np.full((height, large.shape[1] + 2), np.nan)
    top = (height - len(large)) // 2
    tile[top : top + len(large), 1:-1] = large[:height]
    return tile


def _tiled(tiles: Sequence[np.ndarray], columns: int, gap: int) -> np.ndarray:
    height, width = tiles[0].shape
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for n, tile in enumerate(tiles):
        top, left = n // columns * (height + gap), n % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _answer(figure: Any, answer: Answer) -> None:
    """The ten probabilities."""
    axes = figure.subplots()
    colours = [COLOURS[1] if digit == answer.digit else COLOURS[5] for digit in range(10)]
    axes.barh(range(10), answer.shares, color=colours)
    for digit, share in enumerate(answer.shares):
        axes.text(min(share, 0.8) + 0.02, digit, f"{share:.1%}", va="center", size=10)
    axes.set(xlim=(0, 1.02), ylim=(9.6, -0.6), yticks=range(10), xticks=[])
    axes.tick_params(labelsize=13, length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    title = f"it is a {answer.digit}" if answer.sure else "this is no digit"
    axes.set_title(title, size=15, fontweight="bold")


def save_errors(path: Path, answers: Sequence[Answer], labels: np.ndarray, most: int = 60) -> None:
    """Draw digits with what they are said to be, and what the data say that they are."""
    from matplotlib.figure import Figure

    shown = min(len(answers), most)
    rows = max(1, -(-shown // 12))
    figure = Figure(figsize=(12, 1.3 * rows + 0.3), dpi=100, layout="constrained")
    for n, axes in enumerate(figure.subplots(rows, 12, squeeze=False).ravel()):
        if n >= shown:
            axes.axis("off")
            continue
        _bare(axes, answers[n].drawing, vmin=0, vmax=255)
        axes.set_title(f"{answers[n].digit}, not {labels[n]}", size=10)
    save_figure(path, figure)


def small_maps(layer: Layer) -> np.ndarray:
    """A layer's feature maps as a picture that is drawn in milliseconds, uint8 (H, W, 3)."""
    from matplotlib import colormaps

    maps = layer.maps[:MAPS]
    height = maps.shape[1]
    factor = max(1, round(48 / height))
    bright = np.kron(maps / max(float(np.abs(maps).max()), 1e-6), np.ones((1, factor, factor)))
    sheet = _tiled(list(bright), 8, factor)
    low = maps.min() < 0
    colours = colormaps["RdBu_r" if low else "magma"]((sheet + 1) / 2 if low else sheet)[..., :3]
    return np.where(np.isnan(sheet)[..., None], 255, 255 * colours).astype(np.uint8)


def small_strip(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of drawings, uint8 (n, 28, 28) each, as one picture, uint8 (H, W, 3), twice as large."""
    longest = max(1, *(len(row) for row in rows))
    sheet = np.full((len(rows) * 30, longest * 30), 255, np.uint8)
    for n, row in enumerate(rows):
        for m, drawing in enumerate(row):
            sheet[30 * n + 1 : 30 * n + 29, 30 * m + 1 : 30 * m + 29] = drawing
    return np.repeat(np.kron(sheet, np.ones((2, 2), np.uint8))[..., None], 3, axis=-1)
