"""Pictures for people: grids and captions of plain uint8 arrays, written to files.

A picture is a np.uint8 array of shape (H, W, 3), values 0-255, RGB. Every file appears whole or not at all.
"""

from __future__ import annotations

import struct
import textwrap
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shared.console import say
from shared.errors import UserError
from shared.files import output_path, write_atomically

Colour = tuple[int, int, int]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
SHEET_PHOTOS = 24  # photos on a sheet at most


SIDES = {"PNG": 2**31 - 1, "TIFF": 2**31 - 1, "BMP": 2**31 - 1, "PPM": 2**31 - 1}
SIDES |= {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535, "AVIF": 65_535}
"""The formats that hold a picture as it is, or nearly, and the most pixels that a side may have."""


def picture_path(requested: Path | None, app: str, default_name: str) -> Path:
    """`output_path` for a picture: UserError for an ending that no picture can be written with."""
    path = output_path(requested, app, default_name)
    format_of(path)
    return path


def format_of(path: Path, height: int = 0, width: int = 0) -> str:
    """Pillow's name of the format that a path ends with; UserError if it cannot hold such a picture."""
    name = Image.registered_extensions().get(path.suffix.lower(), "")
    if name not in SIDES or name not in Image.SAVE:
        raise UserError(f"{path.name!r} does not end in a picture format that can be written; use .png, .jpg or .webp.")
    if max(height, width) > SIDES[name]:
        size = f"{width} x {height} pixels"
        raise UserError(f"{path.name} would have {size}, and {name} holds at most {SIDES[name]:,} a side; use .png.")
    return name


def save_image(path: str | Path, image: np.ndarray, **options: Any) -> None:
    """Write one uint8 picture (H, W, 3); the extension chooses the format (.png, .jpg, .webp, ...).

    Options are those of Pillow's writer for the format; without any, JPEG and lossy WebP have quality 92. UserError if
    the format cannot hold the picture.
    """
    path = Path(path)
    format = format_of(path, *checked(image).shape[:2])
    if not options and format in ("JPEG", "WEBP"):
        options = {"quality": 92}
    with write_atomically(path) as temporary:
        try:
            Image.fromarray(image).save(temporary, format, **options)
        except (ValueError, struct.error, OverflowError) as error:  # what Pillow's writers raise
            raise UserError(f"{path.name} cannot be written as {format} ({error}); use .png.") from error


def save_photo_sheet(path: Path, sheet: np.ndarray, photos: int) -> None:
    """Save a sheet, uint8 (H, W, 3), of the first SHEET_PHOTOS of so many photos, and say where it is."""
    save_image(path, sheet)
    say(f"The sheet{f' (the first {SHEET_PHOTOS})' if photos > SHEET_PHOTOS else ''} is {path}.")


def grid(images: np.ndarray | Sequence[np.ndarray], columns: int, pad: int = 2) -> np.ndarray:
    """Tile uint8 pictures of one size, (N, H, W, 3) or a list of (H, W, 3), row by row, `pad` white pixels apart."""
    images = [checked(image) for image in images]
    if not images or columns < 1 or len({image.shape for image in images}) > 1:
        raise ValueError("A grid needs at least one column and one picture, and pictures of one size.")
    columns, (height, width, _) = min(columns, len(images)), images[0].shape
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + pad) + pad, columns * (width + pad) + pad, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = pad + i // columns * (height + pad), pad + i % columns * (width + pad)
        sheet[top : top + height, left : left + width] = image
    return sheet


def draw_text(image: np.ndarray, text: str, at: tuple[int, int], size: int = 16, colour: Colour = WHITE) -> np.ndarray:
    """A copy of the picture with text, `size` pixels high, whose left top corner is at (x, y) pixels."""
    canvas = Image.fromarray(checked(image))
    ImageDraw.Draw(canvas).text(at, text, fill=colour, font=font(size))
    return np.array(canvas)


def caption(image: np.ndarray, text: str, size: int = 16) -> np.ndarray:
    """The picture (H, W, 3) with the text below it, black on white, wrapped to the picture's width."""
    image = checked(image)
    width, margin = image.shape[1], size // 2
    letters, line_height = max(1, int((width - 2 * margin) / font(size).getlength("n"))), size * 5 // 4
    lines = textwrap.wrap(text, letters) or [""]
    strip = np.full((2 * margin + len(lines) * line_height, width, 3), 255, np.uint8)
    for i, line in enumerate(lines):
        strip = draw_text(strip, line, (margin, margin + i * line_height), size, BLACK)
    return np.concatenate([image, strip])


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own letters, `size` pixels high."""
    return ImageFont.load_default(size)


def checked(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"A picture is a uint8 array of shape (H, W, 3), not {image.dtype} {image.shape}.")
    return image
