"""Photos for training, from what `--data` names: a file, a folder, or a TensorFlow Datasets (TFDS) name.

A folder keeps the splits that it has, also those of Flickr8k's published lists; `open_images` says how. A name that is
not on the disk and looks like one of TFDS (imagenette/160px-v2, celeb_a) is downloaded by TFDS.
"""

from __future__ import annotations

import os
import re
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.console import say
from shared.data import tfds
from shared.data.batches import spread
from shared.data.digest import described_file, digest_of
from shared.data.photo_files import image_files, is_system_name, iter_images, say_left_out
from shared.data.text import open_text
from shared.errors import UserError

SPLIT_FOLDERS = {"train": ("train",), "validation": ("validation", "val", "valid", "dev"), "test": ("test",)}

Example = tuple[np.ndarray, int | None]  # uint8 (H, W, 3), class


@dataclass(frozen=True)
class ImageSet:
    """Photos that can be iterated over again and again, each time in the same order, as (uint8 (H, W, 3), label).

    Broken files are skipped, so that a pass may give fewer than `len()` photos.
    """

    classes: tuple[str, ...]
    """Name of each label; empty, and every label None, where the data have no classes."""
    count: int
    read: Callable[[], Iterator[Example]]
    digest: Callable[[], str] = lambda: ""
    """What tells these photos from others, though they may be moved: names and sizes."""

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Example]:
        return self.read()

    def evenly(self, most: int) -> Iterator[Example]:
        """At most so many of the photos, spread evenly; 0 for all."""
        chosen = set(spread(len(self), most or len(self)))
        return (example for n, example in enumerate(self) if n in chosen)


def open_images(data: str | Path, split: str = "train") -> ImageSet:
    """Open a photo file, a folder of photos, a folder of one folder per class, or a TFDS name.

    A folder with folders for the splits (train, val, test ...) keeps these, and so does one with Flickr8k's lists
    (Flickr_8k.trainImages.txt ...). Any other folder is split here into train, validation and test, 8:1:1, by a
    checksum of each file's name, so that a new file changes the split of no other.

    Args:
        data: path, or TFDS name with an optional configuration.
        split: "train", "validation", "test" or "all"; for TFDS also its own form, such as "train[:10%]".

    Raises:
        UserError: nothing there, no photos, an unknown split, or TFDS cannot provide it.
    """
    path = Path(data).expanduser()
    if os.path.isfile(path):
        return _files([path], [None], ())
    if os.path.isdir(path):
        return _folder(path, split)
    return _tfds_images(str(data), split)


def _folder(folder: Path, split: str) -> ImageSet:
    say_left_out(folder)
    photos = split_photos(folder)
    names = list(dict.fromkeys(name for name, _, _ in photos))
    if not photos:
        raise UserError(f"{folder} has no photos in it; give a folder of .jpg or .png files.")
    if split not in (*names, "all"):
        raise UserError(f"{folder} has the splits {', '.join(names)} and all, not {split!r}.")
    classes: tuple[str, ...] = ()
    if all(len(photo.parts) > 1 for _, _, photo in photos):  # none beside the class folders
        classes = tuple(sorted({photo.parts[0] for _, _, photo in photos}))
    chosen = [(root, photo) for name, root, photo in photos if split in (name, "all")]
    labels = [classes.index(photo.parts[0]) if classes else None for _, photo in chosen]
    return _files([root / photo for root, photo in chosen], labels, classes)


def split_photos(folder: Path) -> list[tuple[str, Path, Path]]:
    """(split, root, path below the root) of every photo; a root holds photos or class folders."""
    inside = {entry.name for entry in folder.iterdir() if entry.is_dir() and not is_system_name(entry.name)}
    named = {name: split for split, aliases in SPLIT_FOLDERS.items() for name in aliases if name in inside}
    if len(named) > 1 or (named and len(inside) == 1):  # "train" alone, beside others, is a class: bus, plane, train
        return [
            (split, folder / name, path.relative_to(folder / name))
            for name, split in named.items()
            for path in image_files(folder / name)
        ]
    if listed := _listed_photos(folder):
        return listed
    photos = [path.relative_to(folder) for path in image_files(folder)]
    return [(_drawn_split(photo), folder, photo) for photo in photos]


def _listed_photos(folder: Path) -> list[tuple[str, Path, Path]]:
    """Flickr8k's form: a list of file names for each split, wherever in the folder the photos are."""
    aliases = [(split, alias) for split, names in SPLIT_FOLDERS.items() for alias in names]
    lists = [(split, path) for split, alias in aliases for path in folder.glob(f"*{alias}Images.txt")]
    if not lists:
        return []
    names = [(split, line.strip()) for split, path in lists for line in open_text(path).split("\n") if line.strip()]
    found = find_photos(folder, [name for _, name in names])
    missing = [name for _, name in names if name not in found]
    if missing:
        say(f"Left out of {folder}: {described('photos of its lists that are not there', missing)}.")
    places = [(split, folder / found[name]) for split, name in names if name in found]
    return [(split, place.parent, Path(place.name)) for split, place in places]


def find_photos(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """The path, relative to the folder, of each photo that a list or a table names, as far as they are there.

    A name is the path as written, or its end: a bare name does where it is unique. Accents may be written in either of
    Unicode's ways: macOS splits them off the letters in the names of files.

    Raises:
        UserError: two photos fit a name.
    """
    photos = [path.relative_to(folder) for path in image_files(folder)]
    ends: dict[str, list[Path]] = defaultdict(list)
    for photo in photos:
        for n in range(len(photo.parts)):
            ends[unicodedata.normalize("NFC", "/".join(photo.parts[n:]))].append(photo)
    found = {}
    for name in dict.fromkeys(names):
        fitting = ends.get(unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./")), [])
        exact = [photo for photo in fitting if photo.as_posix() == name]
        if len(fitting) > 1 and not exact:
            raise UserError(
                f"{folder} has {fitting[0]} and {fitting[1]}, and {name} may be either: write its folder, too."
            )
        if fitting:
            found[name] = (exact or fitting)[0]
    return found


def described(kind: str, names: Sequence[str], most: int = 3) -> str:
    """How many there are of a kind, with the names of the first."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{len(names):,} {kind} ({', '.join(names[:most])}{more})"


def _drawn_split(photo: Path) -> str:
    return {0: "validation", 1: "test"}.get(zlib.crc32(photo.as_posix().encode()) % 10, "train")


def _files(paths: list[Path], labels: list[int | None], classes: tuple[str, ...]) -> ImageSet:
    label_of = dict(zip(paths, labels, strict=True))
    read = lambda: ((image, label_of[path]) for path, image in iter_images(paths))  # noqa: E731
    return ImageSet(classes, len(paths), read, lambda: digest_of(map(described_file, paths)))


def _tfds_images(name: str, split: str) -> ImageSet:
    builder = tfds.prepared(name)
    image_key = tfds.needed(builder, "Image", "photos")
    label_key = tfds.feature(builder, "ClassLabel")
    if split != "all" and re.fullmatch(r"\w+", split) and builder.info.splits and split not in builder.info.splits:
        raise UserError(f"TFDS {name} has the splits {', '.join(builder.info.splits)} and all, not {split}.")

    def read() -> Iterator[Example]:
        for example in tfds.examples(builder, split):
            yield _rgb(example[image_key]), int(example[label_key]) if label_key else None

    classes = tuple(builder.info.features[label_key].names) if label_key else ()
    count = builder.info.splits[split].num_examples
    return ImageSet(classes, count, read, lambda: digest_of([builder.info.full_name, split, str(count)]))


def _rgb(image: np.ndarray) -> np.ndarray:
    return np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image[..., :3]
