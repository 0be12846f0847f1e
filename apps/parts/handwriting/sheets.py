"""Handwriting to look at: pictures, vector drawings, films of the pen, and the path of the window over the text."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from apps.parts.handwriting.pen import Written
from shared.drawing.curves import save_figure
from shared.drawing.film import Film
from shared.drawing.pictures import save_image
from shared.files import write_atomically

SCALE = 0.4  # pixels a unit: a small letter is about 30 pixels high
LINE, MARGIN, BETWEEN = 300, 80, 110  # units: from base line to base line, around all, and more between two hands
WIDTH = 8.0  # of the pen, in units
LARGEST = 50_000_000  # pixels to draw on before they are averaged
FILM_LINES, WINDOW_LINES = 30, 8  # at most: a film has a frame for every other point, a path is 700 pixels high
POINTS_A_SECOND = 28  # so that a film writes about 110 letters a minute, as people do who copy a text
FRAMES_A_SECOND = 14
INK, PAPER = (24, 36, 92), (255, 255, 255)


@dataclass(frozen=True)
class Page:
    """Lines of ink with their places: what all drawings are made of."""

    strokes: list[np.ndarray]
    """Each (n, 2): x and y in units from the left top corner, in the order in which they are written."""
    starts: list[int]
    """The stroke that each hand begins with."""
    width: float
    height: float


def page_of(hands: Sequence[Sequence[Written]]) -> Page:
    """Lay out the lines of each hand, one below the other, and the hands."""
    strokes: list[np.ndarray] = []
    starts, width, base = [], 1.0, float(MARGIN + 190)
    for lines in hands:
        starts.append(len(strokes))
        for line in lines:
            left, *_ = line.points.min(axis=0, initial=0)
            places = line.points[:, :2] + np.array([MARGIN - left, base], np.float32)
            parts = np.split(places, np.flatnonzero(line.points[:, 2])[:-1] + 1)
            strokes += parts
            width = max(width, float(places[:, 0].max()))
            base += LINE
        base += BETWEEN
    bottom = max((float(stroke[:, 1].max()) for stroke in strokes), default=0.0)
    top = min((float(stroke[:, 1].min()) for stroke in strokes), default=0.0)
    lower = max(MARGIN - top, 0)  # a stroke above the page
    strokes = [stroke + np.array([0, lower], np.float32) for stroke in strokes]
    return Page(strokes, starts, width + MARGIN, max(base - LINE - BETWEEN + 130, bottom) + lower + MARGIN)


def picture(page: Page, scale: float = SCALE) -> np.ndarray:
    """The page as a picture, uint8 (H, W, 3)."""
    finer = next(n for n in (3, 2, 1) if n == 1 or page.width * page.height * (n * scale) ** 2 <= LARGEST)
    canvas, draw = _canvas(page, scale * finer)
    for stroke in page.strokes:
        _draw(draw, stroke, scale * finer)
    size = (max(canvas.width // finer, 1), max(canvas.height // finer, 1))
    return np.array(canvas.resize(size, Image.Resampling.BOX))


def save(path: Path, page: Page, title: str) -> None:
    """Write the page in the form that the path's ending says: a vector drawing, a film, or a picture."""
    ending = path.suffix.lower()
    if ending == ".svg":
        save_svg(path, page, title)
    elif ending in (".webp", ".gif"):
        save_film(path, page)
    else:
        save_image(path, picture(page))


def svg(page: Page, title: str) -> str:
    """The page as a vector drawing."""
    size = f'viewBox="0 0 {page.width:.0f} {page.height:.0f}"'
    paths = "\n".join(f'<path d="{_path(stroke)}"/>' for stroke in page.strokes)
    style = f'fill="none" stroke="#{bytes(INK).hex()}" stroke-width="{WIDTH}"'
    style += ' stroke-linecap="round" stroke-linejoin="round"'
    written = html.escape("".join(c for c in title if c.isprintable() or c == "\n"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} width="{page.width * SCALE:.0f}">\n'
        f"<title>{written}</title>\n<g {style}>\n{paths}\n</g>\n</svg>\n"
    )


def save_svg(path: Path, page: Page, title: str) -> None:
    """Write the page as a vector drawing."""
    with write_atomically(path) as temporary:
        temporary.write_text(svg(page, title), encoding="utf-8")


def _path(stroke: np.ndarray) -> str:
    first, *rest = (f"{x:.1f} {y:.1f}" for x, y in stroke)
    return f"M {first} L {' '.join(rest or [first])}"


def save_film(path: Path, page: Page) -> None:
    """Write a film of the pen. All hands write at the same time."""
    with Film(path, FRAMES_A_SECOND) as film:
        for frame in frames(page):
            film.add(frame)


def frames(page: Page, scale: float = SCALE) -> Iterator[np.ndarray]:
    """The pictures of a film, each uint8 (H, W, 3); the last one stays for two seconds.

    The data have no times. Their points are close where the pen turns and far apart where it runs straight, and so,
    with as many points in every second, it is slow and fast where people's are.
    """
    finer, step = 2, POINTS_A_SECOND // FRAMES_A_SECOND
    canvas, draw = _canvas(page, scale * finer)
    size = (max(canvas.width // finer, 1), max(canvas.height // finer, 1))
    ends = [*page.starts[1:], len(page.strokes)]
    pens = [_points(page.strokes[start:end]) for start, end in zip(page.starts, ends, strict=True)]
    longest = max(map(len, pens), default=0)
    for first in range(0, longest, step):
        for points in pens:
            for before, point in points[first : first + step]:
                _draw(draw, np.stack([before, point]), scale * finer)
        yield np.array(canvas.resize(size, Image.Resampling.BOX))
    last = np.array(canvas.resize(size, Image.Resampling.BOX))
    for _ in range(2 * FRAMES_A_SECOND):
        yield last


def _points(strokes: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Every point, with the one before it in its stroke."""
    return [(stroke[max(n - 1, 0)], stroke[n]) for stroke in strokes for n in range(len(stroke))]


def _canvas(page: Page, scale: float) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("RGB", (max(round(page.width * scale), 1), max(round(page.height * scale), 1)), PAPER)
    return canvas, ImageDraw.Draw(canvas)


def _draw(draw: ImageDraw.ImageDraw, stroke: np.ndarray, scale: float) -> None:
    radius = WIDTH * scale / 2
    places = [(float(x * scale), float(y * scale)) for x, y in stroke]
    draw.line(places, INK, round(2 * radius), joint="curve")
    for x, y in (places[0], places[-1]):
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], INK)


def save_window(path: Path, lines: Sequence[Written]) -> None:
    """Draw the path of the window over the text of each line, and what was written meanwhile below it."""
    from matplotlib.figure import Figure

    height = sum(1.6 + 0.16 * len(line.text) for line in lines)
    figure = Figure(figsize=(11, height), dpi=110, layout="constrained")
    rows = figure.subplots(2 * len(lines), 1, height_ratios=[r for each in lines for r in (len(each.text) + 2, 7)])
    for line, matrix, ink in zip(lines, rows[::2], rows[1::2], strict=True):
        matrix.imshow(line.window.T, cmap="Blues", aspect="auto", vmin=0, interpolation="nearest")
        labels = [*line.text.replace(" ", "␣").replace("$", r"\$"), "end"]
        matrix.set_yticks(range(len(labels)), labels, fontsize=8)
        matrix.set_xlabel("points of the pen, from the first one to the last one")
        for stroke in np.split(line.points, np.flatnonzero(line.points[:, 2])[:-1] + 1):
            ink.plot(stroke[:, 0], -stroke[:, 1], color="#18245c", linewidth=1.6, solid_capstyle="round")
        ink.set_aspect("equal")
        ink.axis("off")
    save_figure(path, figure)
