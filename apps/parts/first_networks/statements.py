"""The lecture's statements about first networks, each measured over many seeds and printed with its spread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.parts.first_networks.tasks import Task, earthquakes, gate, majority, restaurant, rosenbrock, surface

if TYPE_CHECKING:
    from apps.first_networks import Evaluate

LADDER = ("125", "20,20", "14,14,14", "15,15,15", "19,19,19")
"""Hidden layers of the lecture's networks on a surface: 501, 501, 477, 541 and 837 weights."""


FOURIER = 24
"""Random frequencies whose sines and cosines 10 hidden units see: 501 weights, and the frequencies are not learned."""


def perceptron_rule(config: Evaluate) -> None:
    """It converges on separable data, never settles on noisy data at a constant rate, and does at a falling one."""
    from apps.first_networks import perceptron, share_right

    print(f"Perceptron rule on earthquakes and explosions, 64 drawn examples, {config.seeds} orders:")
    for name, noise, rates in (
        ("separable, constant rate", 0.0, lambda t: 1.0),
        ("noisy, constant rate", 0.7, lambda t: 1.0),
        ("noisy, rate 1000/(1000+t)", 0.7, lambda t: 1000 / (1000 + t)),
    ):
        task = earthquakes(noise, seed=1)
        seen = perceptron(task, rates, 100_000, config.seeds)
        shares = np.array([share_right(task, weights) for step, weights in seen if step % 10 == 0])
        last = shares[-1000:]
        solved = [10 * (int(np.argmax(column == 1)) + 1) for column in shares.T if column.max() == 1]
        when = (
            f"all right after {np.median(solved):,.0f} examples (median of {len(solved)})"
            if solved
            else "never all right"
        )
        print(
            f"  {name:28} {when}; of the last 10,000 of 100,000: {last.mean():.1%} right, "
            f"moving by {100 * np.ptp(last, axis=0).mean():.1f} points (highest less lowest, mean of the orders)"
        )


def tables(config: Evaluate) -> None:
    """A perceptron and a decision tree on majority and restaurant: which one a problem suits decides."""
    from sklearn.tree import DecisionTreeClassifier

    from apps.first_networks import perceptron, share_right

    print(f"Right answers to 1,000 new examples, mean of {config.seeds} sets of examples:")
    for name, draw in (("majority of 11", majority), ("restaurant", restaurant)):
        test = draw(1000, 10_000)
        for count in (20, 60, 100):
            rule, tree = [], []
            for seed in range(config.seeds):
                task = draw(count, seed)
                *_, (_, weights) = perceptron(task, lambda t: 1000 / (1000 + t), 20 * count, 1, seed)
                rule.append(share_right(test, weights)[0])
                fitted = DecisionTreeClassifier(criterion="entropy", random_state=seed).fit(task.inputs, task.targets)
                tree.append(fitted.score(test.inputs, test.targets))
            print(f"  {name:16} {count:4} examples: perceptron {np.mean(rule):.1%}, tree {np.mean(tree):.1%}")


def xor(config: Evaluate) -> None:
    """The share of 1,000 random starts from which XOR is solved, by the number of hidden units."""
    from apps.first_networks import Learn, learn

    print("XOR from 1,000 random starts, 500 updates of Adam at .05, tanh:")
    for hidden in (0, 1, 2, 3, 4, 6, 8):
        learned = learn(gate("XOR"), Learn(layers=str(hidden), rate=0.05, updates=500, seeds=1000))
        print(f"  {hidden} hidden units: {(learned.right() == 1).mean():6.1%} solve it")


def gradients(config: Evaluate) -> None:
    """The norm of the gradient at each of ten layers, before any learning: sigmoid layers lose it."""
    import keras
    from keras import ops

    from apps.first_networks import Learn, losses_of, networks
    from shared.training.runtime import import_keras
    from shared.training.steps import compile_step, value_and_grad

    import_keras()
    task = Task("noise", *_noise(20), ("0", "1"))
    print(
        "Norm of the gradient of ten layers of 20 units, first to last, as a share of the last; "
        f"median of {config.seeds} starts:"
    )
    for activation in ("sigmoid", "tanh", "relu"):
        options: dict[str, Any] = {"activation": activation, "seeds": config.seeds}
        network = networks(config.seeds, 20, 2, Learn(layers=",".join(["20"] * 10), **options))
        kernels = [layer.kernel for layer in network.layers if hasattr(layer, "kernel")][:10]

        def norms(inputs: Any, targets: Any, network: keras.Model = network, kernels: list = kernels) -> Any:
            _, found = value_and_grad(lambda: ops.sum(losses_of(task, network(inputs), targets)), kernels)
            return ops.stack([ops.sqrt(ops.sum(ops.square(gradient), axis=(1, 2))) for gradient in found])

        copies = [np.repeat(array[None], config.seeds, axis=0) for array in (task.inputs, task.targets)]
        found = np.asarray(compile_step(norms, network)(*copies))  # (layers, seeds)
        print(f"  {activation:8}" + " ".join(f"{share:8.1e}" for share in np.median(found / found[-1], axis=1)))


def _noise(inputs: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(256, inputs)).astype(np.float32), rng.integers(0, 2, 256).astype(np.int32)


def overfitting(config: Evaluate) -> None:
    """Polynomials of degree 1, 2 and 10 through 12 noisy points of a parabola: errors on these and on new points."""
    print(
        f"Polynomials through 12 points of x^2 with noise .1, root mean squared error, median of {config.seeds} draws:"
    )
    for degree in (1, 2, 10):
        errors = []
        for seed in range(config.seeds):
            rng = np.random.default_rng(seed)
            x, new = np.linspace(-1, 1, 12), rng.uniform(-1, 1, 500)
            y = x**2 + rng.normal(0, 0.1, 12)
            fitted = np.polynomial.Polynomial.fit(x, y, degree)
            errors.append([_error(fitted(x), y), _error(fitted(new), new**2)])
        learned, held_out = np.median(errors, axis=0)
        print(f"  degree {degree:2}: {learned:.3f} on the 12 points, {held_out:.3f} from the parabola elsewhere")
    errors = []
    for seed in range(config.seeds):
        rng = np.random.default_rng(seed)
        x, new = np.linspace(-1, 1, 12), rng.uniform(-1, 1, 500)
        y = x**2 + rng.normal(0, 0.1, 12)
        wanted, at = new**2, np.polynomial.legendre.legvander(new, 10)
        errors.append([_error(at @ weights, wanted) for weights in _descended(x, y, 10, np.arange(12) % 3 == 1)])
    early, late = np.median(errors, axis=0)
    print(
        f"  degree 10 by gradient descent on 8 of the points: {late:.3f} elsewhere after 20,000 steps, "
        f"{early:.3f} where the error on the other 4 was smallest"
    )


def _descended(x: np.ndarray, y: np.ndarray, degree: int, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A polynomial's coefficients, found by going downhill on the points that are not `kept`.

    Gives them as they were when the error on the kept points was smallest (early stopping), and at the end.
    """
    features = np.polynomial.legendre.legvander(x, degree)  # (points, degree + 1)
    learned, weights = features[~kept], np.zeros(degree + 1)
    best, smallest = weights, np.inf
    for _ in range(20_000):
        weights = weights - 0.1 * learned.T @ (learned @ weights - y[~kept]) / len(learned)
        error = np.square(features[kept] @ weights - y[kept]).mean()
        if error < smallest:
            best, smallest = weights, error
    return best, weights


def _error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - wanted) ** 2)))


def _ladder(config: Evaluate, task: Task, told: str) -> None:
    from apps.first_networks import Learn, learn

    print(
        f"{told}; mean squared error as a share of the variance, {config.seeds} seeds, {config.updates:,} updates of "
        "Adam, batch 256:"
    )
    kinds = [(layers, "tanh", 0) for layers in LADDER] + [("20,20", "sine", 0), ("10", "tanh", FOURIER)]
    for layers, activation, features in kinds:
        began_s = time.perf_counter()
        options: dict[str, Any] = {"rate": 0.01, "updates": config.updates, "batch": 256, "seeds": config.seeds}
        learned = learn(task, Learn(layers=layers, **options | {"activation": activation, "features": features}))
        low, middle, high = np.percentile(learned.losses(), (10, 50, 90))
        weights = learned.network.count_params() // config.seeds
        took = f"{time.perf_counter() - began_s:.0f} s"
        fourier = f", {features} Fourier features" if features else ""
        print(
            f"  {layers:9} {activation}{fourier}, {weights} weights: "
            f"{middle:.4f} (10 to 90 %: {low:.4f} to {high:.4f}), {took}"
        )


def on_surface(config: Evaluate) -> None:
    """The lecture's ladder on a photo: how near come about 501 weights in one, two and three layers?"""
    _ladder(config, surface(), "The astronaut's face, 64 x 64")


def on_rosenbrock(config: Evaluate) -> None:
    """The same ladder on Rosenbrock's valley."""
    _ladder(config, rosenbrock(), "100 (y - x^2)^2 + (1 - x)^2, 64 x 64 places")


STATEMENTS: dict[str, Callable[[Evaluate], None]] = {
    "perceptron": perceptron_rule,
    "tables": tables,
    "xor": xor,
    "gradients": gradients,
    "overfitting": overfitting,
    "surface": on_surface,
    "rosenbrock": on_rosenbrock,
}
