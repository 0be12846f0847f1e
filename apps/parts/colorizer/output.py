"""The files that coloured photos go to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shared.data.images import exif_of_upright
from shared.drawing.pictures import save_image
from shared.errors import UserError

FORMATS = {".jpg": {"quality": 95, "subsampling": 0}, ".png": {"compress_level": 3}, ".webp": {"quality": 95}}
FORMATS |= {".jpeg": FORMATS[".jpg"], ".tif": {}, ".tiff": {}, ".bmp": {}}
"""Pillow's options for each ending: those that keep colours best."""


def default_name(file: Path) -> str:
    """The name of the coloured copy of a photo, in the photo's own format if that can be written."""
    ending = file.suffix.lower()
    return f"{file.stem}-colour{ending if ending in FORMATS else '.png'}"


def save_coloured(path: Path, picture: np.ndarray, source: Path) -> None:
    """Save a coloured photo with the camera, date and place that its source file tells."""
    save_image(path, picture, **FORMATS[path.suffix.lower()], exif=exif_of_upright(source))


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
