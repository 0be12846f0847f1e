"""Photos with sentences about them, in Flickr8k's published forms, and the words that a network reads and writes.

A folder holds the photos, anywhere below it, and their sentences in captions.txt (lines of `image,caption`, quoted as
CSV is) or in Flickr8k.token.txt (lines of `image#number TAB caption`). Its splits are those of `datasets.open_images`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shared.console import say
from shared.data.batches import shuffled
from shared.data.datasets import split_pictures
from shared.data.images import image_files, iter_images, resize
from shared.data.vocabulary import Vocabulary, Words
from shared.errors import UserError

NAMED = 3  # examples in a message
View = Callable[[int, bool, np.random.Generator], np.ndarray]


def words_of(text: str) -> Words:
    """A sentence as Karpathy's split of Flickr8k has it: words of letters and digits, in lower case."""
    return tuple(re.findall(r"[^\W_]+", text.lower()))


# ------------------------------------------------------------------------------------------------------- Reading


@dataclass(frozen=True)
class Captioned:
    """A photo's file and what people said of it."""

    path: Path
    captions: tuple[Words, ...]


@dataclass
class _Faults:
    """What is left out, by kind."""

    kinds: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, where: str) -> None:
        self.kinds.setdefault(kind, []).append(where)

    def __str__(self) -> str:
        def named(places: list[str]) -> str:
            more = f" and {len(places) - NAMED:,} more" if len(places) > NAMED else ""
            return ", ".join(places[:NAMED]) + more

        return "; ".join(f"{len(places):,} {kind} ({named(places)})" for kind, places in self.kinds.items())


def read_captions(data: str | Path, *splits: str) -> list[list[Captioned]]:
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
    faults = _Faults()
    captions = _captions(_captions_file(folder), faults)
    present = {path.name for path in image_files(folder)}
    for name in sorted(captions.keys() - present):
        faults.add("captioned photos that are not there", name)
    found: dict[str, list[Captioned]] = {split: [] for split in splits}
    for name, root, path in split_pictures(folder):
        if chosen := {name, "all"} & set(splits):
            if path.name not in captions:
                faults.add("photos without captions", path.name)
            else:
                for split in chosen:
                    found[split].append(Captioned(root / path, tuple(captions[path.name])))
    if faults.kinds:
        say(f"Left out of {folder}: {faults}.")
    for split in splits:
        if not found[split]:
            raise UserError(f"{folder} has no photos with captions in its {split} split.")
    return [found[split] for split in splits]


def _captions_file(folder: Path) -> Path:
    files = [*folder.glob("captions.txt"), *folder.glob("*.token.txt")]
    if not files:
        raise UserError(f"{folder} holds neither captions.txt (image,caption) nor Flickr8k.token.txt.")
    return files[0]


def _captions(file: Path, faults: _Faults) -> dict[str, list[Words]]:
    """Captions by the photo's name. Line by line: a quote that is never closed spoils its own line only."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8: byte {error.start} is wrong; save it again as UTF-8.") from error
    captions: dict[str, list[Words]] = {}
    for number, line in enumerate(lines, 1):
        name, comma, text = line.partition("\t" if file.name.endswith(".token.txt") else ",")
        name = Path(name.split("#")[0].strip()).name
        if (number == 1 and name == "image") or not line.strip():
            continue
        words = words_of(_unquoted(text))
        if not comma or not name:
            faults.add("lines of another form", f"line {number}")
        elif not words:
            faults.add("empty captions", f"line {number}")
        else:
            captions.setdefault(name, []).append(words)
    return captions


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1].replace('""', '"') if len(text) > 1 and text[0] == text[-1] == '"' else text


def read_photos(found: Sequence[Captioned], size: int) -> tuple[np.ndarray, list[Captioned]]:
    """The photos squeezed into squares, uint8 (photos, size, size, 3), and which they are: broken ones are left out.

    The whole photo is seen, not its middle: captions speak of what is at the edges, too.
    """
    of_path = {item.path: item for item in found}
    photos = np.empty((len(of_path), size, size, 3), np.uint8)
    kept: list[Captioned] = []
    for path, photo in iter_images(of_path):
        photos[len(kept)] = resize(photo, size, size)
        kept.append(of_path[path])
    return photos[: len(kept)], kept


# --------------------------------------------------------------------------------------------------------- Words


# ------------------------------------------------------------------------------------------------------- Lessons


@dataclass(frozen=True)
class Lesson:
    """What a photo teaches."""

    captions: tuple[list[int], ...]
    """Ids, each between a start and an end."""
    mirrored: tuple[list[int], ...]
    """Those that are true of the mirror image, too: they do not speak of left and right."""

    @classmethod
    def of(cls, captions: Iterable[Words], vocabulary: Vocabulary) -> Lesson:
        """From a photo's captions."""
        captions = tuple(captions)
        fair = [words for words in captions if not {"left", "right"} & set(words)]
        return cls(tuple(map(vocabulary.encode, captions)), tuple(map(vocabulary.encode, fair)))


def pack(captions: Sequence[list[int]], length: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Captions one behind the other in a row, and what follows each of its ids, int32 (length,) each; 0 fills it up.

    A caption is cut at `longest` ids, and the row at `length`. Packed, five captions need half of the place that five
    padded rows do, and the photo is looked at once for all of them.
    """
    row, following = np.zeros((2, length), np.int32)
    at = 0
    for ids in captions:
        taken = min(len(ids) - 1, longest, length - at)
        row[at : at + taken], following[at : at + taken] = ids[:taken], ids[1 : taken + 1]
        at += taken
    return row, following


def lessons(
    views: View, found: Sequence[Lesson], *, batch: int, length: int, longest: int, seed: int, epoch: int
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
    """Batches ((views, ids), following ids) without end, from epoch number `epoch` on.

    An epoch depends on the seed and its number alone: photos in random order, each mirrored or not, all its captions in
    one row.

    Args:
        views: `views(n, mirrored, rng)` is what the network sees of photo n, an array.
        found: of each photo.
    """
    for chosen, rng in shuffled(len(found), batch, seed, epoch):
        seen, rows = [], []
        for n in chosen:
            mirrored = bool(rng.integers(2)) and bool(found[n].mirrored)
            captions = found[n].mirrored if mirrored else found[n].captions
            seen.append(views(n, mirrored, rng))
            rows.append(pack([captions[i] for i in rng.permutation(len(captions))], length, longest))
        ids, following = map(np.stack, zip(*rows, strict=True))
        yield (np.stack(seen), ids), following
