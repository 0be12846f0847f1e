"""A panel of text and labelled bars to stand beside a picture: an agent's Q-values, a classifier's best guesses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BACKGROUND, TEXT, PALE, BAR, CHOSEN = (24, 26, 32), (240, 240, 240), (150, 155, 165), (70, 90, 120), (242, 170, 60)
MARGIN, LINE = 16, 22  # pixels


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
    canvas, inks = Image.new("RGB", size, BACKGROUND), {colour: Image.new("L", size) for colour in (TEXT, PALE)}
    draw, bright, pale = map(ImageDraw.Draw, (canvas, inks[TEXT], inks[PALE]))
    small, large = ImageFont.load_default(13), ImageFont.load_default(28)
    top = MARGIN
    for label, value in heading:
        pale.text((MARGIN, top), label, 255, small)
        bright.text((MARGIN, top + 14), value, 255, large)
        top += 58
    row = min(LINE, (height - top - 3 * MARGIN) // max(len(labels), 1))
    top = height - MARGIN - row * len(labels)
    pale.text((MARGIN, top - LINE), caption, 255, small)
    low, high = limits
    names = min(max(small.getlength(label) for label in labels), width / 2)
    left, full = MARGIN + names + 8, width - 2 * MARGIN - names - 8
    for index, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = top + row * index
        share = min(max((value - low) / max(high - low, 1e-9), 0.02), 1.0)
        draw.rectangle((left, y + 2, left + full * share, y + row - 3), CHOSEN if index == chosen else BAR)
        (bright if index == chosen else pale).text((MARGIN, y + row / 2), label, 255, small, anchor="lm")
        bright.text((left + 4, y + row / 2), f"{value:.2f}", 255, small, anchor="lm")
    for colour, ink in inks.items():  # in four shades: hundreds would make a film of panels twice as large
        canvas.paste(colour, mask=ink.point(lambda shade: 85 * round(shade / 85)))
    return np.asarray(canvas)
