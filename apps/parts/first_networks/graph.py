"""The lecture's computation graph, g = (3a + b)(2c + d), forward and backward, with its numbers on a drawing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shared.drawing.curves import COLOURS, save_figure


@dataclass
class Node:
    """A quantity, what it is computed of, and how g changes with it."""

    name: str
    value: float
    parents: list[tuple[Node, float]] = field(default_factory=list)
    """What it is computed of, and its derivative by each."""
    gradient: float = 0.0
    """The derivative of g by it, once `backward` has been there."""


def forward(a: float, b: float, c: float, d: float) -> dict[str, Node]:
    """Every quantity of g = (3a + b)(2c + d), each after those that it needs."""
    leaves = [Node(name, value) for name, value in zip("abcd", (a, b, c, d), strict=True)]
    in_a, in_b, in_c, in_d = leaves
    e = Node("e = 3a + b", 3 * a + b, [(in_a, 3.0), (in_b, 1.0)])
    f = Node("f = 2c + d", 2 * c + d, [(in_c, 2.0), (in_d, 1.0)])
    g = Node("g = e f", e.value * f.value, [(e, f.value), (f, e.value)])
    return {node.name.split()[0]: node for node in (*leaves, e, f, g)}


def backward(nodes: dict[str, Node]) -> None:
    """The chain rule from g back: each node hands its gradient, times its own derivative, to what it is computed of."""
    for node in nodes.values():
        node.gradient = 0.0
    nodes["g"].gradient = 1.0
    for node in reversed(nodes.values()):
        for parent, derivative in node.parents:
            parent.gradient += derivative * node.gradient


PLACES = {"a": (0, 3), "b": (0, 2), "c": (0, 1), "d": (0, 0), "e": (1.6, 2.5), "f": (1.6, 0.5), "g": (3.2, 1.5)}


def save_graph(path: Path, a: float = 1.0, b: float = -2.0, c: float = 3.0, d: float = 1.0) -> None:
    """Draw the graph: values in black, gradients of g in colour below them, derivatives along the edges."""
    from matplotlib.figure import Figure

    nodes = forward(a, b, c, d)
    backward(nodes)
    figure = Figure(figsize=(9, 5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.5, 3.8), ylim=(-0.6, 3.6))
    axes.axis("off")
    for name, node in nodes.items():
        x, y = PLACES[name]
        for parent, derivative in node.parents:
            at = PLACES[parent.name.split()[0]]
            axes.annotate("", (x - 0.32, y), (at[0] + 0.32, at[1]), arrowprops={"arrowstyle": "->", "color": "grey"})
            middle = (at[0] + x) / 2, (at[1] + y) / 2 + 0.13
            axes.text(*middle, f"{derivative:g}", ha="center", color="grey", size=11)
        axes.text(x, y + 0.12, f"{node.name} = {node.value:g}", ha="center", size=12, **_box())
        axes.text(x, y - 0.26, f"dg/d{name} = {node.gradient:g}", ha="center", color=COLOURS[1], size=11)
    axes.set_title("Forward: values, from left to right. Backward: gradients, from right to left.", loc="left")
    save_figure(path, figure)


def _box() -> dict:
    return {"bbox": {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": COLOURS[0]}}
