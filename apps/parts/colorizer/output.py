"""The files that coloured photos go to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from apps.parts.colorizer import lab
from apps.parts.colorizer.guided_filter import Hint
from shared.console import say
from shared.data.images import exif_of_upright, load_image
from shared.data.sizes import fit_within
from shared.drawing.pictures import format_of, grid, save_image
from shared.errors import UserError
from shared.files import output_path

FORMATS = {".jpg": {"quality": 95, "subsampling": 0}, ".png": {"compress_level": 3}, ".webp": {"quality": 95}}
FORMATS |= {".jpeg": FORMATS[".jpg"], ".tif": {}, ".tiff": {}, ".bmp": {}}
"""Pillow's options for each ending: those that keep colours best."""


LONGEST_EXIF = 65_533  # bytes in a JPEG file's segment, its own head included


def default_name(file: Path) -> str:
    """The name of the coloured copy of a photo, in the photo's own format if that can be written."""
    ending = file.suffix.lower()
    return f"{file.stem}-colour{ending if ending in FORMATS else '.png'}"


def save_coloured(path: Path, picture: np.ndarray, source: Path) -> None:
    """Save a coloured photo with the camera, date and place that its source file tells."""
    exif = exif_of_upright(source)
    if len(exif) > LONGEST_EXIF and path.suffix.lower() in (".jpg", ".jpeg", ".webp"):
        say(f"{path.name}: the camera's notes of {source.name} are too long for one more file, and are left out.")
        exif = b""
    save_image(path, picture, **FORMATS[path.suffix.lower()], exif=exif)


def hints_for(files: Sequence[Path], texts: Sequence[str]) -> list[Hint]:
    """The hints for a photo, x,y,#rrggbb each; UserError if there are several photos, or one that cannot be read."""
    if len(files) > 1:
        if texts:
            raise UserError(f"--hint is for one photo, and there are {len(files)}.")
        return []
    photo = load_image(files[0])
    return [Hint.parse(text, photo) for text in texts]


def check_output(output: Path | None, named: Sequence[Path], count: int) -> None:
    """UserError if the results cannot go to `output`; makes the folder if the names are those of several photos."""
    if output is None or output.is_dir():
        return
    if len(named) > 1 or named[0].is_dir():
        if output.suffix:
            raise UserError(f"{output} is for one photo, and there are {count}: give a folder.")
        output.mkdir(parents=True, exist_ok=True)
    elif output.suffix.lower() not in FORMATS:
        raise UserError(f"{output.name} must end in one of {', '.join(FORMATS)}.")


def colour_file(file: Path, output: Path | None, colour: Callable[[np.ndarray], np.ndarray], compare: bool) -> None:
    """Colour one photo, uint8 (H, W, 3), and say where the result is; with a sheet of before and after, if asked."""
    photo = load_image(file)
    path = output_path(output, "colorizer", default_name(file))
    format_of(path, *photo.shape[:2])
    in_colour = not lab.is_grey(photo)
    if in_colour:
        say(f"{file} is in colour already: only its lightness is used.")
    began_s = time.perf_counter()
    picture = colour(photo)
    print(f"{path}: {photo.shape[1]} x {photo.shape[0]} pixels, coloured in {time.perf_counter() - began_s:.2f} s")
    save_coloured(path, picture, file)
    if compare:
        sheet = output_path(path.parent, "colorizer", f"{path.stem}-compare.png")
        before, after = fit_within(photo, 800), fit_within(picture, 800)
        panels = [lab.in_one_colour(before), after, *([before] if in_colour else [])]
        save_image(sheet, grid(panels, len(panels), 8))
        print(f"Before and after: {sheet}")
