"""A diagnosis from a table: a small network beside four classical methods, and which differences are noise.

    python apps/tables.py                              569 tumours that come with scikit-learn
    python apps/tables.py pima.csv                     the last column, or --target NAME, is predicted from the others
    python apps/tables.py train --data pima.csv        keeps a network with its preprocessing
    python apps/tables.py --model outputs/tables/train new.csv     writes the table with answers and probabilities

Method: ten-fold cross-validation, all folds' networks trained at once: their weights have one axis more. Everything
that is fitted, the preprocessing too, is fitted to the training rows of each fold. Differences are tested with the
corrected t-test of Nadeau & Bengio (2003, "Inference for the generalization error", Machine Learning 52).
What it prints is no medical advice, and the program is no medical device. Figures are in docs/tables.md.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tyro

from apps.parts.tables import comparison
from apps.parts.tables.answering import Trained, write_answers
from apps.parts.tables.preparing import Columns, Preprocessing, Problem, problem_of
from apps.parts.tables.samples import sample_table
from shared import cli, saved_models, settings
from shared.console import say
from shared.data.tables import read_table
from shared.errors import UserError
from shared.files import output_path
from shared.settings import Range, Seed, Settings, Training
from shared.training import devices

if TYPE_CHECKING:
    import keras

APP = "tables"
ROW_SHARES = (0.1, 0.25, 0.5)  # of the training rows: how much do more of them help?
UNROLLED = 5  # updates in one compiled call
NO_DEVICE = "This is no medical device: no answer here is advice about anybody's health."


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Diagnose(Settings):
    """Compare a network with four classical methods on a table; or, with --model, answer for each row of one."""

    table: tyro.conf.Positional[Path | None] = None
    """A CSV file; by default scikit-learn's breast cancer data (Wisconsin, 569 tumours)."""
    target: str | None = None
    """The column to predict; by default the last one."""
    model: Path | None = None
    """A run of `train`, or its model.keras: it answers for each row of the table."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the sheet goes or, with --model, the table with the answers."""
    folds: Annotated[int, Range(2, 20)] = 10
    """Parts of the table; each is answered by networks that learned from the others."""
    units: Annotated[int, Range(1, 1_000)] = 16
    """Hidden units of each network."""
    epochs: Annotated[int, Range(1, 10_000)] = 30
    """Passes over the training rows."""
    learning_rate: Annotated[float, Range(1e-6, 1)] = 3e-3
    """Adam's step size."""
    weight_decay: Annotated[float, Range(0, 10)] = 0.1
    """AdamW's pull of all weights towards zero."""
    members: Annotated[int, Range(1, 100)] = 5
    """Networks for each fold that differ in their first weights; the mean of their answers counts."""
    seed: Seed = 1
    """Seed of the folds, the weights and the order of the rows."""


@dataclass
class Train(Training):
    """Learn a table; the networks with the best validation loss are saved as RUN/model.keras."""

    QUICK: ClassVar = {"epochs": 10}

    run: Path = Path("outputs/tables/train")
    data: Path | None = None
    """A CSV file; by default scikit-learn's breast cancer data. A tenth of its rows is for validation."""
    target: str | None = None
    """The column to predict; by default the last one."""
    units: Annotated[int, Range(1, 1_000)] = 16
    """Hidden units of each network."""
    epochs: Annotated[int, Range(1, 10_000)] = 60
    """Passes over the training rows."""
    learning_rate: Annotated[float, Range(1e-6, 1)] = 3e-3
    """Adam's step size."""
    weight_decay: Annotated[float, Range(0, 10)] = 0.1
    """AdamW's pull of all weights towards zero."""
    members: Annotated[int, Range(1, 100)] = 5
    """Networks that differ in their first weights; the mean of their answers counts."""


# ------------------------------------------------------------------------------------------------------- Network


def draw_weights(copies: int, sizes: list[int], seed: int) -> list[keras.Variable]:
    """Kernel (copies, in, out) and bias (copies, 1, out) of each layer, for networks that never meet; Glorot's draw."""
    import keras

    rng, weights = np.random.default_rng(seed), []
    for inputs, outputs in itertools.pairwise(sizes):
        limit = (6 / (inputs + outputs)) ** 0.5
        kernel = rng.uniform(-limit, limit, (copies, inputs, outputs))
        weights += [
            keras.Variable(kernel, dtype="float32"),
            keras.Variable(np.zeros((copies, 1, outputs)), dtype="float32"),
        ]
    return weights


def scores(weights: list, x: Any) -> Any:
    """Inputs (copies, batch, inputs) -> logits, or the one number, (copies, batch, outputs)."""
    from keras import ops

    for n in range(0, len(weights), 2):
        x = ops.matmul(x, weights[n]) + weights[n + 1]
        x = ops.tanh(x) if n + 2 < len(weights) else x
    return x


def losses(weights: list, x: Any, wanted: Any) -> Any:
    """Each network's mean loss, (copies,): cross-entropy for classes, squared error for a number."""
    from keras import ops

    found = scores(weights, x)
    if wanted.shape[-1] == 1:
        return ops.mean(ops.square(found - wanted), axis=(1, 2))
    return -ops.mean(ops.sum(wanted * ops.log_softmax(found), axis=-1), axis=1)


def total_loss(weights: list, x: Any, wanted: Any) -> Any:
    """The sum of all networks' losses, a scalar."""
    from keras import ops

    return ops.sum(losses(weights, x, wanted))


def answers(weights: list, x: np.ndarray, classes: bool) -> np.ndarray:
    """Probabilities (copies, rows, classes), or the numbers (copies, rows, 1)."""
    from keras import ops

    found = scores(weights, ops.convert_to_tensor(x))
    return ops.convert_to_numpy(ops.softmax(found) if classes else found)


# -------------------------------------------------------------------------------------------------------- Update


def compiled_update(weights: list, config: Any) -> tuple[Callable, keras.Optimizer]:
    """A step for all networks: (x, wanted), each (batch, UNROLLED, copies, ...), -> their mean loss."""
    from keras import ops

    from shared.training.adam import Adam
    from shared.training.steps import compile_step, value_and_grad

    optimizer = Adam(config.learning_rate, weight_decay=config.weight_decay)
    optimizer.build(weights)

    def updates(x: Any, wanted: Any) -> dict[str, Any]:
        found = []
        x, wanted = ops.moveaxis(x, 0, 2), ops.moveaxis(wanted, 0, 2)  # (UNROLLED, copies, batch, ...)
        for n in range(x.shape[0]):
            # the sum: no network's gradient feels how many others there are
            total = partial(total_loss, weights, x[n], wanted[n])
            loss, gradients = value_and_grad(total, weights)
            optimizer.apply(gradients, weights)
            found.append(loss)
        return {"loss": sum(found) / (len(found) * weights[0].shape[0])}

    return compile_step(updates, weights, optimizer), optimizer


def epoch_of(update: Callable, x: np.ndarray, wanted: np.ndarray, seed: list[int]) -> float:
    """One pass over the rows, x (copies, rows, inputs), in an order of its own for each network; the mean loss."""
    from shared.training.steps import shard

    copies, rows, _ = x.shape
    batch = min(32, rows)
    order = np.random.default_rng(seed).random((copies, rows)).argsort(axis=1)
    calls = max(rows // (batch * UNROLLED), 1)
    chosen = np.resize(order.T, (calls, UNROLLED, batch, copies)).transpose(0, 2, 1, 3)
    each = np.arange(copies)
    found = [update(*shard(x[each, places], wanted[each, places]))["loss"] for places in chosen]
    return float(np.mean([float(loss) for loss in found]))


# ---------------------------------------------------------------------------------------------- Cross-validation


def cross_validate(config: Diagnose, problem: Problem, folds: list[comparison.Fold]) -> tuple[Callable, np.ndarray]:
    """All folds' networks, trained at once.

    Returns:
        A function from columns, such as the problem's, to what each row's networks, which never saw it, answer, (rows,
        classes or 1); and the mean loss after each epoch, of the rows learned from and of those left out, (epochs, 2,
        folds).
    """
    sizes = [max(fold.x.shape[1] for fold in folds), config.units, folds[0].wanted.shape[1]]
    stack = partial(comparison.stacked, folds, config.members)
    x, wanted = stack("learned", min(len(fold.learned) for fold in folds), sizes[0])
    left_out = stack("left_out", min(len(fold.left_out) for fold in folds), sizes[0])
    weights = draw_weights(len(folds) * config.members, sizes, config.seed)
    update, _ = compiled_update(weights, config)
    curve = []
    for epoch in range(config.epochs):
        epoch_of(update, x, wanted, [config.seed, epoch])
        found = [np.asarray(losses(weights, *map(comparison.tensor, part))) for part in ((x, wanted), left_out)]
        curve.append([loss.reshape(len(folds), -1).mean(axis=1) for loss in found])
    return partial(answers_of_folds, weights, problem, folds, config.members, sizes[0]), np.array(curve)


def answers_of_folds(
    weights: list, problem: Problem, folds: list[comparison.Fold], members: int, inputs: int, columns: Columns
) -> np.ndarray:
    """What each row's networks, which never saw it, answer to these columns, (rows, classes or 1)."""
    longest = max(len(fold.left_out) for fold in folds)
    seen = [replace(fold, x=fold.preprocessing(columns)) for fold in folds]
    x, _ = comparison.stacked(seen, members, "left_out", longest, inputs)
    given = answers(weights, x, bool(problem.classes))
    means = given.reshape(len(folds), members, longest, -1).mean(axis=1)
    return comparison.by_row(problem, folds, list(means))


def by_rows(config: Diagnose, problem: Problem, folds: list[comparison.Fold]) -> dict[int, np.ndarray]:
    """The network's score in each fold, (folds,), by the number of rows that it learned from."""
    rng, fewer = np.random.default_rng(config.seed), replace(config, members=min(config.members, 2))
    found = {}
    for share in ROW_SHARES:
        count = max(round(share * min(len(fold.learned) for fold in folds)), 2)
        smaller = [comparison.fold_of(problem, rng.permutation(fold.learned)[:count], fold.left_out) for fold in folds]
        network, _ = cross_validate(fewer, problem, smaller)
        given = network(problem.columns)
        found[count] = np.array([comparison.score(problem, given, fold.left_out) for fold in folds])
    return found


def compared(config: Diagnose, problem: Problem) -> comparison.Comparison:
    """The network and its rivals on the same folds."""
    folds = comparison.folds_of(problem, config.folds, config.seed)
    network, curve = cross_validate(config, problem, folds)
    found = {"network": network(problem.columns)} | comparison.rivals(problem, folds, config.seed)
    return comparison.Comparison(
        problem,
        folds,
        found,
        curve,
        comparison.importance(network, problem, folds, config.seed),
        by_rows(config, problem, folds),
    )


# ------------------------------------------------------------------------------------------------------ Training


def shipped(weights: list, sizes: list[int], members: int, classes: bool) -> keras.Model:
    """The mean of the members' answers as one network of Keras' own layers: inputs (batch, inputs) -> answers."""
    import keras
    from keras import layers

    x = keras.Input((sizes[0],), name="inputs")
    ends, made = [], []
    for _ in range(members):
        hidden = layers.Dense(sizes[1], activation="tanh", dtype="float32")
        last = layers.Dense(sizes[2], activation="softmax" if classes else None, dtype="float32")
        ends.append(last(hidden(x)))
        made += [hidden, last]
    network = keras.Model(x, layers.Average(dtype="float32")(ends) if members > 1 else ends[0], name=APP)
    values = [np.asarray(variable) for variable in weights]
    for member in range(members):
        for n, layer in enumerate(made[2 * member : 2 * member + 2]):
            layer.set_weights([values[2 * n][member], values[2 * n + 1][member, 0]])
    return network


def start_from(init: Path, weights: list, network: keras.Model) -> None:
    """Begin with the weights of a saved network of the same shape."""
    saved_models.start_from(network, init)
    values = network.get_weights()
    for n, variable in enumerate(weights):
        members = np.stack(values[n :: len(weights)])
        variable.assign(members.reshape(variable.shape))


def fit(config: Train, problem: Problem) -> float:
    """The training itself; returns the best validation loss."""
    from shared.training import custom_loop

    fold = comparison.folds_of(problem, 10, config.seed)[0]
    sizes = [fold.x.shape[1], config.units, fold.wanted.shape[1]]
    x, wanted = comparison.stacked([fold], config.members, "learned", len(fold.learned), sizes[0])
    held_out = comparison.stacked([fold], config.members, "left_out", len(fold.left_out), sizes[0])
    weights = draw_weights(config.members, sizes, config.seed)
    if config.init:
        start_from(config.init, weights, shipped(weights, sizes, config.members, bool(problem.classes)))
    update, optimizer = compiled_update(weights, config)
    record: dict[str, Any] = {
        "target": problem.target,
        "classes": problem.classes,
        "recipes": fold.preprocessing.recipes,
    }
    record |= {"centre": fold.centre, "scale": fold.scale}

    def learner(done: int) -> Iterator[tuple[int, dict[str, float]]]:
        for epoch in range(done, config.epochs):
            yield epoch + 1, {"loss": epoch_of(update, x, wanted, [config.seed, epoch])}

    def validate() -> float:
        return float(np.asarray(losses(weights, *map(comparison.tensor, held_out))).mean())

    def save_best(epoch: int, loss: float) -> None:
        network = shipped(weights, sizes, config.members, bool(problem.classes))
        saved_models.save(network, config.run, asdict(config) | record | {"epoch": epoch, "val_loss": loss}, False)

    owners = {"weights": weights, "optimizer": optimizer}
    way = {"total": config.epochs, "unit": "epochs", "validate_every": 1, "metric": "val_loss", "resume": config.resume}
    plot = (("loss", "val_loss"),)
    return custom_loop.train(learner, owners, validate, save_best, config.run, **way, plot=plot)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------------- Verbs


def problem_in(path: Path | None, target: str | None, folds: int = 10) -> Problem:
    """The table and what is asked of it; UserError if nothing can be learned."""
    problem = problem_of(read_table(path) if path else sample_table(), target)
    comparison.check_folds(problem, folds)
    return problem


def train(config: Train) -> None:
    """Learn a table, and keep the network with its preprocessing; Ctrl-C saves, --resume goes on."""
    config = settings.resumed(config)
    problem = problem_in(config.data, config.target)
    settings.begin(config)
    with devices.training(config):
        best = fit(config, problem)
    print(f"Best validation loss: {best:.4f}. The model and its curve are in {config.run}.")
    print(f"Let it answer: python apps/{APP}.py --model {config.run} FILE.csv")


def load(model: Path) -> Trained:
    """A saved network with its preprocessing; UserError if this app did not train it."""
    network, config = saved_models.load_for(APP, model)
    if network.name != APP or not {"recipes", "classes", "target", "centre", "scale"} <= config.keys():
        raise UserError(f"{model} is not a network that this app trained, with its preprocessing in config.json.")
    centre, scale = float(config["centre"]), float(config["scale"])
    return Trained(network, Preprocessing(config["recipes"]), config["target"], tuple(config["classes"]), centre, scale)


def answer(config: Diagnose) -> None:
    """Write a table again, with columns of answers and probabilities."""
    assert config.model is not None
    path = output_path(config.output, APP, "answers.csv")
    table = read_table(config.table) if config.table else sample_table()
    trained = load(config.model)
    write_answers(path, table, trained)
    print(f"{len(table.cells):,} rows are answered in {path}.")
    say(NO_DEVICE)


def diagnose(config: Diagnose) -> None:
    """One sheet: how good the network is, beside whom, how sure, and what it looks at."""
    from apps.parts.tables.sheet import save_sheet

    if config.model:
        return answer(config)
    path = output_path(config.output, APP, "sheet.png")
    problem = problem_in(config.table, config.target, config.folds)
    with devices.setup(config.seed, "float32"):
        found = compared(config, problem)
    save_sheet(path, found)
    print(comparison.report(found))
    print(f"The sheet is {path}.")
    say(NO_DEVICE)
    say(f"Try next: python apps/{APP}.py YOUR.csv --target NAME, or: python apps/{APP}.py train --data YOUR.csv")


if __name__ == "__main__":
    cli.run(__doc__, diagnose, {"train": train})
