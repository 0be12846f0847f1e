"""Curves: of a training, and of a sweep."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.files import write_atomically

Curve = tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]  # xs, ys


# Curves, in Okabe and Ito's colours, which colour-blind readers can tell apart too
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def plot_curves(path: str | Path, series: Mapping[str, Curve], x: str, y: str = "", title: str = "") -> None:
    """Draw curves, {"legend": (xs, ys), ...}, into one 800 x 450 picture; `x` and `y` name the axes and their units."""
    from matplotlib.figure import Figure  # not pyplot: no window system and no global state

    path = Path(path)
    figure = Figure(figsize=(8, 4.5), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.set_prop_cycle(color=_COLOURS)
    for name, (xs, ys) in series.items():
        axes.plot(xs, ys, label=name, linewidth=1.8, marker="o" if len(xs) == 1 else None)
    axes.set(xlabel=x, ylabel=y)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if len(series) > 1:
        axes.legend(frameon=False)
    with write_atomically(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip(".") or "png")


COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito: colour-blind safe


def draw_curves(panels: list[tuple[str, ...]], records: list[dict[str, Any]], unit: str) -> Any:
    """One panel under the other: every value pale, and a running mean over a thirtieth of the points in front."""
    import numpy as np
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    figure = Figure(figsize=(8, 0.8 + 2.4 * len(panels)), dpi=120, layout="constrained")
    colours = itertools.cycle(COLOURS)
    for axes, names in zip(figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0], panels, strict=True):
        for name in names:
            points = np.array([(line["step"], line[name]) for line in records if line.get(name) is not None], float)
            points, width, colour = points.reshape(-1, 2), max(len(points) // 30, 1), next(colours)
            sums = np.cumsum(np.vstack([np.zeros((1, 2)), points]), axis=0)
            smooth = (sums[width:] - sums[:-width]) / width
            axes.plot(*points.T, color=colour, linewidth=1, alpha=0.25 if width > 1 else 1)
            axes.plot(*smooth.T, color=colour, linewidth=2, label=name, marker="o" if len(points) == 1 else None)
        axes.set_title(names[0] if len(names) == 1 else "", loc="left", fontsize=11, fontweight="bold")
        axes.grid(alpha=0.2)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        if len(names) > 1:
            axes.legend(frameon=False)
    axes.set_xlabel(unit)
    return figure
