"""A panel of text and labelled bars to stand beside a picture: an agent's Q-values, a classifier's best guesses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from shared.drawing.pictures import Colour, font

BACKGROUND, TEXT, PALE, BAR, CHOSEN = (24, 26, 32), (240, 240, 240), (150, 155, 165), (70, 90, 120), (242, 170, 60)
MARGIN, LINE, HEADING = 16, 22, 58  # pixels
SMALL, LARGE = font(13), font(28)


def bar_panel(
    size: tuple[int, int],
    heading: Sequence[tuple[str, str]],
    labels: Sequence[str],
    values: Sequence[float] | np.ndarray,
    limits: tuple[float, float],
    chosen: int,
    caption: str,
) -> np.ndarray:
    """Draw a panel, uint8 (height, width, 3).

    Args:
        size: (width, height) in pixels.
        heading: (small label, large value) pairs at the top.
        labels: one for each bar.
        values: finite; one for each bar, printed beside it.
        limits: the values at which a bar has no length and its full length.
        chosen: index of the bar that stands out.
        caption: one line above the bars.
    """
    width, height = size
    canvas = Image.new("RGB", size, BACKGROUND)
    masks = {colour: Image.new("L", size) for colour in (TEXT, PALE)}  # the letters of each colour
    draw, bright, pale = map(ImageDraw.Draw, (canvas, masks[TEXT], masks[PALE]))
    for index, (label, value) in enumerate(heading):
        pale.text((MARGIN, MARGIN + HEADING * index), label, 255, SMALL)
        bright.text((MARGIN, MARGIN + HEADING * index + 14), value, 255, LARGE)
    below_heading = MARGIN + HEADING * len(heading)
    row = min(LINE, (height - below_heading - 3 * MARGIN) // max(len(labels), 1))
    top = height - MARGIN - row * len(labels)
    pale.text((MARGIN, top - LINE), caption, 255, SMALL)
    names = min(max(SMALL.getlength(label) for label in labels), width / 2)
    left, full = MARGIN + names + 8, width - 2 * MARGIN - names - 8
    shares = np.clip((np.asarray(values) - limits[0]) / max(limits[1] - limits[0], 1e-9), 0.02, 1.0)
    for index, (label, value, share) in enumerate(zip(labels, values, shares, strict=True)):
        y = top + row * index
        draw.rectangle((left, y + 2, left + full * share, y + row - 3), CHOSEN if index == chosen else BAR)
        (bright if index == chosen else pale).text((MARGIN, y + row / 2), label, 255, SMALL, anchor="lm")
        bright.text((left + 4, y + row / 2), f"{value:.2f}", 255, SMALL, anchor="lm")
    return _with_letters(canvas, masks)


def _with_letters(canvas: Image.Image, masks: dict[Colour, Image.Image]) -> np.ndarray:
    for colour, mask in masks.items():  # in four shades: hundreds would make a film of panels twice as large
        canvas.paste(colour, mask=mask.point(lambda shade: 85 * round(shade / 85)))
    return np.asarray(canvas)
