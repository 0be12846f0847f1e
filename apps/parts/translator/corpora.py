"""Pairs of sentences, English and another language, from the forms in which they are published.

A source of pairs is one of these:

    multi30k                     a folder with a file for each split and language: train.en, train.de, val.en ...
    translation/deu-eng/deu.txt  lines of English TAB other, in Tatoeba's form: the file is named by the language
    ja=pairs.tsv                 the same under any name, and the language told
    de=some.en,some.de           two aligned files
    ted_hrlr_translate/pt_to_en  a TFDS name
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from shared.data.text import open_text
from shared.data.tfds import open_translations
from shared.errors import UserError

LANGUAGES = {"deu": "de", "fra": "fr", "jpn": "ja", "kor": "ko", "por": "pt", "spa": "es", "ita": "it", "rus": "ru"}
"""Tatoeba's names of languages, and the usual ones."""
SPLITS = {
    "train": ("train",),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "test_2016_flickr"),
}
HELD_OUT = 64  # of a file without splits, one English sentence in so many is for validation, and another for testing


class Pair(NamedTuple):
    """A sentence in English and in another language."""

    english: str
    other: str
    language: str
    """Of `other`: de, fr ..."""


def read_pairs(source: str, split: str) -> list[Pair]:
    """The pairs of one split, train, validation or test, of one source; UserError if it is none, or broken.

    A file has no splits: what belongs together is decided by a checksum of the normalised English, so that no English
    sentence is in two splits.
    """
    language, told, files = source.rpartition("=")
    if told and not Path(source).exists():
        return [pair for pair in _read_files(files.split(","), language) if _drawn_split(pair.english) == split]
    path = Path(source).expanduser()
    if path.is_dir():
        return _read_folder(path, split)
    if path.is_file():
        if path.stem not in LANGUAGES:
            raise UserError(f"{path} does not say which language it has: write --data LANGUAGE={path}.")
        pairs = _read_files([source], LANGUAGES[path.stem])
        return [pair for pair in pairs if _drawn_split(pair.english) == split]
    return _read_tfds(source, split)


def _read_tfds(name: str, split: str) -> list[Pair]:
    languages, rows = open_translations(name, split)
    if "en" not in languages:
        raise UserError(f"TFDS {name} has {' and '.join(languages)}, and one of the two must be English (en).")
    other = next(language for language in languages if language != "en")
    return [Pair(row["en"], row[other], other) for row in rows]


def _read_folder(folder: Path, split: str) -> list[Pair]:
    """Multi30k's form, or a folder with one file in Tatoeba's."""
    for name in SPLITS.get(split, (split,)):
        if (folder / f"{name}.en").is_file():
            others = sorted(path for path in folder.glob(f"{name}.*") if path.suffix != ".en")
            return [pair for path in others for pair in _read_files([folder / f"{name}.en", path], path.suffix[1:])]
    tables = [path for path in sorted(folder.glob("*.txt")) if path.stem in LANGUAGES]
    if tables:
        return [pair for path in tables for pair in read_pairs(str(path), split)]
    raise UserError(
        f"{folder} has no {split} split: it needs {SPLITS.get(split, (split,))[0]}.en, and the same in .de."
    )


def _read_files(files: Sequence[str | Path], language: str) -> list[Pair]:
    if len(files) == 1:
        rows = [line.split("\t") for line in _lines(files[0]) if line.strip()]
        wrong = next((n for n, row in enumerate(rows, 1) if len(row) < 2), 0)
        if wrong:
            raise UserError(f"{files[0]}, line {wrong}: a line must be English, a tab, and the other language.")
        return [Pair(row[0].strip(), row[1].strip(), language) for row in rows]
    english, other = map(_lines, files[:2])
    if len(english) != len(other):
        raise UserError(
            f"{files[0]} has {len(english):,} lines and {files[1]} has {len(other):,}: they must belong together, "
            "line by line."
        )
    pairs = (Pair(one.strip(), two.strip(), language) for one, two in zip(english, other, strict=True))
    return [pair for pair in pairs if pair.english and pair.other]


def _lines(path: str | Path) -> list[str]:
    if not Path(path).is_file():
        raise UserError(f"there is no file {path}: check its name.")
    return open_text(path).removesuffix("\n").split("\n")


def held_out_english(source: str) -> set[str]:
    """The normalised English of what a source has for validation and for testing."""
    path = Path(source).expanduser()
    if path.is_dir() and (files := [file for file in path.glob("*.en") if file.stem != "train"]):
        return {normalised(line) for file in files for line in _lines(file)}
    return {normalised(pair.english) for split in ("validation", "test") for pair in read_pairs(source, split)}


def normalised(english: str) -> str:
    """A sentence without case, accents, punctuation and spacing: what counts as the same sentence."""
    plain = unicodedata.normalize("NFKD", english).casefold()
    return " ".join(re.findall(r"\w+", "".join(letter for letter in plain if not unicodedata.combining(letter))))


def _drawn_split(english: str) -> str:
    return {0: "validation", 1: "test"}.get(zlib.crc32(normalised(english).encode()) % HELD_OUT, "train")
