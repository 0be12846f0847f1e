"""Curves: of a training, and of a sweep."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from shared.files import write_atomically

if TYPE_CHECKING:
    import numpy as np

Curve = tuple["Sequence[float] | np.ndarray", "Sequence[float] | np.ndarray"]
"""The values on both axes."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, which colour-blind readers can tell apart, too."""


def plot_curves(path: str | Path, series: Mapping[str, Curve], x: str, y: str = "", title: str = "") -> None:
    """Draw curves, {"legend": (xs, ys), ...}, into one 800 x 450 picture; `x` and `y` name the axes and their units."""
    figure, (axes,) = _panels(1, (8, 4.5), 100)
    for colour, (name, (xs, ys)) in zip(itertools.cycle(COLOURS), series.items(), strict=False):
        axes.plot(xs, ys, label=name, color=colour, linewidth=1.8, marker="o" if len(xs) == 1 else None)
    axes.set(xlabel=x, ylabel=y)
    _describe(axes, title, len(series))
    save_figure(path, figure)


def plot_metrics(path: str | Path, panels: Sequence[Sequence[str]], records: Sequence[Mapping], unit: str) -> None:
    """Draw the metrics of a training, some in each panel: every value pale, a running mean in front.

    The mean is over a thirtieth of the points.

    Args:
        path: of the picture.
        panels: names of the metrics in each panel, one under the other.
        records: the lines of metrics.jsonl.
        unit: what a step is, in the plural.
    """
    import numpy as np

    figure, all_axes = _panels(len(panels), (8, 0.8 + 2.4 * len(panels)), 120)
    colours = itertools.cycle(COLOURS)
    for axes, names in zip(all_axes, panels, strict=True):
        for name in names:
            points = np.array([(line["step"], line[name]) for line in records if line.get(name) is not None], float)
            points = points.reshape(-1, 2)
            width = max(len(points) // 30, 1)
            sums = np.cumsum(np.vstack([np.zeros((1, 2)), points]), axis=0)
            smooth = (sums[width:] - sums[:-width]) / width
            colour = next(colours)
            axes.plot(*points.T, color=colour, linewidth=1, alpha=0.25 if width > 1 else 1)
            axes.plot(*smooth.T, color=colour, linewidth=2, label=name, marker="o" if len(points) == 1 else None)
        _describe(axes, names[0] if len(names) == 1 else "", len(names))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.xaxis.set_major_formatter("{x:,.0f}")
    all_axes[-1].set_xlabel(unit)
    save_figure(path, figure)


def save_figure(path: str | Path, figure: Any) -> None:
    """Write one of Matplotlib's figures; the extension chooses the format."""
    ending = Path(path).suffix.lstrip(".").lower() or "png"
    with write_atomically(path) as temporary:
        if ending in figure.canvas.get_supported_filetypes():
            figure.savefig(temporary, format=ending)
        else:  # Pillow writes more, such as .bmp
            drawn = io.BytesIO()
            figure.savefig(drawn, format="png")
            Image.open(drawn).convert("RGB").save(temporary)


def _panels(count: int, size: tuple[float, float], dpi: int) -> tuple[Any, list]:
    """A figure with so many axes, one under the other; `size` is in inches."""
    from matplotlib.figure import Figure  # not pyplot: no window system and no global state

    figure = Figure(figsize=size, dpi=dpi, layout="constrained")
    return figure, list(figure.subplots(count, sharex=True, squeeze=False)[:, 0])


def _describe(axes: Any, title: str, curves: int) -> None:
    """Title, grid and, for several curves, a legend."""
    axes.set_title(title, loc="left", fontweight="bold")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if curves > 1:
        axes.legend(frameon=False)
