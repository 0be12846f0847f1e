"""A detector with the names of its classes: photos of any size in, boxes out; and what it is worth."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from apps.parts.detector.average_precision import Boxes, average_precisions
from apps.parts.detector.labels import LabelledPhotos
from apps.parts.detector.sheets import tile_places
from shared.console import for_each
from shared.data.images import load_image
from shared.data.sizes import resize
from shared.errors import UserError, suggest

if TYPE_CHECKING:
    import keras

TOGETHER = 16  # photos that are prepared at a time


@dataclass(frozen=True)
class Detector:
    """A network, and how its answers become boxes."""

    network: keras.Model
    labels: tuple[str, ...]
    answers: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    """Photos uint8 (n, size, size, 3) -> moves and logits of the anchors."""
    boxes_of: Callable[[np.ndarray, np.ndarray, float], list[Boxes]]
    """Moves, logits and the least probability -> the boxes of each photo."""
    suppressed: Callable[[Boxes], Boxes]
    """Boxes without those that mean the same."""

    def seen(self, photos: Sequence[np.ndarray]) -> np.ndarray:
        """Photos of any sizes as the network takes them, uint8 (n, size, size, 3)."""
        side = self.network.input_shape[1]
        return np.stack([resize(photo, side, side) for photo in photos])

    def find(self, photos: Sequence[np.ndarray], least: float = 0.02) -> list[Boxes]:
        """Boxes in shares of each photo, uint8 (H, W, 3) of any size, that are at least so likely."""
        return self.boxes_of(*self.answers(self.seen(photos)), least)

    def find_in_tiles(self, photo: np.ndarray, tiles: int, least: float) -> Boxes:
        """Boxes of the photo and of overlapping parts of it, `tiles` in each direction, in shares of the photo."""
        height, width, _ = photo.shape
        moved = []
        for left, top, right, bottom in tile_places(tiles):
            part = photo[int(top * height) : int(bottom * height) + 1, int(left * width) : int(right * width) + 1]
            [boxes] = self.find([part], least)
            size, at = np.array([right - left, bottom - top] * 2), np.array([left, top] * 2)
            moved.append(Boxes(boxes.corners * size + at, boxes.classes, boxes.scores))
        columns = [
            np.concatenate([getattr(boxes, name) for boxes in moved]) for name in ("corners", "classes", "scores")
        ]
        return self.suppressed(Boxes(*columns))


def chosen(detector: Detector, names: str | None) -> list[int]:
    """The numbers of some classes by their names; all without names. UserError for a class that is not known."""
    if names is None:
        return list(range(len(detector.labels)))
    found = []
    for name in (name.strip().lower() for name in names.split(",")):
        if name not in detector.labels:
            near = suggest(name, detector.labels) or f" It knows {', '.join(detector.labels[:8])} and more."
            raise UserError(f"the detector knows no {name!r}.{near}")
        found.append(detector.labels.index(name))
    return found


Row = tuple[Path, tuple[int, ...], Boxes]


def find_each(
    detector: Detector, files: Sequence[Path], least: float, tiles: int, classes: Sequence[int]
) -> tuple[list[Row], list[str]]:
    """The boxes of these classes on each photo, with its shape, and the names of broken files; UserError if all are."""
    found: list[Row] = []

    def look(file: Path) -> None:
        photo = load_image(file)
        boxes = detector.find_in_tiles(photo, tiles, least) if tiles > 1 else detector.find([photo], least)[0]
        found.append((file, photo.shape, boxes.take(np.isin(boxes.classes, classes))))

    broken = for_each(files, look)
    if not found:
        raise UserError("not one of these photos can be read.")
    return found, broken


def measured(detector: Detector, photos: LabelledPhotos) -> np.ndarray:
    """Average precision of each class at overlaps of .5 to .95, (classes, 10)."""
    found: list[Boxes] = []
    for n in range(0, len(photos), TOGETHER):
        found += detector.find([load_image(file) for file in photos.files[n : n + TOGETHER]])
    return average_precisions(found, photos.boxes, len(photos.labels))


def precision_lines(detector: Detector, photos: LabelledPhotos, values: np.ndarray) -> Iterator[str]:
    """Average precision over all classes and of each, (classes, 10), with numbers of boxes."""
    boxes = Counter(int(number) for each in photos.boxes for number in each.classes)
    yield f"{len(photos)} photos, {sum(boxes.values()):,} boxes of {len(boxes)} classes"
    yield f"mAP50 {np.nanmean(values[:, 0]):.3f}, mAP50-95 {np.nanmean(values):.3f}"
    for number, count in boxes.most_common():
        name, half, mean = detector.labels[number], values[number, 0], values[number].mean()
        yield f"  {name:16} {count:4} boxes   AP50 {half:.3f}   AP {mean:.3f}"


def speed_line(detector: Detector, photos: Sequence[np.ndarray]) -> str:
    """Photos a second, compiled before: by the network alone, and with resizing and suppression."""
    seen = detector.seen(photos)
    detector.answers(seen[:TOGETHER])
    began_s = time.perf_counter()
    detector.answers(seen)
    middle_s = time.perf_counter()
    detector.find(photos)
    network, whole = (len(photos) / seconds for seconds in (middle_s - began_s, time.perf_counter() - middle_s))
    return f"{network:.1f} photos/s by the network in batches, {whole:.1f} with resizing and suppression"
