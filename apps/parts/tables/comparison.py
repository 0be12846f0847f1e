"""The same folds for all: the classical rivals, their scores, and which differences are noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from apps.parts.tables.preparing import Preprocessing, Problem
from shared.errors import UserError

MOST_NUMBERS = 20_000_000  # inputs of all folds together


@dataclass(frozen=True)
class Fold:
    """One division of the rows, and all of them as the training rows' preprocessing makes them."""

    learned: np.ndarray
    left_out: np.ndarray
    preprocessing: Preprocessing
    x: np.ndarray
    "Inputs of every row, (rows, inputs)."
    wanted: np.ndarray
    "One of many, (rows, classes); or the number, centred and scaled by the training rows, (rows, 1)."
    centre: float = 0.0
    scale: float = 1.0


def check_folds(problem: Problem, folds: int) -> None:
    """UserError if a class is too rare for so many folds, or the table too large."""
    if problem.classes:
        counts = np.bincount(problem.answers, minlength=len(problem.classes))
        if counts.min() < folds:
            rarest = problem.classes[counts.argmin()]
            raise UserError(
                f"{problem.name} has {counts.min()} rows of {problem.target} {rarest}, and each of {folds} folds needs "
                "one: give more rows, or leave that class out."
            )
    elif len(problem) < folds * 2:
        raise UserError(f"{problem.name} has {len(problem)} rows, too few for {folds} folds: give more.")
    size = len(problem) * len(problem.columns) * folds
    if size > MOST_NUMBERS:
        raise UserError(
            f"{problem.name} in {folds} folds is {size:,} numbers, and {MOST_NUMBERS:,} fit: draw some of its rows."
        )


def folds_of(problem: Problem, folds: int, seed: int) -> list[Fold]:
    """Folds with the same share of each class; whatever is fitted is fitted to the training rows."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if problem.classes else KFold
    parts = kind(folds, shuffle=True, random_state=seed).split(np.zeros(len(problem)), problem.answers)
    return [fold_of(problem, learned, left_out) for learned, left_out in parts]


def fold_of(problem: Problem, learned: np.ndarray, left_out: np.ndarray) -> Fold:
    """One of them."""
    preprocessing = Preprocessing.fit(problem.columns, learned)
    x = preprocessing(problem.columns)
    if problem.classes:
        wanted = np.eye(len(problem.classes), dtype=np.float32)[problem.answers]
        return Fold(learned, left_out, preprocessing, x, wanted)
    known = problem.answers[learned]
    centre, scale = float(known.mean()), float(known.std()) or 1.0
    wanted = ((problem.answers - centre) / scale).astype(np.float32)[:, None]
    return Fold(learned, left_out, preprocessing, x, wanted, centre, scale)


def stacked(folds: list[Fold], members: int, part: str, rows: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and what is wanted of the first `rows` rows of each fold's part, (folds * members, rows, ...).

    Shorter parts repeat their rows; a fold with fewer inputs (a word that its training rows lack) has zeros there.
    """
    places = [np.resize(getattr(fold, part), rows) for fold in folds]
    x = [np.pad(fold.x[at], ((0, 0), (0, inputs - fold.x.shape[1]))) for fold, at in zip(folds, places, strict=True)]
    wanted = [fold.wanted[at] for fold, at in zip(folds, places, strict=True)]
    return np.repeat(np.stack(x), members, axis=0), np.repeat(np.stack(wanted), members, axis=0)


def tensor(array: np.ndarray) -> Any:
    """As Keras' backend has it."""
    from keras import ops

    return ops.convert_to_tensor(array)


def by_row(problem: Problem, folds: list[Fold], given: list[np.ndarray]) -> np.ndarray:
    """Each row's answers by the fold that left it out, (rows, classes or 1), in the units of the table."""
    found = np.zeros((len(problem), folds[0].wanted.shape[1]))
    for fold, answers in zip(folds, given, strict=True):
        found[fold.left_out] = answers[: len(fold.left_out)] * fold.scale + fold.centre
    return found


def rivals(problem: Problem, folds: list[Fold], seed: int) -> dict[str, np.ndarray]:
    """What scikit-learn's methods answer, (rows, classes or 1), by name."""
    found = {}
    for name, method in methods(bool(problem.classes), seed).items():
        given = []
        for fold in folds:
            y = problem.answers if problem.classes else fold.wanted[:, 0]
            method.fit(fold.x[fold.learned], y[fold.learned])
            x = fold.x[fold.left_out]
            given.append(method.predict_proba(x) if problem.classes else method.predict(x)[:, None])
        found[name] = by_row(problem, folds, given)
    return found


def methods(classes: bool, seed: int) -> dict[str, Any]:
    """The four, as scikit-learn has them but for the neighbours (11) and the tree's smallest leaf (10 rows)."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.svm import SVR
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if not classes:
        tree = DecisionTreeRegressor(min_samples_leaf=10, random_state=seed)
        return {"linear": Ridge(), "kNN": KNeighborsRegressor(11), "SVM": SVR(), "tree": tree}
    return {
        "logistic": LogisticRegression(max_iter=2000),
        "kNN": KNeighborsClassifier(11),
        "SVM": Margins(),
        "tree": DecisionTreeClassifier(min_samples_leaf=10, random_state=seed),
    }


class Margins:
    """A support vector machine whose probabilities are the softmax of its margins: their order is what AUC asks for."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn."""
        from sklearn.svm import SVC

        self.machine = SVC().fit(x, y)

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """(rows, classes), the largest where the machine's answer is."""
        margins = self.machine.decision_function(x)
        margins = np.stack([-margins, margins], axis=1) if margins.ndim == 1 else margins
        shares = np.exp(margins - margins.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)


def score(problem: Problem, given: np.ndarray, rows: np.ndarray) -> float:
    """Accuracy of answers about these rows or, of numbers, the share of the variance that they explain."""
    true = problem.answers[rows]
    if problem.classes:
        return float((given[rows].argmax(axis=1) == true).mean())
    return float(1 - np.square(given[rows, 0] - true).sum() / max(np.square(true - true.mean()).sum(), 1e-12))


@dataclass(frozen=True)
class Comparison:
    """What all methods answered for rows that they had not seen."""

    problem: Problem
    folds: list[Fold]
    answers: dict[str, np.ndarray]
    curve: np.ndarray
    "The network's loss after each epoch, (epochs, learned and left out, folds)."
    importance: dict[str, float]
    "How much the network needs each column."
    by_rows: dict[int, np.ndarray]
    "The network's score in each fold, (folds,), by the number of rows, fewer than all, that it learned from."

    @property
    def measure(self) -> str:
        """What `scores` are."""
        return "accuracy" if self.problem.classes else "R2"

    @cached_property
    def scores(self) -> dict[str, np.ndarray]:
        """Accuracy, or the share of the variance that is explained, in each fold, (folds,)."""
        return {
            name: np.array([score(self.problem, given, fold.left_out) for fold in self.folds])
            for name, given in self.answers.items()
        }

    @cached_property
    def areas(self) -> dict[str, np.ndarray]:
        """The area under the ROC in each fold, of more than two classes the mean of one against the rest, (folds,)."""
        from sklearn.metrics import roc_auc_score

        def area(given: np.ndarray, rows: np.ndarray) -> float:
            truth = np.eye(given.shape[1])[self.problem.answers[rows]]
            return float(np.mean([roc_auc_score(truth[:, n], given[rows, n]) for n in range(given.shape[1])]))

        return {
            name: np.array([area(given, fold.left_out) for fold in self.folds]) for name, given in self.answers.items()
        }

    def p_value(self, one: str, other: str) -> float:
        """Of the corrected t-test: how often a difference this large comes by chance, between equally good methods."""
        from scipy.stats import t

        differences = self.scores[one] - self.scores[other]
        folds, ratio = len(self.folds), len(self.folds[0].left_out) / len(self.folds[0].learned)
        spread = differences.var(ddof=1) * (1 / folds + ratio)
        if spread == 0:
            return 1.0 if differences.mean() == 0 else 0.0
        return float(2 * t.sf(abs(differences.mean()) / spread**0.5, folds - 1))


def report(found: Comparison) -> str:
    """The table of results, and the sentence about noise."""
    problem, classes = found.problem, bool(found.problem.classes)
    kind = f"{len(problem.classes)} classes" if classes else "a number"
    lines = [f"{problem.name}: {len(problem):,} rows, {len(problem.columns)} columns, {problem.target}: {kind}"]
    lines.append(f"{'':10}{found.measure:>18}{'AUC':>18}" if classes else f"{'':10}{found.measure:>18}")
    for name, values in found.scores.items():
        area = f"{found.areas[name].mean():10.3f} +- {found.areas[name].std():.3f}" if classes else ""
        lines.append(f"{name:10}{values.mean():10.3f} +- {values.std():.3f}{area}")
    lines.append(f"(means and standard deviations of {len(found.folds)} folds)")
    rows = ", ".join(f"{values.mean():.3f} from {count:,}" for count, values in rows_and_scores(found))
    lines.append(f"the network's {found.measure} by the rows that it learned from: {rows}")
    return "\n".join([*lines, noise(found)])


def rows_and_scores(found: Comparison) -> list[tuple[int, np.ndarray]]:
    """Numbers of rows that the network learned from, and its scores; the last is all that a fold has."""
    return [*found.by_rows.items(), (len(found.folds[0].learned), found.scores["network"])]


def noise(found: Comparison) -> str:
    """Which methods differ from the best by more than chance."""
    best = max(found.scores, key=lambda name: found.scores[name].mean())
    p = {name: found.p_value(best, name) for name in found.scores if name != best}
    worse = [f"{name} (p = {value:.3f})" for name, value in p.items() if value < 0.05]
    same = [name for name, value in p.items() if value >= 0.05]
    said = [f"{best} has the best {found.measure}."]
    said += [f"Its distance to {', '.join(same)} may be noise."] if same else []
    said += [f"Worse by more than chance: {', '.join(worse)}."] if worse else []
    return " ".join(said)


def importance(answer: Callable, problem: Problem, folds: list[Fold], seed: int) -> dict[str, float]:
    """How much the score of all rows falls when a column's values are dealt out anew among them; the largest first."""
    rng, rows = np.random.default_rng(seed), np.arange(len(problem))
    usual = score(problem, answer(problem.columns), rows)
    drops = {}
    for name, values in problem.columns.items():
        mixed = problem.columns | {name: values[rng.permutation(len(problem))]}
        drops[name] = usual - score(problem, answer(mixed), rows)
    return dict(sorted(drops.items(), key=lambda item: -item[1]))
