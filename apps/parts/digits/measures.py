"""What a reader of digits is measured by: errors, doubt, other pens and places, and methods that came before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from apps.parts.digits import distortions, pens
from apps.parts.digits.ink import SIDE, ink_of, normalised
from apps.parts.digits.mnist import Digits
from shared.classifiers.metrics import accuracies, softmax

if TYPE_CHECKING:
    from apps.parts.digits.reader import Reader

Answers = Callable[[np.ndarray], np.ndarray]


def interval(wrong: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of an error rate, as shares."""
    z, share = 1.96, wrong / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * ((share * (1 - share) + z * z / (4 * count)) / count) ** 0.5 / (1 + z * z / count)
    return max(middle - half, 0.0), middle + half


def error_line(name: str, answers: np.ndarray, labels: np.ndarray) -> str:
    """A method's errors in one line."""
    wrong = int((answers != labels).sum())
    low, high = interval(wrong, len(labels))
    return f"{name:32} {wrong:5,} of {len(labels):,} wrong: {wrong / len(labels):6.2%} ({low:.2%} to {high:.2%})"


def report(logits: np.ndarray, labels: np.ndarray) -> Iterator[str]:
    """Confusion matrix, AUC of each digit against the rest, and calibration, from logits (n, 10)."""
    from sklearn.metrics import confusion_matrix, roc_auc_score

    shares, found = softmax(logits), logits.argmax(axis=-1)
    yield "Rows: what it is; columns: what is said."
    yield "     " + "".join(f"{digit:6}" for digit in range(10))
    for digit, row in enumerate(confusion_matrix(labels, found, labels=range(10))):
        yield f"{digit:5}" + "".join(f"{count:6,}" for count in row)
    present = [digit for digit in range(10) if 0 < (labels == digit).sum() < len(labels)]
    areas = [roc_auc_score(labels == digit, shares[:, digit]) for digit in present]
    yield "AUC of each against the rest: " + ", ".join(
        f"{digit} {area:.5f}" for digit, area in zip(present, areas, strict=True)
    )
    loss = -np.log(np.maximum(shares[np.arange(len(labels)), labels], 1e-12)).mean()
    numbers = accuracies(logits, labels)
    yield (
        f"loss {loss:.4f} nats, mean confidence {numbers['confidence']:.2%}, "
        f"calibration error {numbers['calibration error']:.2%}"
    )


# ---------------------------------------------------------------------------------------------- Other places and pens


def placed(image: np.ndarray, shift: float = 0, scale: float = 1, turn: float = 0) -> np.ndarray:
    """A digit somewhere on a sheet of 84 x 84: moved by pixels, scaled, turned by degrees; uint8."""
    from PIL import Image

    side = 3 * SIDE
    angle, middle = np.radians(turn), side / 2  # Pillow counts from the edge of the first pixel
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    inner = SIDE / 2
    x, y = middle + shift, middle
    matrix = (cosine, sine, inner - cosine * x - sine * y, -sine, cosine, inner + sine * x - cosine * y)
    return np.asarray(
        Image.fromarray(image).transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    )


def _thicker(images: np.ndarray, sign: int) -> np.ndarray:
    from scipy import ndimage

    grow = ndimage.grey_dilation if sign > 0 else ndimage.grey_erosion
    return grow(images, size=(1, 2, 2)) if sign < 0 else grow(images, size=(1, 3, 3))


def changes(images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Test digits changed in ways that happen to people's own, on sheets of 84 x 84, uint8 (n, 84, 84)."""
    every = lambda **look: np.stack([placed(image, **look) for image in images])  # noqa: E731
    yield "as they are", every()
    for shift in (2, 4, 6):
        yield f"shifted by {shift} pixels", every(shift=shift)
    for scale in (0.6, 0.8, 1.2, 1.4):
        yield f"scaled by {scale}", every(scale=scale)
    for turn in (-30, -15, 15, 30):
        yield f"turned by {turn} degrees", every(turn=turn)
    yield "inverted: dark on light", 255 - every()
    for name, sign in (("a thicker pen", 1), ("a thinner pen", -1)):
        yield name, np.stack([placed(image) for image in _thicker(images, sign)])


def normalised_each(sheets: np.ndarray) -> np.ndarray:
    """Each sheet's ink as one digit in MNIST's form."""
    return np.stack([normalised(ink_of(sheet)) for sheet in sheets])


def robustness(answers: Answers, digits: Digits) -> Iterator[str]:
    """Accuracy under each change, with the normalisation and without."""
    yield f"{'right, of ' + format(len(digits), ','):32} normalised   as it comes"
    inner = slice(SIDE, 2 * SIDE)
    for name, sheets in changes(digits.images):
        found = [answers(part).argmax(axis=-1) for part in (normalised_each(sheets), sheets[:, inner, inner])]
        yield f"{name:32}" + "".join(f" {(each == digits.labels).mean():10.2%} " for each in found)


def pen_lines(answers: Answers, per_kind: int = 20) -> Iterator[str]:
    """Digits drawn by code with other pens, anywhere and in many sizes: with the normalisation and without."""
    from PIL import Image

    sheets, labels = pens.random_hands(per_kind, seed=1)
    small = np.stack(
        [np.asarray(Image.fromarray(sheet).resize((SIDE, SIDE), Image.Resampling.BOX)) for sheet in sheets]
    )
    kinds = np.repeat(list(pens.STROKES), per_kind)
    found, plain = (answers(part).argmax(axis=-1) for part in (normalised_each(sheets), small))
    right, as_it_comes = (found == labels).mean(), (plain == labels).mean()
    yield f"drawn by code, {len(labels)}: {right:.1%} right, {as_it_comes:.1%} as it comes"
    for kind in ("0 slashed", "7 crossed"):
        mine = kinds == kind
        yield f"  of those, {kind}: {(found == labels)[mine].mean():.0%} of {mine.sum()}"


def doubt_lines(reader: Reader, digits: Digits) -> Iterator[str]:
    """How often it says "no digit": of digits, and of letters in fonts that it did not learn from, scribbles, noise."""
    rng = np.random.default_rng(2)
    alphabet = distortions.letters(distortions.TEST_FONTS)
    groups = {
        "test digits": digits.images,
        "letters of other fonts": distortions.distorted(np.repeat(alphabet, 3, axis=0), rng, 0.7),
        "scribbles": distortions.scribbles(300, rng),
        "noise": distortions.noise(300, rng),
    }
    for name, drawings in groups.items():
        doubted = np.mean([not answer.sure for answer in reader.read(drawings, 0)])
        yield f'"no digit" is said of {doubted:.1%} of {len(drawings):,} {name}'


def speed_line(answers: Answers, images: np.ndarray) -> str:
    """Drawings a second, in batches, compiled before."""
    answers(images[:1000])
    began_s = time.perf_counter()
    answers(images)
    return f"{len(images) / (time.perf_counter() - began_s):,.0f} digits a second, in batches"


# ------------------------------------------------------------------------------------------------ Methods of before


def classical(learned: Digits, test: Digits, rows: int) -> Iterator[str]:
    """The errors of scikit-learn's methods on pixels, which learned from at most `rows` digits."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC

    digits = learned.take(slice(rows))
    x, test_x = (part.images.reshape(len(part), -1).astype(np.float32) / 255 for part in (digits, test))
    methods = {
        "3 nearest neighbours": KNeighborsClassifier(3),
        "logistic regression": LogisticRegression(C=0.1, max_iter=60, tol=1e-3),
        "support vectors (RBF)": SVC(C=10, gamma=0.02, cache_size=1000),
    }
    for units in (20, 40, 60, 80, 100, 120):
        methods[f"{units} hidden units"] = MLPClassifier((units,), batch_size=128, max_iter=20, random_state=1)
    for name, method in methods.items():
        began_s = time.perf_counter()
        with _quiet():
            found = method.fit(x, digits.labels).predict(test_x)
        yield error_line(name, found, test.labels) + f", {time.perf_counter() - began_s:.0f} s"


def _quiet():
    """scikit-learn warns where an optimizer stopped at its last iteration, which is meant here."""
    import warnings

    return warnings.catch_warnings(action="ignore")
