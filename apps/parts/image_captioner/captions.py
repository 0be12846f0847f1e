"""Photos and their captions, read from the forms in which Flickr8k was published.

A folder holds the photos, anywhere below it, and their captions in captions.txt (lines of `image,caption`, quoted as
CSV is) or in Flickr8k.token.txt (lines of `image#number TAB caption`). Its splits are those of `datasets.open_images`.
"""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.console import say
from shared.data.datasets import described, find_photos, split_photos
from shared.data.photo_files import iter_images
from shared.data.sizes import resize
from shared.data.text import open_text
from shared.data.vocabulary import Words
from shared.decoding.captioner import Caption
from shared.errors import UserError
from shared.files import write_atomically

Faults = dict[str, list[str]]  # names of what is left out, by the kind of fault


def words_of(text: str) -> Words:
    """The words of a sentence, letters and digits in lower case, as in Karpathy's split of Flickr8k.

    The marks above, below and beside letters belong to their words, as Hindi and Vietnamese need.
    """
    letters = (
        c if unicodedata.category(c)[0] in "LNM" or c in JOINERS else " "
        for c in unicodedata.normalize("NFC", text.lower())
    )
    return tuple("".join(letters).split())


JOINERS = "\u200c\u200d"  # inside of Persian and Indian words
SPACELESS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]{5}|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{15}")
"""More letters in a row than words have: Japanese and Chinese; Thai, Lao, Burmese and Khmer."""


@dataclass(frozen=True)
class CaptionedPhoto:
    """A photo's file and what people wrote about it."""

    path: Path
    captions: tuple[Words, ...]


def read_captions(data: str | Path, *splits: str) -> list[list[CaptionedPhoto]]:
    """For each split ("train", "validation", "test" or "all") its photos that have captions; none is decoded yet.

    What is left out is counted and named on stderr: captions of photos that are not there, photos without captions,
    empty captions, lines of another form.

    Raises:
        UserError: there is no such folder, it has no captions, or no photo with captions in one of these splits.
    """
    folder = Path(data).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {folder}: name one in Flickr8k's published form, photos and captions.txt "
            "(TFDS has no such data set)."
        )
    faults: Faults = defaultdict(list)
    written = _captions(_captions_file(folder), faults)
    places = find_photos(folder, written)
    for name in sorted(written.keys() - places.keys()):
        faults["captioned photos that are not there"].append(name)
    captions: dict[Path, list[Words]] = defaultdict(list)
    for name, place in places.items():
        captions[folder / place] += written[name]
    found: dict[str, list[CaptionedPhoto]] = {split: [] for split in splits}
    for name, root, path in split_photos(folder):
        if chosen := {name, "all"} & set(splits):
            if root / path not in captions:
                faults["photos without captions"].append(str(path))
            else:
                for split in chosen:
                    found[split].append(CaptionedPhoto(root / path, tuple(captions[root / path])))
    if faults:
        say(f"Left out of {folder}: {'; '.join(described(kind, names) for kind, names in faults.items())}.")
    for split in splits:
        if not found[split]:
            raise UserError(f"{folder} has no photos with captions in its {split} split.")
    return [found[split] for split in splits]


def _captions_file(folder: Path) -> Path:
    files = [*folder.glob("captions.txt"), *folder.glob("*.token.txt")]
    if not files:
        raise UserError(f"{folder} holds neither captions.txt (image,caption) nor Flickr8k.token.txt.")
    return files[0]


def _captions(file: Path, faults: Faults) -> dict[str, list[Words]]:
    """Captions by the photo's name as written. Line by line: a quote that is never closed spoils its own line only."""
    captions: dict[str, list[Words]] = {}
    spaceless = 0
    for number, line in enumerate(open_text(file).split("\n"), 1):
        if not line.strip():
            continue
        name, text = _fields(line, tabs=file.name.endswith(".token.txt"))
        if number == 1 and name == "image":
            continue
        words = words_of(text or "")
        if text is None or not name:
            faults["lines of another form"].append(f"line {number}")
        elif not words:
            faults["empty captions"].append(f"line {number}")
        else:
            captions.setdefault(name, []).append(words)
            spaceless += any(SPACELESS.search(word) for word in words)
    if spaceless > sum(map(len, captions.values())) / 10:
        raise UserError(f"{file} is in a language without spaces between words: put spaces between them first.")
    return captions


def _fields(line: str, tabs: bool) -> tuple[str, str | None]:
    """The photo's name and the caption of a line, `name#number TAB caption` or CSV; None for a missing caption."""
    if tabs:
        name, tab, text = line.partition("\t")
        return re.sub(r"#\d+$", "", name.strip()), text if tab else None
    try:
        name, *rest = next(csv.reader([line], skipinitialspace=True, strict=True))
    except (csv.Error, StopIteration, ValueError):  # a quote that is never closed, or a second one
        name, *rest = line.split(",", 1)
    return name.strip(), ",".join(rest) if rest else None


def read_photos(found: Sequence[CaptionedPhoto], size: int) -> tuple[np.ndarray, list[CaptionedPhoto]]:
    """The photos that can be read, uint8 (photos, size, size, 3), and which of `found` they are.

    Each is resized whole, not cropped to a square: captions speak of what is at the edges, too.
    """
    of_path = {item.path: item for item in found}
    photos = np.empty((len(of_path), size, size, 3), np.uint8)
    readable: list[CaptionedPhoto] = []
    for path, photo in iter_images(of_path):
        photos[len(readable)] = resize(photo, size, size)
        readable.append(of_path[path])
    return photos[: len(readable)], readable


def save_captions(path: Path, photos: Sequence[CaptionedPhoto], captions: dict[int, list[Caption]]) -> None:
    """Save the captions of each beam width, with what people wrote, as JSON."""
    rows = [
        {
            "photo": photo.path.name,
            "captions": {f"beams {beams}": found[n].text for beams, found in captions.items()},
            "references": [" ".join(words) for words in photo.captions],
        }
        for n, photo in enumerate(photos)
    ]
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
