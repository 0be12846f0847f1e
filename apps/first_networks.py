"""The first networks of the lecture, learned before your eyes: perceptrons, hidden layers, a surface of 501 weights.

    python apps/first_networks.py                                a sheet of six results
    python apps/first_networks.py --task spirals --film          one problem, and a film of the boundary as it learns
    python apps/first_networks.py --task YOUR.csv --layers 8,8   two columns of numbers, and a class or a value
    python apps/first_networks.py evaluate                       the lecture's statements, measured over many seeds

Method: the perceptron rule (Rosenblatt 1958) and back-propagation (Rumelhart, Hinton & Williams 1986). All seeds are
trained at once, each a network of its own (shared/layers/parallel_dense.py), so that a curve has a band for the price
of a line. Nothing is downloaded and no model is shipped: everything here is learned when it is asked for.
What was measured, and whether the lecture agrees, is in docs/first_networks.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.first_networks import graph, panels, statements
from apps.parts.first_networks.table import read_task
from apps.parts.first_networks.tasks import TASKS, Task, earthquakes, gate, spirals, surface
from shared import cli
from shared.console import say
from shared.drawing.film import Film
from shared.drawing.pictures import picture_path
from shared.errors import UserError, suggest
from shared.files import output_path
from shared.settings import Range, Seed, Settings
from shared.training.runtime import import_keras

if TYPE_CHECKING:
    import keras

APP = "first_networks"
MOST_UNITS, MOST_LAYERS = 1000, 20
SPREAD = 6.0  # radians a unit of the input: the standard deviation of the frequencies of Fourier features


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Learn(Settings):
    """Learn one of the first problems with several seeds at once, and draw what was learned."""

    task: str = ""
    """earthquakes, gates (XOR), majority, restaurant, spirals, surface, rosenbrock, letters, graph, or a CSV file; by
    default a sheet of six results."""
    layers: str = "20,20"
    """Units of the hidden layers, with commas between; 0 for none."""
    activation: Literal["tanh", "relu", "sigmoid", "sine"] = "tanh"
    """What a hidden unit makes of its sum."""
    features: Annotated[int, Range(0, 1000)] = 0
    """Fourier features instead of the inputs: sines and cosines of so many random sums of them; 0 for none."""
    optimizer: Literal["perceptron", "sgd", "momentum", "adam"] = "adam"
    """perceptron is Rosenblatt's rule, without hidden layers."""
    rate: Annotated[float, Range(1e-6, 100)] = 0.01
    """Learning rate; of the perceptron rule it falls as 1000 / (1000 + examples seen) times this."""
    updates: Annotated[int, Range(1, 1_000_000)] = 1000
    """Updates of the weights."""
    batch: Annotated[int, Range(1, 100_000)] = 128
    """Examples in an update, drawn at random; all, where there are not so many."""
    seeds: Annotated[int, Range(1, 1000)] = 10
    """Networks that are trained at once, each from other weights."""
    l2: Annotated[float, Range(0, 1)] = 0.0
    """Penalty on the squares of the weights."""
    dropout: Annotated[float, Range(0, 0.9)] = 0.0
    """Share of hidden units left out in an update."""
    noise: Annotated[float, Range(0, 10)] = 0.0
    """Error of the measurements in earthquakes, and of the places in spirals."""
    seed: Seed = 1
    """Seed of the data, the weights and the order."""
    film: bool = False
    """Film the first network's answers everywhere as it learns (tasks of two inputs)."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the picture goes; a film has its name and .webp."""

    def __post_init__(self) -> None:
        super().__post_init__()
        hidden_units(self.layers)


@dataclass
class Evaluate(Settings):
    """Measure the lecture's statements, each over many seeds, and print them with their spreads."""

    statement: Literal["all", "perceptron", "tables", "xor", "gradients", "overfitting", "surface", "rosenbrock"] = (
        "all"
    )
    """Which of them; all take some minutes."""
    seeds: Annotated[int, Range(2, 1000)] = 10
    """Networks of each kind."""
    updates: Annotated[int, Range(10, 1_000_000)] = 4000
    """Updates of each network on a surface."""


def hidden_units(text: str) -> list[int]:
    """20,20 as [20, 20], and 0 as []; UserError if it is anything else."""
    words = [word.strip() for word in text.split(",")]
    if words == ["0"]:
        return []
    if not all(word.isdecimal() and 0 < int(word) <= MOST_UNITS for word in words) or len(words) > MOST_LAYERS:
        raise UserError(
            f"--layers is {text[:40]}: give up to {MOST_LAYERS} layers of 1 to {MOST_UNITS:,} units, or 0 for none."
        )
    return [int(word) for word in words]


# ----------------------------------------------------------------------------------------------- The perceptron


def perceptron(
    task: Task, rates: Callable[[int], float], updates: int, seeds: int, seed: int = 0
) -> Iterator[tuple[int, np.ndarray]]:
    """Rosenblatt's rule: after a wrong answer the weights move towards the example, or away from it; after a right
    one they stay.

    Each of `seeds` perceptrons sees the examples in an order of its own. Gives the number of examples seen and the
    weights (seeds, inputs + 1), the threshold last, after every example. It learns from inputs whose mean is zero: with
    others the threshold, which moves by the same step, takes a hundred times as long.
    """
    centre = task.inputs.mean(axis=0)
    inputs = np.concatenate([task.inputs - centre, np.ones((len(task.inputs), 1))], axis=1)
    weights = np.zeros((seeds, inputs.shape[1]))
    rng = np.random.default_rng(seed)
    for step in range(updates):
        chosen = rng.integers(len(inputs), size=seeds)
        x, y = inputs[chosen], task.targets[chosen]
        answer = (weights * x).sum(axis=1) > 0
        weights = weights + rates(step) * (y - answer)[:, None] * x
        yield step + 1, np.column_stack([weights[:, :-1], weights[:, -1] - weights[:, :-1] @ centre])


def share_right(task: Task, weights: np.ndarray) -> np.ndarray:
    """The share of a task's examples on the right side, for each of the perceptrons, (seeds,)."""
    sides = task.inputs @ weights[:, :-1].T + weights[:, -1] > 0
    return (sides == task.targets[:, None]).mean(axis=0)


# --------------------------------------------------------------------------------------------------- Networks


def networks(copies: int, inputs: int, outputs: int, config: Learn) -> keras.Model:
    """As many networks, each with weights of its own: (copies, batch, inputs) -> (copies, batch, outputs)."""
    import keras
    from keras import ops

    from shared.layers.parallel_dense import ParallelDense

    # Of few inputs, small weights make a first layer that is nearly linear; sine units begin with several turns in
    # the space of the inputs (Sitzmann et al. 2020, arXiv:2006.09661).
    widest = 6.0 if config.activation == "sine" else 3.0
    wide = keras.initializers.RandomUniform(-widest, widest)
    first = (wide, wide) if inputs <= 2 else ("glorot_uniform", "zeros")
    x = given = keras.Input(batch_shape=(copies, None, inputs))
    if config.features:  # Tancik et al. 2020, arXiv:2006.10739: what a small network finds hard to bend is given to it
        waves = np.random.default_rng(config.seed).normal(0, SPREAD, (copies, inputs, config.features))
        turns = ops.matmul(x, waves.astype(np.float32))
        x = ops.concatenate([ops.sin(turns), ops.cos(turns)], axis=-1)  # (copies, batch, 2 * features)
        first = ("glorot_uniform", "zeros")
    for n, units in enumerate(hidden_units(config.layers)):
        activation = ops.sin if config.activation == "sine" else config.activation
        weights = ("glorot_uniform", "zeros") if n else first
        x = ParallelDense(units, activation, weights[0], weights[1], seed=100 * config.seed + n)(x)
        if config.dropout:
            x = keras.layers.Dropout(config.dropout, seed=config.seed)(x)
    x = ParallelDense(outputs, seed=100 * config.seed + 99)(x)
    return keras.Model(given, x)


def losses_of(task: Task, outputs: Any, targets: Any) -> Any:
    """The mean loss of each network, (copies,): cross entropy of classes, the squared error of values."""
    from keras import ops

    if task.classes:
        each = ops.sparse_categorical_crossentropy(targets, outputs, from_logits=True)
    else:
        each = ops.square(outputs[..., 0] - targets)
    return ops.mean(each, axis=1)


def optimizer_of(config: Learn) -> keras.optimizers.Optimizer:
    """What turns gradients into updates."""
    import keras

    from shared.training.optimizers import adam

    if config.optimizer == "adam":
        falling = keras.optimizers.schedules.CosineDecay(config.rate, config.updates, alpha=0.01)
        return adam(falling)
    return keras.optimizers.SGD(config.rate, momentum=0.9 if config.optimizer == "momentum" else 0.0)


def update_of(network: keras.Model, optimizer: keras.optimizers.Optimizer, task: Task, l2: float) -> Callable:
    """Back-propagation in all networks at once: (inputs, targets) -> each network's loss before the update, (copies,).

    The sum of the networks' losses is what is differentiated: no weight has a part in another network's loss, so each
    gets the gradient that it would have alone.
    """
    from keras import ops

    from shared.training.steps import compile_step, value_and_grad

    optimizer.build(network.trainable_variables)

    def update(inputs: Any, targets: Any) -> Any:  # (copies, batch, inputs), (copies, batch)
        def loss() -> tuple:
            each = losses_of(task, network(inputs, training=True), targets)
            kernels = [layer.kernel for layer in network.layers if hasattr(layer, "kernel")]
            return ops.sum(each) + l2 * sum(ops.sum(ops.square(kernel)) for kernel in kernels), each

        (_, each), gradients = value_and_grad(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        return each

    return compile_step(update, network, optimizer)


@dataclass
class Learned:
    """Networks that have learned a task."""

    task: Task
    network: keras.Model
    curve: np.ndarray
    """The loss of each network at each update, float32 (updates, copies)."""

    def answers(self, inputs: np.ndarray) -> np.ndarray:
        """What the networks answer, (copies, examples, outputs)."""
        copies = self.network.input_shape[0]
        return np.asarray(self.network(np.repeat(inputs[None], copies, axis=0)))

    def losses(self, task: Task | None = None) -> np.ndarray:
        """The loss of each network on all examples, (copies,)."""
        task = task or self.task
        return np.asarray(
            losses_of(task, self.answers(task.inputs), np.repeat(task.targets[None], len(self.curve[0]), 0))
        )

    def right(self, task: Task | None = None) -> np.ndarray:
        """The share of right answers of each network, (copies,)."""
        task = task or self.task
        return (self.answers(task.inputs).argmax(axis=-1) == task.targets).mean(axis=1)


def watched(task: Task, config: Learn, every: int) -> Iterator[tuple[int, Learned]]:
    """Train `config.seeds` networks at once, and give them after every so many updates, and at the end."""
    import_keras()
    network = networks(config.seeds, task.inputs.shape[1], task.outputs, config)
    step = update_of(network, optimizer_of(config), task, config.l2)
    rng = np.random.default_rng(config.seed)
    batch = min(config.batch, len(task.inputs))
    curve = np.zeros((config.updates, config.seeds), np.float32)
    for n in range(config.updates):
        if n % every == 0:
            yield n, Learned(task, network, curve[:n])
        chosen = rng.integers(len(task.inputs), size=(config.seeds, batch))
        if batch == len(task.inputs):  # all of them
            chosen = np.tile(np.arange(batch), (config.seeds, 1))
        curve[n] = np.asarray(step(task.inputs[chosen], task.targets[chosen]))
    yield config.updates, Learned(task, network, curve)


def learn(task: Task, config: Learn) -> Learned:
    """Train `config.seeds` networks at once."""
    *_, (_, learned) = watched(task, config, config.updates)
    return learned


# --------------------------------------------------------------------------------------------------------- Verbs


def evaluate(config: Evaluate) -> None:
    """Measure the lecture's statements; each line says over how many seeds."""
    chosen = (
        statements.STATEMENTS
        if config.statement == "all"
        else {config.statement: statements.STATEMENTS[config.statement]}
    )
    for measure in chosen.values():
        measure(config)


def find_task(config: Learn) -> Task:
    """The task that the settings name; UserError if there is none."""
    if config.task in TASKS:
        return TASKS[config.task](config.noise, config.seed)
    path = Path(config.task).expanduser()
    if path.suffix or path.exists():
        return read_task(path)
    known = [*TASKS, "graph"]
    raise UserError(
        f"there is no task {config.task}.{suggest(config.task, known) or ' There are: ' + ', '.join(known) + '.'}"
    )


def show(config: Learn) -> None:
    """Learn, and draw it."""
    if not config.task:
        return sheet(config)
    path = picture_path(config.output, APP, f"{Path(config.task).stem}.png")
    if config.task == "graph":
        graph.save_graph(path)
        print(f"g = (3a + b)(2c + d), forward and backward: {path}")
        return
    task = find_task(config)
    if config.optimizer == "perceptron":
        return show_perceptron(task, config, path)
    film = output_path(path.with_suffix(".webp"), APP, "film.webp") if config.film else None
    if film and task.inputs.shape[1] != 2:
        raise UserError(f"--film is for tasks of two inputs, and {task.name} has {task.inputs.shape[1]}.")
    say(f"{task.name}: {len(task.inputs):,} examples, {config.seeds} networks at once ...")
    learned = filmed(task, config, film) if film else learn(task, config)
    told = f"{learned.right().mean():.1%} right" if task.classes else f"squared error {np.median(learned.losses()):.4f}"
    print(f"{task.name}, --layers {config.layers}: {told}, {config.seeds} seeds (of values: median, variance 1).")
    panels.save_result(path, learned)
    print(f"What it learned: {path}")
    say(f"Try next: python apps/{APP}.py --task {config.task} --layers 4, or: python apps/{APP}.py --task YOUR.csv")


def show_perceptron(task: Task, config: Learn, path: Path) -> None:
    """The perceptron rule on a task of two classes, as a learning curve."""
    if task.classes != 2:
        raise UserError(f"the perceptron rule is for two classes, and {task.name} has {task.classes or 'values'}.")
    curve = [
        (step, share_right(task, weights))
        for step, weights in perceptron(task, lambda t: config.rate * 1000 / (1000 + t), config.updates, config.seeds)
        if step % max(config.updates // 500, 1) == 0
    ]
    panels.save_curve(path, curve, f"{task.name}, perceptron rule")
    print(f"{task.name}, perceptron rule: {curve[-1][1].mean():.1%} right after {config.updates:,} examples: {path}")


def filmed(task: Task, config: Learn, path: Path) -> Learned:
    """Learn, and film the first network's answers everywhere, more often in the beginning."""
    moments = {*np.geomspace(1, config.updates, 90).astype(int) - 1, config.updates}
    with Film(path, fps=15) as film:
        for step, learned in watched(task, config, 1):
            if step in moments:
                frame = panels.landscape(learned, f"update {step:,}")
                film.add(frame)
        for _ in range(15):  # the end stays a second
            film.add(frame)
    print(f"The film: {path}")
    return learned


def sheet(config: Learn) -> None:
    """Six results on one sheet: what the demo shows without arguments."""
    path = picture_path(config.output, APP, "sheet.png")
    quick: dict[str, Any] = {"seeds": config.seeds, "seed": config.seed}
    say("Learning: earthquakes, gates, spirals and a surface ...")
    noisy, clean = earthquakes(0.7, config.seed), earthquakes(0.0, config.seed)
    rules = {
        "separable, constant rate": list(perceptron(clean, lambda t: 1.0, 5000, config.seeds)),
        "noisy, constant rate": list(perceptron(noisy, lambda t: 1.0, 5000, config.seeds)),
        "noisy, rate 1000/(1000+t)": list(perceptron(noisy, lambda t: 1000 / (1000 + t), 5000, config.seeds)),
    }
    logistic = learn(noisy, Learn(layers="0", rate=0.5, updates=250, **quick))
    gates = {
        (name, layers): learn(gate(name), Learn(layers=layers, rate=0.1, updates=100, **quick))
        for name in ("AND", "OR", "XOR")
        for layers in ("0", "4")
    }
    turning = learn(spirals(0.02, config.seed), Learn(layers="20,20", rate=0.03, updates=400, **quick))
    ladder = {
        layers: learn(surface(), Learn(layers=layers, rate=0.02, updates=300, batch=128, seeds=3, seed=config.seed))
        for layers in statements.LADDER[:4]
    }
    curves = {
        name: [(step, share_right(clean if "separable" in name else noisy, weights)) for step, weights in seen[::25]]
        for name, seen in rules.items()
    }
    panels.save_sheet(path, noisy, rules, logistic, gates, turning, ladder, curves)
    for layers, learned in ladder.items():
        print(f"surface, --layers {layers}: squared error {np.median(learned.losses()):.3f} after 300 updates, 3 seeds")
    print(f"Six results: {path}")
    say(f"Try next: python apps/{APP}.py --task spirals --film, or: python apps/{APP}.py evaluate --statement xor")


if __name__ == "__main__":
    cli.run(__doc__, show, {"evaluate": evaluate})
