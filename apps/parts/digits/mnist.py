"""Digits with their labels: MNIST itself, or somebody's own in the same form."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from apps.parts.digits.ink import SIDE, normalised
from shared.data.datasets import open_images
from shared.errors import UserError

PARTS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Digits:
    """Drawings, uint8 (n, 28, 28), ink 255 on 0, and what they show, int64 (n,)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: np.ndarray | slice | list[int]) -> Digits:
        """Those with these indices."""
        return Digits(self.images[chosen], self.labels[chosen])

    @property
    def digest(self) -> str:
        """Tells these digits from others."""
        return f"{zlib.crc32(self.images.tobytes()):08x}{zlib.crc32(self.labels.astype(np.int64).tobytes()):08x}"


def read(data: str) -> tuple[Digits, Digits]:
    """Digits to learn from, and to test with.

    Args:
        data: "mnist" (keras.datasets downloads it once), an .npz file with `x_train`, `y_train`, `x_test` and `y_test`,
            or a folder with a folder of pictures for each digit, 0 to 9, which are split 8:1:1 or as they say.

    Raises:
        UserError: nothing there, or something else.
    """
    path = Path(data).expanduser()
    if path.is_dir():
        return _folder(data, "train"), _folder(data, "test")
    if path.is_file() or path.suffix == ".npz":
        return _npz(path)
    if data != "mnist":
        raise UserError(f"There is no file or folder {data}: give an .npz file, a folder of folders 0 to 9, or mnist.")
    import keras

    try:
        (train_x, train_y), (test_x, test_y) = keras.datasets.mnist.load_data()
    except Exception as error:  # whatever goes wrong with a download
        raise UserError(f"MNIST must be downloaded once, and that failed ({error}): give --data FILE.npz.") from error
    return Digits(train_x, train_y.astype(np.int64)), Digits(test_x, test_y.astype(np.int64))


def _npz(path: Path) -> tuple[Digits, Digits]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in PARTS if name in file.files}
    except FileNotFoundError as error:
        raise UserError(f"There is no file {path}; check its name.") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError, AttributeError) as error:
        raise UserError(f"{path} is no .npz file that can be read: give one with {', '.join(PARTS)}.") from error
    missing = [name for name in PARTS if name not in found]
    if missing:
        raise UserError(f"{path} has no {', '.join(missing)}: it needs {', '.join(PARTS)}.")
    parts = [Digits(found[f"x_{name}"], found[f"y_{name}"]) for name in ("train", "test")]
    for part in parts:
        images, labels = part.images, part.labels
        if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE) or len(images) == 0:
            raise UserError(f"{path} must hold pictures of {SIDE} x {SIDE} bytes, not {images.dtype} {images.shape}.")
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu" or not np.isin(labels, range(10)).all():
            raise UserError(f"{path} must hold a label from 0 to 9 for each picture.")
    return parts[0], Digits(parts[1].images, parts[1].labels.astype(np.int64))


def _folder(data: str, split: str) -> Digits:
    examples = open_images(data, split)
    wrong = [name for name in examples.classes if name not in tuple("0123456789")]
    if not examples.classes or wrong:
        raise UserError(
            f"{data} must have folders of pictures called 0 to 9{f', and has {wrong[0]}' if wrong else ''}."
        )
    images, labels = [], []
    for photo, label in examples:
        grey = photo.astype(np.float32).mean(axis=-1)
        dark = np.median(np.r_[grey[0], grey[-1], grey[:, 0], grey[:, -1]]) > 127
        ink = 255 - grey if dark else grey
        images.append(normalised(ink))
        labels.append(int(examples.classes[label or 0]))
    if not images:
        raise UserError(f"{data} has no pictures for {split}: give more of them.")
    return Digits(np.stack(images), np.array(labels))
