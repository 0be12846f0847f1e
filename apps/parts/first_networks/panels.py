"""Pictures of what first networks learned: boundaries, surfaces, learning curves with their bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.parts.first_networks.tasks import LETTERS, LINE, Task
from shared.data.sizes import resize
from shared.drawing.curves import COLOURS, save_figure
from shared.drawing.pictures import BLACK, draw_text

if TYPE_CHECKING:
    from apps.first_networks import Learned

SIDE = 80  # places along each axis at which a network is asked
FRAME = 400  # pixels of a film's side
Curve = Sequence[tuple[int, np.ndarray]]
"""Examples seen, and the share of right answers of each seed."""


# ----------------------------------------------------------------------------------------------- Two inputs, everywhere


def edges(task: Task) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of the examples, with a margin."""
    low, high = task.inputs[:, :2].min(axis=0), task.inputs[:, :2].max(axis=0)
    margin = 0.08 * (high - low)
    return low[0] - margin[0], high[0] + margin[0], low[1] - margin[1], high[1] + margin[1]


def everywhere(learned: Learned, side: int = SIDE, copy: int = 0) -> np.ndarray:
    """One network's answer at every place, float (side, side): the last class's probability, or the value."""
    left, right, bottom, top = edges(learned.task)
    places = np.stack(np.meshgrid(np.linspace(left, right, side), np.linspace(bottom, top, side)), -1)
    outputs = learned.answers(places.reshape(-1, 2).astype(np.float32))[copy]
    if not learned.task.classes:
        return outputs[:, 0].reshape(side, side)
    shares = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return (shares @ np.linspace(0, 1, learned.task.classes)).reshape(side, side)


def landscape(learned: Learned, title: str) -> np.ndarray:
    """A frame of a film, uint8 (FRAME + 30, FRAME, 3): the answers in colour, the examples as dots, a title above."""
    shown = everywhere(learned)[::-1]  # y goes up
    if not learned.task.classes:
        shown = (shown[::-1] + 2) / 4
    blue, orange = np.array([186, 216, 238]), np.array([250, 205, 165])
    colours = blue + np.clip(shown, 0, 1)[..., None] * (orange - blue)
    if not learned.task.classes:
        colours = np.repeat(255 * np.clip(shown, 0, 1)[..., None], 3, axis=-1)
    frame = resize(colours.round().astype(np.uint8), FRAME, FRAME)
    if learned.task.classes:
        _add_dots(frame, learned.task)
    band = np.full((30, FRAME, 3), 255, np.uint8)
    return np.concatenate([draw_text(band, title, (8, 5), 18, BLACK), frame])


def _add_dots(frame: np.ndarray, task: Task) -> None:
    left, right, bottom, top = edges(task)
    xs = ((task.inputs[:, 0] - left) / (right - left) * (FRAME - 1)).astype(int)
    ys = ((top - task.inputs[:, 1]) / (top - bottom) * (FRAME - 1)).astype(int)
    for x, y, label in zip(xs, ys, task.targets, strict=True):
        add_dot(frame, x, y, label)


def add_dot(frame: np.ndarray, x: int, y: int, label: int) -> None:
    """Draw an example of a class into a picture (H, W, 3), in place."""
    colour = [int(COLOURS[label % len(COLOURS)][n : n + 2], 16) for n in (1, 3, 5)]
    frame[max(y - 3, 0) : y + 3, max(x - 3, 0) : x + 3] = colour


def _draw_boundary(axes: Any, learned: Learned, title: str, legend: bool = False) -> None:
    task = learned.task
    kind = {"origin": "lower", "extent": edges(task), "aspect": "auto", "vmin": 0, "vmax": 1, "alpha": 0.35}
    axes.imshow(everywhere(learned), cmap="RdYlBu_r", **kind)
    for n, label in enumerate(task.labels):
        chosen = task.inputs[task.targets == n]
        axes.scatter(
            *chosen[:, :2].T, s=14, color=COLOURS[n % len(COLOURS)], label=label, edgecolors="white", linewidths=0.4
        )
    axes.set_title(title, fontsize=10)
    if legend and len(task.labels) <= 6:
        axes.legend(fontsize=7, loc="best")


def _draw_surface(axes: Any, values: np.ndarray, title: str) -> None:
    axes.imshow(values, cmap="gray", vmin=-2, vmax=2)
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_bands(axes: Any, curves: Mapping[str, Curve], title: str) -> None:
    """The median of the seeds as a line, and all but the outer tenths as a band."""
    for colour, (name, curve) in zip(COLOURS, curves.items(), strict=False):
        steps = [step for step, _ in curve]
        low, middle, high = np.percentile(np.array([values for _, values in curve]), (10, 50, 90), axis=1)
        axes.plot(steps, middle, color=colour, label=name, linewidth=1.5)
        axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=7, loc="lower right")
    axes.grid(alpha=0.25)


# ------------------------------------------------------------------------------------------------------------ Sheets


def save_curve(path: Path, curve: Curve, title: str) -> None:
    """One learning curve with its band."""
    figure, axes = _figure(1, 1, (8, 4.5))
    _draw_bands(axes[0], {"share right": curve}, title)
    axes[0].set_xlabel("examples seen")
    save_figure(path, figure)


def save_result(path: Path, learned: Learned) -> None:
    """What was learned, beside the loss of all seeds; the weights of the letters' network as pictures."""
    task = learned.task
    figure, axes = _figure(1, 2 if task.classes else 3, (10 if task.classes else 13, 4.6))
    if task.name == "letters":
        return _save_letters(path, learned)
    if task.inputs.shape[1] == 2 and task.classes:
        _draw_boundary(axes[0], learned, f"{task.name}: one of {learned.curve.shape[1]} networks", legend=True)
        axes[0].set(xlabel=task.axes[0], ylabel=task.axes[1])
    elif task.inputs.shape[1] == 2:
        side = round(len(task.targets) ** 0.5)
        if side**2 == len(task.targets):
            _draw_surface(axes[1], task.targets.reshape(side, side), "what it learned from")
        _draw_surface(axes[0], everywhere(learned), "the best network")
    else:
        axes[0].hist(learned.right(), bins=np.linspace(0, 1, 21), color=COLOURS[0])
        axes[0].set(title="networks, by their share of right answers", xlabel="share right")
    _draw_losses(axes[-1], learned.curve)
    save_figure(path, figure)


def _draw_losses(axes: Any, curve: np.ndarray) -> None:
    low, middle, high = np.percentile(curve, (10, 50, 90), axis=1)
    steps = np.arange(1, len(curve) + 1)
    axes.plot(steps, middle, color=COLOURS[0], label=f"median of {curve.shape[1]} seeds")
    axes.fill_between(steps, low, high, color=COLOURS[0], alpha=0.25, linewidth=0, label="all but the outer tenths")
    axes.set(xlabel="updates", ylabel="loss", yscale="log")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)


def _save_letters(path: Path, learned: Learned) -> None:
    kernel = np.asarray(next(layer.kernel for layer in learned.network.layers if hasattr(layer, "kernel")))[0]
    shown = min(kernel.shape[1], 4)
    figure, axes = _figure(1, shown + 1, (3.2 * (shown + 1), 3.6))
    for n in range(shown):
        most = np.abs(kernel[:, n]).max()
        axes[n].imshow(kernel[:, n].reshape(8, 8), cmap="RdBu", vmin=-most, vmax=most)
        axes[n].set_title(f"weights of hidden unit {n + 1}", fontsize=10)
        axes[n].axis("off")
    _draw_losses(axes[-1], learned.curve)
    figure.suptitle(f"{', '.join(LETTERS)} on 8 x 8 pixels, {learned.right().mean():.0%} right")
    save_figure(path, figure)


def save_sheet(
    path: Path,
    noisy: Task,
    rules: Mapping[str, list],
    logistic: Learned,
    gates: Mapping[tuple[str, str], Learned],
    turning: Learned,
    ladder: Mapping[str, Learned],
    curves: Mapping[str, Curve],
) -> None:
    """The six results of the demo on one sheet."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 9), dpi=90, layout="constrained")
    parts: Any = figure.subfigures(2, 3)
    _lines(parts[0, 0].subplots(), noisy, rules["noisy, rate 1000/(1000+t)"][-1][1])
    _draw_bands(parts[0, 1].subplots(), curves, "Perceptron rule: share right, and examples seen")
    _draw_boundary(
        parts[0, 2].subplots(), logistic, f"Logistic regression: {logistic.right().mean():.0%} right", legend=True
    )
    for axes, ((name, layers), learned) in zip(parts[1, 0].subplots(2, 3).T.ravel(), gates.items(), strict=True):
        kind = "one layer" if layers == "0" else f"{layers} hidden"
        _draw_boundary(axes, learned, f"{name}, {kind}: {(learned.right() == 1).mean():.0%} solve it")
        axes.title.set_fontsize(8)
    _draw_boundary(parts[1, 1].subplots(), turning, f"Two spirals, 20 + 20 units: {turning.right().mean():.0%} right")
    panels = parts[1, 2].subplots(2, 3).ravel()
    side = round(len(next(iter(ladder.values())).task.targets) ** 0.5)
    _draw_surface(panels[0], next(iter(ladder.values())).task.targets.reshape(side, side), "the surface")
    for axes, (layers, learned) in zip(panels[1:], ladder.items(), strict=False):
        _draw_surface(axes, everywhere(learned), f"{layers}: {np.median(learned.losses()):.3f}")
    panels[-1].axis("off")
    save_figure(path, figure)


def _lines(axes: Any, task: Task, weights: np.ndarray) -> None:
    """The line of each perceptron over the examples, and the one that the data were drawn by."""
    left, right, bottom, top = edges(task)
    xs = np.array([left, right])
    for w in weights:
        if w[1]:
            axes.plot(xs, -(w[0] * xs + w[2]) / w[1], color="grey", linewidth=0.8, alpha=0.7)
    axes.plot(xs, LINE[0] + LINE[1] * xs, color=COLOURS[2], linestyle="--", label="the line they were drawn by")
    for n, label in enumerate(task.labels):
        axes.scatter(*task.inputs[task.targets == n].T, s=14, color=COLOURS[n], label=label)
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel=task.axes[0], ylabel=task.axes[1])
    axes.set_title(f"Perceptron rule, falling rate: {len(weights)} lines", fontsize=10)
    axes.legend(fontsize=7)


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=100, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())
