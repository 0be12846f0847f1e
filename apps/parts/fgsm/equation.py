"""The picture of an attack as an equation, as in Goodfellow et al. 2015: photo + perturbation = another answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shared.drawing.bars import BACKGROUND, BAR, CHOSEN, PALE, TEXT

SIDE, GAP, MARGIN, ROW = 400, 150, 36, 30  # pixels
HEAD, ANSWER = 44, 66  # above a picture, and between it and its bars
TROUGH, FOOLED = (36, 39, 47), (186, 112, 24)  # behind a bar; the bar of the wrong answer
Guess = tuple[str, float]  # label, confidence 0..1


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
