"""Pictures of explanations: maps over a photo, changes of a photo, words and where they hang."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.parts.explain.scores import STEPS, Curves
from shared.drawing.curves import COLOURS, save_figure


def overlay(photo: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """A map (H, W) as colours over the grey photo (H, W, 3), uint8; the top 1 % of it has the brightest colour."""
    from matplotlib import colormaps

    top = float(np.quantile(importance, 0.99))
    share = np.clip(importance / max(top, 1e-12), 0, 1)[..., None]
    grey = np.repeat(photo.astype(np.float32).mean(axis=-1, keepdims=True), 3, axis=-1)
    colour = 255 * colormaps["inferno"](share[..., 0])[..., :3]
    opacity = 0.2 + 0.65 * share
    return ((1 - opacity) * (0.35 * grey + 60) + opacity * colour).clip(0, 255).astype(np.uint8)


def save_maps(
    path: Path, photo: np.ndarray, question: str, maps: Mapping[str, np.ndarray], curves: Mapping[str, Curves]
) -> None:
    """Draw a photo, its map by each method with the areas under its curves, and the curves themselves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7), dpi=100, layout="constrained")
    axes: Any = figure.subplots(2, 4)
    figure.suptitle(question, size=15, fontweight="bold")
    _picture(axes[0, 0], photo.astype(np.uint8), "the photo, as the network gets it")
    for n, (name, importance) in enumerate(maps.items(), 1):
        deletion, insertion = curves[name].areas
        text = f"{name}\ndeletion {deletion:.2f}, insertion {insertion:.2f}"
        _picture(axes[n // 4, n % 4], overlay(photo, importance), text)
    last = axes[1, 3]
    for colour, (name, found) in zip(COLOURS, curves.items(), strict=False):
        last.plot(np.linspace(0, 100, STEPS + 1), found.deletion, color=colour, label=name)
    last.set(xlabel="% of the pixels taken away", ylim=(0, 1))
    last.set_title("the answer's probability", size=10)
    last.legend(frameon=False, fontsize=7)
    last.spines[["top", "right"]].set_visible(False)
    save_figure(path, figure)


def save_change(path: Path, before: np.ndarray, after: np.ndarray, texts: Sequence[str]) -> None:
    """Draw a photo, what it became, and the difference, five times as strong around grey."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.6), dpi=100, layout="constrained")
    difference = np.clip(127 + 5 * (after.astype(np.float32) - before.astype(np.float32)), 0, 255).astype(np.uint8)
    for axes, picture, text in zip(figure.subplots(1, 3), (before, after, difference), texts, strict=True):
        _picture(axes, picture, text)
    save_figure(path, figure)


def save_words(path: Path, photo: np.ndarray, words: Sequence[tuple[str, np.ndarray, np.ndarray, float]]) -> None:
    """Draw for each word its gradient map above its attention map, both (H, W), with how far they agree."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.9 * (len(words) + 1), 4.6), dpi=100, layout="constrained")
    axes: Any = figure.subplots(2, len(words) + 1)
    _picture(axes[0, 0], photo, "gradient:")
    _picture(axes[1, 0], photo, "attention:")
    for n, (word, gradient, attention, agreement) in enumerate(words, 1):
        _picture(axes[0, n], overlay(photo, gradient), word)
        _picture(axes[1, n], overlay(photo, attention), f"agree {agreement:.2f}")
    save_figure(path, figure)


def save_sanity(
    path: Path, photo: np.ndarray, rows: Mapping[str, Sequence[np.ndarray]], columns: Sequence[str]
) -> None:
    """Draw each method's map with more and more of the network's weights made random, from left to right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 * len(columns), 2.1 * len(rows)), dpi=90, layout="constrained")
    for axes, (name, maps) in zip(figure.subplots(len(rows), len(columns), squeeze=False), rows.items(), strict=True):
        for axis, importance, column in zip(axes, maps, columns, strict=True):
            _picture(axis, overlay(photo, importance), column if name == next(iter(rows)) else "")
        axes[0].set_ylabel(name, size=10)
    save_figure(path, figure)


def _picture(axes: Any, picture: np.ndarray, title: str) -> None:
    axes.imshow(picture)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, size=10)
