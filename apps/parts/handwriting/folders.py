"""Folders of handwriting: IAM-OnDB's, UNIPEN's, or drawings of one's own hand with what they say."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from apps.parts.handwriting.lines import Sample, small_height_of
from shared.console import say
from shared.data.text import open_text
from shared.data.xml import read_xml
from shared.errors import UserError, sentence_of

SMALL_HEIGHT = 70.0  # units that small letters are high after scaling, as in the UNIPEN file, see `small_height_of`
TOLERANCE = 2.0  # units that thinning may move a line by
MOST_POINTS, MOST_BYTES = 100_000, 50_000_000  # of a sample; of a file

Strokes = list[np.ndarray]
"""Each (n, 2): x to the right, y down."""


def read_folder(folder: Path) -> list[Sample]:
    """The samples of a folder, scaled to one height of letters and thinned; what cannot be read is counted and named.

    - IAM-OnDB as published: lineStrokes/*/*/*.xml and ascii/*/*/*.txt. A form is taken for a writer.
    - UNIPEN as published: files with .PEN_DOWN, .PEN_UP and .SEGMENT WORD; a file is taken for a writer.
    - One's own hand: NAME.svg (polylines, or paths of straight lines) with NAME.txt beside it, or NAME.json with
      {"text": "...", "strokes": [[[x, y], ...], ...]}; all by one writer.
    """
    if (folder / "lineStrokes").is_dir():
        files, read = sorted((folder / "lineStrokes").rglob("*.xml")), _iam_lines(folder)
    else:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".svg", ".json", ".dat", ".unp"))
        read = _own
    found, skipped = [], Counter[str]()
    for file in files:
        try:
            for text, strokes, writer in read(file):
                if sample := _sample(text, strokes, writer):
                    found.append(sample)
                else:
                    skipped["samples without ink or text"] += 1
        except UserError as error:
            skipped[f"{error}"] += 1
        except OSError as error:
            skipped[sentence_of(error)] += 1
    for what, count in skipped.most_common(5):
        say(f"Left out of {folder}, {count}: {what}")
    writers = {name: n for n, name in enumerate(sorted({name for *_, name in found}), 1)}
    return [Sample(points, text, writers[name]) for points, text, name in found]


def _sample(text: str, strokes: Strokes, writer: str) -> tuple[np.ndarray, str, str] | None:
    """A sample's points, scaled and thinned; None where there is nothing."""
    from skimage.measure import approximate_polygon  # Ramer, Douglas and Peucker's

    text, strokes = " ".join(text.split()), [stroke for stroke in strokes if len(stroke)]
    if not text or not 0 < sum(map(len, strokes)) <= MOST_POINTS:
        return None
    height = small_height_of(_joined(strokes))
    if not height > 0:
        return None
    return (
        _joined([approximate_polygon(stroke * (SMALL_HEIGHT / height), TOLERANCE) for stroke in strokes]),
        text,
        writer,
    )


def _joined(strokes: Strokes) -> np.ndarray:
    ends = [np.arange(len(stroke)) == len(stroke) - 1 for stroke in strokes]
    return np.column_stack([np.concatenate(strokes), np.concatenate(ends)]).astype(np.float32)


def _numbers(values: Any, file: Path) -> np.ndarray:
    """Points, (n, 2)."""
    try:
        points = np.array(values, np.float64).reshape(-1, 2)
    except (ValueError, TypeError) as error:
        raise UserError(f"{file.name} has a stroke that is no list of points.") from error
    if not np.isfinite(points).all() or np.abs(points).max(initial=0) > 1e9:
        raise UserError(f"{file.name} has points that are no numbers.")
    return points


# ---------------------------------------------------------------------------------------------------------- IAM-OnDB


def _iam_lines(folder: Path) -> Callable[[Path], Iterator[tuple[str, Strokes, str]]]:
    def read(file: Path) -> Iterator[tuple[str, Strokes, str]]:
        form, number = file.stem.rsplit("-", 1)
        transcript = folder / "ascii" / file.parent.relative_to(folder / "lineStrokes") / f"{form}.txt"
        if not transcript.is_file() or not number.isdigit():
            raise UserError("lines without a transcript in ascii/")
        parts = re.split(r"^CSR:\s*$", open_text(transcript), flags=re.MULTILINE)
        lines = parts[-1].strip().split("\n") if len(parts) > 1 else []
        if not 0 < int(number) <= len(lines):
            raise UserError("lines whose transcript has fewer of them")
        strokes = [
            _numbers([[point.get("x"), point.get("y")] for point in stroke.iter("Point")], file)
            for stroke in read_xml(file).iter("Stroke")
        ]
        yield lines[int(number) - 1], strokes, form

    return read


# ----------------------------------------------------------------------------------------------- UNIPEN, and one's own


def _own(file: Path) -> Iterator[tuple[str, Strokes, str]]:
    if file.stat().st_size > MOST_BYTES:
        raise UserError(f"files of more than {MOST_BYTES // 1_000_000} MB")
    kind = file.suffix.lower()
    if kind == ".svg":
        yield _text_beside(file), _svg_strokes(file), "own"
    elif kind == ".json":
        yield _json_sample(file)
    else:
        yield from _unipen_words(file)


def _text_beside(file: Path) -> str:
    if not file.with_suffix(".txt").is_file():
        raise UserError("drawings without a .txt beside them that says what they say")
    return open_text(file.with_suffix(".txt"))


def _json_sample(file: Path) -> tuple[str, Strokes, str]:
    try:
        found = json.loads(open_text(file))
        text, strokes = found["text"], found["strokes"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise UserError(f"{file.name} is no JSON with text and strokes.") from error
    if not isinstance(text, str) or not isinstance(strokes, list):
        raise UserError(f"{file.name} is no JSON with text and strokes.")
    return text, [_numbers(stroke, file) for stroke in strokes], "own"


def _svg_strokes(file: Path) -> Strokes:
    strokes = []
    for item in read_xml(file).iter():
        tag = str(item.tag).rsplit("}", 1)[-1]
        if tag == "polyline":
            strokes.append(_numbers(re.findall(r"-?[\d.]+(?:e-?\d+)?", item.get("points", "")), file))
        elif tag == "path":
            strokes += _path_strokes(item.get("d", ""), file)
    return strokes


def _path_strokes(path: str, file: Path) -> Strokes:
    if re.search(r"[^MLml\d\s.,e+-]", path):
        raise UserError(f"{file.name} has a path that is curved or closed: give polylines, or paths of M and L alone.")
    strokes: Strokes = []
    at = np.zeros(2)
    for command, numbers in re.findall(r"([MLml])([^MLml]*)", path):
        points = _numbers(re.findall(r"-?[\d.]+(?:e-?\d+)?", numbers), file)
        if command.islower():
            points = at + np.cumsum(points, axis=0)
        if command in "Mm":
            strokes.append(points)
        elif strokes:
            strokes[-1] = np.concatenate([strokes[-1], points])
        at = points[-1] if len(points) else at
    return strokes


def _unipen_words(file: Path) -> Iterator[tuple[str, Strokes, str]]:
    """The words of a file whose components are counted from 0, pen down or up, as `.SEGMENT WORD 3-7 ? "the"` says."""
    components: list[tuple[bool, list[list[float]]]] = []
    segments: list[tuple[int, int, str]] = []
    for line in file.read_text(encoding="latin-1").splitlines():
        word = line.split(None, 1)[0] if line.strip() else ""
        if word in (".PEN_DOWN", ".PEN_UP"):
            components.append((word == ".PEN_DOWN", []))
        elif found := re.match(r'\.SEGMENT\s+WORD\s+(\d+)(?:-(\d+))?\s+\S+\s+"(.+)"', line):
            segments.append((int(found[1]), int(found[2] or found[1]), found[3]))
        elif components and re.match(r"\s*-?\d+\s+-?\d+", line):
            components[-1][1].append([float(number) for number in line.split()[:2]])
    if not segments:
        raise UserError("files without words: .SEGMENT WORD with whole components")
    for first, last, text in segments:
        strokes = [_numbers(points, file) for down, points in components[first : last + 1] if down and points]
        yield text, [stroke * np.array([1, -1]) for stroke in strokes], file.name  # y goes up in UNIPEN
