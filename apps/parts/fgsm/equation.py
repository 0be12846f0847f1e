"""The picture of an attack as an equation, as in Goodfellow et al. 2015: photo + perturbation = another answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from apps.parts.fgsm.inputs import Goal, share
from shared.classifiers.classifier import Classifier
from shared.data.images import load_image
from shared.data.sizes import crop_square
from shared.drawing.bars import BACKGROUND, BAR, CHOSEN, PALE, TEXT
from shared.drawing.pictures import save_image

SIDE, GAP, MARGIN, ROW = 400, 150, 36, 30  # pixels
HEAD, ANSWER = 44, 66  # above a picture, and between it and its bars
TROUGH, FOOLED = (36, 39, 47), (186, 112, 24)  # behind a bar; the bar of the wrong answer
Guess = tuple[str, float]  # label, confidence 0..1


# ------------------------------------------------------------------------------------------------- What is shown


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


# ------------------------------------------------------------------------------------------------------- Drawing


@dataclass
class Term:
    """A picture of the equation, and what the network says of it."""

    title: str
    picture: np.ndarray
    """uint8 (height, width, 3), square."""
    guesses: Sequence[Guess]
    """The most likely first."""
    grainy: bool = False
    """Each pixel counts: no smoothing."""


def draw_equation(terms: Sequence[Term], signs: Sequence[str], note: str, proud: bool = True) -> np.ndarray:
    """Draw the terms with the signs between them and a note below, uint8 (H, W, 3); `proud` of the last answer."""
    left = [MARGIN + n * (SIDE + GAP) for n in range(len(terms))]
    bars_top = MARGIN + HEAD + SIDE + ANSWER
    height = bars_top + ROW * max(len(term.guesses) for term in terms) + 2 * MARGIN
    canvas = Image.new("RGB", (left[-1] + SIDE + MARGIN, height), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    for x, term in zip(left, terms, strict=True):
        stands_out = proud and term is terms[-1]
        _write(draw, (x + SIDE / 2, MARGIN + HEAD / 2 - 8), term.title, PALE, 17, SIDE)
        canvas.paste(_square(term), (x, MARGIN + HEAD))
        (label, confidence), colour = term.guesses[0], CHOSEN if stands_out else TEXT
        _write(draw, (x + SIDE / 2, bars_top - ANSWER / 2), f"{percent(confidence)}  {label}", colour, 30, SIDE)
        for row, guess in enumerate(term.guesses):
            _bar(draw, x, bars_top + row * ROW, guess, FOOLED if stands_out and row == 0 else BAR)
    for x, sign in zip(left[1:], signs, strict=True):
        _write(draw, (x - GAP / 2, MARGIN + HEAD + SIDE / 2), sign, TEXT, 34, GAP - 30)
    _write(draw, (canvas.width / 2, height - MARGIN), note, PALE, 17, canvas.width - 2 * MARGIN)
    return np.asarray(canvas)


def percent(share: float) -> str:
    """0.577 as 57.7 %."""
    return f"{100 * share:.1f} %"


def _square(term: Term) -> Image.Image:
    method = Image.Resampling.NEAREST if term.grainy else Image.Resampling.LANCZOS
    return Image.fromarray(term.picture).resize((SIDE, SIDE), method)


def _bar(draw: ImageDraw.ImageDraw, x: float, y: float, guess: Guess, colour: tuple[int, int, int]) -> None:
    label, confidence = guess
    draw.rectangle((x, y, x + SIDE - 1, y + ROW - 5), TROUGH)
    draw.rectangle((x, y, x + max(SIDE * confidence, 2) - 1, y + ROW - 5), colour)
    middle = y + (ROW - 5) / 2
    draw.text((x + 8, middle), _cut(label, 16, SIDE - 90), TEXT, _font(16), anchor="lm")
    draw.text((x + SIDE - 8, middle), percent(confidence), TEXT, _font(16), anchor="rm")


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, colour: tuple[int, int, int], size: int, width: float
) -> None:
    """Centred text, smaller where it would be wider than `width`."""
    while size > 12 and _font(size).getlength(text) > width:
        size -= 1
    draw.text(at, _cut(text, size, width), colour, _font(size), anchor="mm")


def _cut(text: str, size: int, width: float) -> str:
    while text and _font(size).getlength(text) > width:
        text = text[:-1]
    return text


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
