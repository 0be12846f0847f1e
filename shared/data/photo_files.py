"""Which files are photos: a folder's, those that were named, those that come with a library; and all of them read."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from shared.console import for_each, say
from shared.data.images import load_image
from shared.data.sizes import fit_within
from shared.errors import UserError

_JPEGS = (".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".mpo")
_OTHERS = (".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif")
EXTENSIONS = _JPEGS + _OTHERS
BESIDE_PHOTOS = (
    ".txt",
    ".csv",
    ".tsv",
    ".json",
    ".jsonl",
    ".xml",
    ".md",
    ".html",
    ".yaml",
    ".yml",
    ".mat",
    ".npz",
    ".npy",
)
"""Endings of files that data sets have beside their photos, and that nobody takes for one."""
SYSTEM_NAMES = (".", "__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found", "Thumbs.db")
"""How the names of what no person has put into a folder begin."""


def image_files(folder: str | Path) -> list[Path]:
    """All photo files below the folder, through links, too, by extension, sorted; see `say_left_out` for the others."""
    return _walk(folder)[0]


def is_system_name(name: str) -> bool:
    """Whether a file or folder is hidden or the operating system's own: no photo, and no class of photos."""
    return name.startswith(SYSTEM_NAMES) or name == "desktop.ini"


def _walk(folder: str | Path) -> tuple[list[Path], list[Path]]:
    """The photo files below a folder, and whatever else is there that somebody might take for one."""
    files: list[Path] = []
    others: list[Path] = []
    seen = {os.path.realpath(folder)}  # a link may lead back to where it is
    for parent, folders, names in os.walk(folder, followlinks=True):
        others += [Path(parent, name) for name in folders if is_system_name(name)]
        folders[:] = sorted(name for name in folders if not is_system_name(name))
        real = {name: os.path.realpath(Path(parent, name)) for name in folders}
        folders[:] = [name for name in folders if real[name] not in seen]
        seen.update(real.values())
        for path in (Path(parent, name) for name in names):
            if is_system_name(path.name) or path.suffix.lower() not in EXTENSIONS or not os.path.exists(path):
                others.append(path)
            else:
                files.append(path)
    kept = [path for path in others if path.suffix.lower() not in BESIDE_PHOTOS or is_system_name(path.name)]
    return sorted(files), sorted(kept)


@lru_cache
def say_left_out(folder: Path) -> None:
    """Count and name, in one line and once, what is in a folder and is not taken for a photo."""
    others = _walk(folder)[1]
    if others:
        names = ", ".join(str(path.relative_to(folder)) for path in others[:5])
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        say(f"Left out of {folder}: {len(others)} that are hidden, or no photos by their endings ({names}{more}).")


def named_files(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths`, and all photos below the folders; UserError if a folder has none."""
    files: list[Path] = []
    for path in (path.expanduser() for path in paths):
        found = image_files(path) if path.is_dir() else [path]
        if not found:
            raise UserError(f"{path} has no photos in it; give a folder of .jpg or .png files.")
        if path.is_dir():
            say_left_out(path)
        files += found
    return files


def load_each(files: Sequence[Path], longest: int = 640) -> tuple[list[Path], list[np.ndarray], list[str]]:
    """Read photos, none with a side above `longest`: the files that were read, their photos, the names of broken files.

    What is wrong with a broken file is said at once. UserError if no file can be read.
    """
    found: list[tuple[Path, np.ndarray]] = []
    broken = for_each(files, lambda file: found.append((file, fit_within(load_image(file), longest))))
    if not found:
        raise UserError("not one of these photos can be read.")
    return [file for file, _ in found], [photo for _, photo in found], broken


def iter_images(files: Iterable[Path], max_pixels: float = 64e6) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield (path, uint8 (H, W, 3)) for training: broken files are skipped, counted, and named on stderr at the end.

    Raises:
        UserError: not one of the files could be read.
    """
    good, broken = 0, []
    try:
        for path in files:
            try:
                image = load_image(path, max_pixels)
            except UserError:
                broken.append(path)
                continue
            good += 1
            yield path, image
    finally:  # also when the caller stops before the end
        if broken and good:
            print(f"Skipped {_named(broken)} of {good + len(broken)} read.", file=sys.stderr)
    if broken and not good:
        raise UserError(f"Not one photo could be read: {_named(broken)}.")


def _named(broken: list[Path], most: int = 5) -> str:
    names = ", ".join(str(path) for path in broken[:most])
    more = f" and {len(broken) - most} more" if len(broken) > most else ""
    return f"{len(broken)} broken photo{'s' if len(broken) > 1 else ''} ({names}{more})"


_SKIMAGE = ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png", "camera.png")


def sample_photos() -> list[Path]:
    """The photos that come with scikit-image and Matplotlib (public domain or CC0); neither is imported."""
    places = {
        "skimage": tuple(f"data/{name}" for name in _SKIMAGE),
        "matplotlib": ("mpl-data/sample_data/grace_hopper.jpg",),
    }
    found = []
    for package, names in places.items():
        spec = importlib.util.find_spec(package)
        folders = spec.submodule_search_locations or () if spec else ()
        found += [Path(folder, name) for folder in folders for name in names]
    return [path for path in found if path.is_file()]
