"""Handwriting with transcripts, in the forms that it is published in, or of one's own hand."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from apps.parts.handwriting.folders import read_folder
from apps.parts.handwriting.lines import Sample
from shared.data.digest import digest_of
from shared.errors import UserError

SPLITS = ("train", "validation", "test")
IAM_SCALE = 0.4  # its letters are 250 high
HELD_OUT = 0.05  # share of the writers that choose the model, and of those that test it


def read(data: str, split: str) -> list[Sample]:
    """The samples of one split: no writer is in two of them, or, of one or two writers, no sample.

    Args:
        data: an .npz file with `points`, `offsets`, `text` and `writer` or `names`, as ours of UNIPEN and IAM-OnDB; or
            a folder, see `read_folder`.
        split: of SPLITS.

    Raises:
        UserError: nothing there, or something else.
    """
    path = Path(data).expanduser()
    if not path.exists():
        raise UserError(f"There is no file or folder {data}: check --data.")
    samples = read_folder(path) if path.is_dir() else _npz(path)
    if not samples:
        raise UserError(f"{data} has no handwriting with transcripts.")
    keys = [sample.writer for sample in samples]
    if len(set(keys)) < len(SPLITS):
        keys = list(range(len(samples)))
    chosen = _part(keys, split)
    return [sample for sample, key in zip(samples, keys, strict=True) if key in chosen]


def numbered(parts: Sequence[Sequence[Sample]]) -> list[Sample]:
    """The samples of several sources, their writers numbered anew, from 1 on."""
    found: dict[tuple[int, int], int] = {}
    return [
        sample._replace(writer=found.setdefault((source, sample.writer), len(found) + 1))
        for source, samples in enumerate(parts)
        for sample in samples
    ]


def digest_of_samples(samples: Sequence[Sample]) -> str:
    """Tells these samples from others."""
    return digest_of(f"{sample.text} {sample.writer} {sample.points.sum():.0f}" for sample in samples)


def _part(keys: Sequence[int], split: str) -> set[int]:
    """Those of the keys that are in a split."""
    order = np.random.default_rng(0).permutation(sorted(set(keys)))
    held_out = max(1, round(HELD_OUT * len(order)))
    parts = order[2 * held_out :], order[:held_out], order[held_out : 2 * held_out]
    return set(parts[SPLITS.index(split)].tolist())


def _npz(path: Path) -> list[Sample]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in ("points", "offsets", "text", "writer", "names") if name in file}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError, AttributeError) as error:
        raise UserError(f"{path} is no .npz file that can be read: give one of handwriting, or a folder.") from error
    if not {"points", "offsets", "text"} <= set(found):
        raise UserError(f"{path} has no handwriting: it needs points, offsets and text.")
    points, offsets, texts = found["points"], found["offsets"].astype(np.int64), found["text"]
    whole = offsets.shape == (len(texts) + 1,) and (np.diff(offsets) > 0).all()
    if points.ndim != 2 or points.shape[1] != 3 or not whole or offsets[0] != 0 or offsets[-1] != len(points):
        raise UserError(f"{path} must hold points (n, 3), and offsets that say where each text's points begin.")
    if points.dtype.kind not in "iuf" or not np.isfinite(points).all() or texts.dtype.kind != "U":
        raise UserError(f"{path} must hold points that are numbers, and texts.")
    forms = {name: n for n, name in enumerate(sorted({form_of(name) for name in found.get("names", np.array([]))}))}
    writers = found.get("writer", [forms[form_of(name)] for name in found.get("names", ())])
    if len(writers) != len(texts):
        raise UserError(f"{path} must say who wrote each text, as writer, or as names of forms.")
    parts = np.split(points.astype(np.float32), offsets[1:-1])
    scale = np.array([1, 1, 1] if "writer" in found else [IAM_SCALE, IAM_SCALE, 1], np.float32)
    rows = zip(parts, texts, writers, strict=True)
    return [Sample(part * scale, str(text), int(writer) + 1) for part, text, writer in rows if text and _ends(part)]


def _ends(points: np.ndarray) -> bool:
    return bool(points[-1, 2] == 1 and np.isin(points[:, 2], (0, 1)).all())


def form_of(name: str) -> str:
    """The form that a line of IAM-OnDB is on: a01-000u of a01-000u-03."""
    return str(name).rsplit("-", 1)[0]
