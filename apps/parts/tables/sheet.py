"""One sheet about a comparison: scores, confusions, ROC or residuals, learning, calibration, what it looks at."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from apps.parts.tables.comparison import Comparison, noise, rows_and_scores
from shared.drawing.curves import COLOURS, save_figure

MOST_NAMES = 12


def save_sheet(path: Path, found: Comparison) -> None:
    """Eight panels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(19, 8.6), dpi=110, layout="constrained")
    problem = found.problem
    figure.suptitle(
        f"{problem.name}: {problem.target} from {len(problem.columns)} columns, {len(problem):,} rows, "
        f"{len(found.folds)} folds (no medical device)",
        fontsize=15,
    )
    panels = [_scores, _confusions, _roc, _learning, _calibration, _importance, _by_rows, _sentence]
    if not problem.classes:
        panels = [_scores, _scatter, _residuals, _learning, _errors, _importance, _by_rows, _sentence]
    for axes, draw in zip(figure.subplots(2, 4).flat, panels, strict=True):
        draw(axes, found)
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(path, figure)


def _titled(axes: Any, title: str, x: str = "", y: str = "") -> None:
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set(xlabel=x, ylabel=y)


def _scores(axes: Any, found: Comparison) -> None:
    names = list(found.scores)
    for n, name in enumerate(names):
        values = found.scores[name]
        axes.errorbar(values.mean(), -n, xerr=values.std(), color=COLOURS[n], marker="o", capsize=4, markersize=8)
        axes.plot(values, -n - 0.25 + np.zeros(len(values)), "|", color=COLOURS[n], alpha=0.6)
        axes.annotate(f"{values.mean():.3f}", (values.mean(), -n), (0, 9), textcoords="offset points", ha="center")
    axes.set_yticks(-np.arange(len(names)), names)
    axes.set_ylim(0.6 - len(names), 0.6)
    _titled(axes, "Beside classical methods", f"{found.measure}: mean, standard deviation and each fold")
    axes.grid(axis="x", alpha=0.25)


def _confusions(axes: Any, found: Comparison) -> None:
    problem = found.problem
    table = np.zeros((len(problem.classes), len(problem.classes)), int)
    np.add.at(table, (problem.answers, found.answers["network"].argmax(axis=1)), 1)
    shares = table / table.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        dark = shares[row, column] > 0.5
        axes.text(column, row, f"{count:,}", ha="center", va="center", color="white" if dark else "black")
    short = [name[:14] for name in problem.classes]
    axes.set_xticks(range(len(short)), short, rotation=0 if len(short) < 5 else 60)
    axes.set_yticks(range(len(short)), short)
    _titled(axes, "What the network takes for what", "the network says", "it is")


def _roc(axes: Any, found: Comparison) -> None:
    from sklearn.metrics import roc_curve

    problem = found.problem
    truth = np.eye(len(problem.classes))[problem.answers]
    for n, (name, given) in enumerate(found.answers.items()):
        one = slice(1, 2) if len(problem.classes) == 2 else slice(None)  # more classes: all of one against the rest
        wrong, right, _ = roc_curve(truth[:, one].ravel(), given[:, one].ravel())
        label = f"{name}: AUC {found.areas[name].mean():.3f}"
        axes.plot(wrong, right, color=COLOURS[n], label=label, linewidth=2.4 if n == 0 else 1.3)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.legend(frameon=False, loc="lower right")
    of = problem.classes[1] if len(problem.classes) == 2 else "each class"
    _titled(axes, "ROC", f"share of the others called {of}", f"share of {of} found")


def _learning(axes: Any, found: Comparison) -> None:
    epochs = np.arange(1, len(found.curve) + 1)
    for n, name in enumerate(("rows learned from", "rows left out")):
        mean, spread = found.curve[:, n].mean(axis=1), found.curve[:, n].std(axis=1)
        axes.plot(epochs, mean, color=COLOURS[n], label=name, linewidth=2)
        axes.fill_between(epochs, mean - spread, mean + spread, color=COLOURS[n], alpha=0.18, linewidth=0)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    _titled(axes, "The network learns", "passes over the rows", "loss: mean and spread of the folds")


def _by_rows(axes: Any, found: Comparison) -> None:
    counts, scores = zip(*rows_and_scores(found), strict=True)
    means, spreads = np.array([values.mean() for values in scores]), np.array([values.std() for values in scores])
    axes.plot(counts, means, color=COLOURS[0], marker="o", linewidth=2)
    axes.fill_between(counts, means - spreads, means + spreads, color=COLOURS[0], alpha=0.18, linewidth=0)
    axes.grid(alpha=0.25)
    _titled(axes, "Would more rows help?", "rows that the network learned from", f"{found.measure}: mean and spread")


def _sentence(axes: Any, found: Comparison) -> None:
    axes.axis("off")
    axes.text(0, 0.9, textwrap.fill(noise(found), 44), va="top", size=13)
    _titled(axes, "Which differences are noise?")


def _calibration(axes: Any, found: Comparison) -> None:
    given = found.answers["network"]
    sure, right = given.max(axis=1), given.argmax(axis=1) == found.problem.answers
    order = np.argsort(sure)
    for part in np.array_split(order, min(8, max(len(order) // 20, 1))):
        share, error = right[part].mean(), (right[part].var() / len(part)) ** 0.5
        axes.errorbar(sure[part].mean(), share, yerr=error, color=COLOURS[0], marker="o", capsize=3)
    low = min(1 / given.shape[1], 0.5)
    axes.plot([low, 1], [low, 1], color="grey", linestyle=":")
    _titled(axes, "Is it right as often as it says?", "its probability", "share that is right, and standard error")


def _importance(axes: Any, found: Comparison) -> None:
    chosen = list(found.importance.items())[:MOST_NAMES]
    names, drops = [name[:24] for name, _ in chosen], [drop for _, drop in chosen]
    axes.barh(range(len(names)), drops, color=COLOURS[0])
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.axvline(0, color="grey", linewidth=1)
    _titled(axes, "What it looks at", f"{found.measure} lost when the column is shuffled")


def _scatter(axes: Any, found: Comparison) -> None:
    true = found.problem.answers
    axes.scatter(true, found.answers["network"][:, 0], s=9, alpha=0.5, color=COLOURS[0])
    axes.axline((float(true.mean()), float(true.mean())), slope=1, color="grey", linestyle=":")
    _titled(axes, "The network's answers", "it is", "the network says")


def _residuals(axes: Any, found: Comparison) -> None:
    axes.hist(found.answers["network"][:, 0] - found.problem.answers, 30, color=COLOURS[0])
    _titled(axes, "By how much it is wrong", "answer less truth", "rows")


def _errors(axes: Any, found: Comparison) -> None:
    for n, (name, given) in enumerate(found.answers.items()):
        errors = np.sort(np.abs(given[:, 0] - found.problem.answers))
        axes.plot(errors, np.linspace(0, 1, len(errors)), color=COLOURS[n], label=name)
    axes.legend(frameon=False)
    _titled(axes, "How often it is how near", "error at most", "share of the rows")
