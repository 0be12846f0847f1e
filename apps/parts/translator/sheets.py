"""The attention matrix as a picture: each word of a translation, and the words of the sentence that it looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shared.drawing.curves import save_figure

Attention = tuple[Sequence[str], Sequence[str], np.ndarray]
"""Words of the translation, words of the sentence, and shares (words, words)."""


def save_attention_sheet(path: Path, panels: Sequence[tuple[str, Attention]]) -> None:
    """Draw one matrix for each translation, with the language as its title, side by side."""
    from matplotlib.figure import Figure

    widths = [max(len(sentence), 6) for _, (_, sentence, _) in panels]
    height = max(len(words) for _, (words, _, _) in panels)
    figure = Figure(
        figsize=(1.6 * len(panels) + 0.36 * sum(widths), 1.9 + 0.36 * height), dpi=110, layout="constrained"
    )
    for axes, (title, (words, sentence, shares)) in zip(_axes(figure, widths), panels, strict=True):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=max(float(shares.max()), 1e-6))
        axes.set_xticks(range(len(sentence)), [_plain(word) for word in sentence], rotation=60, ha="left")
        axes.set_yticks(range(len(words)), [_plain(word) for word in words])
        axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
        axes.set_xticks(np.arange(len(sentence)) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(words)) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1.5)
        axes.tick_params(which="minor", length=0, top=False)
        axes.spines[:].set_visible(False)
        axes.set_xlabel(title)
    save_figure(path, figure)


def _axes(figure: object, widths: Sequence[int]) -> list:
    found = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)  # type: ignore[attr-defined]
    return list(found[0])


def _plain(word: str) -> str:
    """A word that Matplotlib does not take for mathematics, and that fits."""
    return (word if len(word) <= 16 else f"{word[:15]}…").replace("$", r"\$")
