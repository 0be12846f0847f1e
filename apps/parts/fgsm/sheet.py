"""What the demo shows of an attack: the saved photo in an equation, and what the classifier says of its terms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from apps.parts.fgsm.equation import Guess, Term, draw_equation, percent
from apps.parts.fgsm.inputs import Goal, share
from shared.classifiers.classifier import Classifier
from shared.data.images import crop_square, load_image
from shared.drawing.pictures import save_image


@dataclass
class Saved:
    """An adversarial photo, read from its file, beside the photo that it was made from."""

    path: Path
    original: np.ndarray
    """uint8 (height, width, 3)."""
    picture: np.ndarray
    """uint8 (height, width, 3)."""
    fooled: bool
    """Whether the classifier gives the wrong answer that was wanted."""

    @property
    def change(self) -> np.ndarray:
        """In grey levels, int16."""
        return self.picture.astype(np.int16) - self.original


def save(path: Path, found: np.ndarray, original: np.ndarray, classifier: Classifier, goal: Goal) -> Saved:
    """Write an adversarial photo, and ask the classifier about the file."""
    save_image(path, found)
    picture = load_image(path)
    return Saved(path, original, picture, goal.met(classifier.logits_of(picture)))


def magnified(change: np.ndarray) -> np.ndarray:
    """What was added, stretched to the whole range; grey is nothing."""
    return np.rint(127.5 + 127.5 / max(np.abs(change).max(), 1) * change).astype(np.uint8)


def guesses_of_terms(classifier: Classifier, photo: np.ndarray, saved: Saved) -> list[list[Guess]]:
    """What the classifier says of the photo, of the magnified change and of the adversarial photo."""
    return [classifier.guesses(term) for term in (photo, magnified(saved.change), saved.picture)]


def equation(network: str, attack: str, epsilon: str, saved: Saved, guesses: list[list[Guess]]) -> np.ndarray:
    """The sheet: photo + perturbation = adversarial photo, uint8 (H, W, 3)."""
    height, width, _ = saved.picture.shape
    middle = "the sign of the gradient" if attack == "fgsm" else "the perturbation, magnified"
    shown = {"the photo": saved.original, middle: magnified(saved.change), "their sum": saved.picture}
    terms = [
        Term(title, crop_square(picture, min(height, width)), best, grainy=title == middle)
        for (title, picture), best in zip(shown.items(), guesses, strict=True)
    ]
    factor = f"{share(epsilon):.3f}".removeprefix("0")  # .008, as in the paper
    note = (
        f"{attack.upper()} on {network}, epsilon {epsilon}: in the saved photo, {width} x {height}, "
        f"no pixel has moved by more than {np.abs(saved.change).max()} of 255 grey levels"
    )
    return draw_equation(terms, (f"+ {factor} x", "="), note, proud=saved.fooled)


def report(
    classifier: Classifier, results: list[Saved], best: Saved, guesses: list[list[Guess]], noisy: np.ndarray
) -> None:
    """Say what came of it, with every file."""
    (before, sure), (after, now), (other, still) = guesses[0][0], guesses[2][0], classifier.guesses(noisy)[0]
    print(f"{percent(sure)} {before} + perturbation = {percent(now)} {after}, says {classifier.name}.")
    print(f"Noise as large as that: {percent(still)} {other}.")
    for saved, size in zip(results, ("the network's size", "the photo's own size"), strict=False):
        height, width, _ = saved.picture.shape
        answer, confidence = classifier.guesses(saved.picture)[0]
        verdict = f"{'fooled' if saved.fooled else 'NOT fooled'} by the saved file, {percent(confidence)} {answer}"
        print(f"In {size}, {width} x {height}: {verdict}: {saved.path if saved.path.exists() else 'not kept'}")
    if not best.fooled:
        print("Neither is enough: try --attack pgd, or a larger --epsilon.")
