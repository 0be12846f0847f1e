"""The tab "Learn": a data set, points that one clicks or one's own file, and a boundary that moves as it learns."""

import gradio as gr
import numpy as np

from apps import first_networks as app
from apps.parts.first_networks import panels
from apps.parts.first_networks.table import read_task
from apps.parts.first_networks.tasks import TASKS, Task
from shared import tabs
from shared.errors import UserError, in_range

TITLE, POSITION = "Learn", 80
GROUP, PICTURE = "Learn", "docs/first_networks.webp"
EXAMPLE = "lines by the perceptron rule, gates with and without a hidden layer, two spirals, a painted surface"
PICTURES = 25  # of a training
SETS = ["spirals", "earthquakes", "gates", "surface", "rosenbrock", "points that I click", "a file of mine"]


def show() -> None:
    """Lay out the tab."""
    points = gr.State([])
    with gr.Row():
        with gr.Column():
            name = gr.Dropdown(SETS, value=SETS[0], label="What to learn")
            file = gr.File(label="Or a CSV file: two columns of numbers, and a class or a value", file_types=[".csv"])
            side = gr.Radio(["blue", "orange"], value="blue", label="The class of the next point that you click")
            hint = "Click to add points"
            board = gr.Image(drawn([]), label=hint, alt_text=hint, interactive=False, height=240, buttons=[])
            layers = gr.Textbox("20,20", label="Units of the hidden layers; 0 for none", max_length=80)
            activation = gr.Dropdown(["tanh", "relu", "sigmoid", "sine"], value="tanh", label="Activation")
            rate = gr.Slider(0.001, 0.1, 0.02, step=0.001, label="Learning rate")
            noise = gr.Slider(0, 0.5, 0.02, step=0.01, label="Noise")
            start = gr.Button("Learn", variant="primary")
        with gr.Column():
            picture = tabs.picture_output("What the network answers, everywhere")
            told = gr.Textbox(label="How well")

    def place(points, side, event: gr.SelectData):
        points = [*points, (event.index[0] / panels.FRAME, 1 - event.index[1] / panels.FRAME, int(side == "orange"))]
        return points, drawn(points)

    def learn(name, file, points, layers, activation, rate, noise):
        with tabs.errors_shown():
            task = chosen_task(name, file, points, float(in_range("Noise", noise, 0, 0.5)))
            rate = float(in_range("Learning rate", rate, 0.001, 0.1))
            layers = tabs.checked_text(layers, 80)
            config = app.Learn(layers=layers, activation=activation, rate=rate, updates=600, seeds=1)
            for step, learned in app.watched(task, config, 600 // PICTURES):
                right = (
                    f"{learned.right()[0]:.1%} right" if task.classes else f"squared error {learned.losses()[0]:.3f}"
                )
                yield panels.landscape(learned, f"update {step:,}"), right

    board.select(place, [points, side], [points, board], api_visibility="private")
    given = [name, file, points, layers, activation, rate, noise]
    start.click(learn, given, [picture, told], api_name="learn", **tabs.LATEST)


def chosen_task(name: str, file: str | None, points: list, noise: float) -> Task:
    """The task of the dropdown, of the clicked points or of the file; UserError if there is none yet."""
    if name == SETS[-1]:
        if not file:
            raise UserError("there is no file yet: choose one.")
        return read_task(app.Path(file))
    if name == SETS[-2]:
        if len({label for _, _, label in points}) < 2:
            raise UserError("click at least one point of each class first.")
        table = np.array(points)
        return Task("points", table[:, :2].astype(np.float32) * 2 - 1, table[:, 2].astype(np.int32), ("blue", "orange"))
    if name not in TASKS:
        raise UserError(f"there is no task {name}.")
    return TASKS[name](noise, 1)


def drawn(points: list) -> np.ndarray:
    """The points on white, uint8 (FRAME, FRAME, 3)."""
    board = np.full((panels.FRAME, panels.FRAME, 3), 255, np.uint8)
    for x, y, label in points:
        panels.add_dot(board, int(x * panels.FRAME), int((1 - y) * panels.FRAME), label)
    return board
