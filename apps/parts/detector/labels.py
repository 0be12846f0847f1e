"""Photos with boxes, from Pascal VOC's folders, YOLO's text files, COCO's JSON or TFDS; what is odd is counted."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from apps.parts.detector.average_precision import Boxes, no_boxes
from shared.console import loading, say
from shared.data import tfds
from shared.data.digest import digest_of
from shared.data.photo_files import image_files
from shared.data.text import open_text
from shared.data.xml import read_xml
from shared.errors import UserError
from shared.files import write_atomically

SPLITS = {"train": ("train", "trainval"), "validation": ("val", "valid", "validation"), "test": ("test",)}
LARGEST_JSON = 1 << 30  # bytes


@dataclass
class LabelledPhotos:
    """Files of photos, each with its boxes in shares of the photo, or in pixels until the photo is read."""

    labels: tuple[str, ...]
    files: list[Path] = field(default_factory=list)
    boxes: list[Boxes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def digest(self) -> str:
        """Tells these photos and boxes from others."""
        rows = (
            f"{file.name} {boxes.corners.round(4).tolist()} {boxes.classes.tolist()}"
            for file, boxes in zip(self.files, self.boxes, strict=True)
        )
        return digest_of([*self.labels, *rows])

    def take(self, chosen: list[int]) -> LabelledPhotos:
        """Those with these indices."""
        return LabelledPhotos(self.labels, [self.files[n] for n in chosen], [self.boxes[n] for n in chosen])


class _Odd:
    """Counts what is left out or mended, and says it once."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def corners(self, left: float, top: float, right: float, bottom: float) -> list[float] | None:
        """A box in shares, clipped to the photo; None for one that is not there."""
        values = np.array([left, top, right, bottom])
        if not np.isfinite(values).all():
            self.counts["boxes that are no numbers (left out)"] += 1
            return None
        clipped = np.clip(values, 0, 1)
        if clipped[2] - clipped[0] < 1e-6 or clipped[3] - clipped[1] < 1e-6:
            self.counts["boxes without an area (left out)"] += 1
            return None
        if np.abs(clipped - values).max() > 0.005:
            self.counts["boxes that reach beyond their photo (clipped)"] += 1
        return clipped.tolist()

    def boxes(self, rows: list[tuple[int, list[float]]]) -> Boxes:
        """The boxes of a photo; the same one twice counts once."""
        seen = {(number, tuple(np.round(corners, 5))): (number, corners) for number, corners in rows}
        self.counts["boxes that were there twice (left out)"] += len(rows) - len(seen)
        if not seen:
            return no_boxes()
        numbers, corners = zip(*seen.values(), strict=True)
        return Boxes(np.array(corners, np.float64), np.array(numbers, np.int64), np.ones(len(numbers)))

    def say(self, source: Path) -> None:
        told = ", ".join(f"{count:,} {what}" for what, count in self.counts.items() if count)
        if told:
            say(f"{source}: {told}.")


def read(source: Path, split: str, labels: tuple[str, ...] | None = None) -> LabelledPhotos:
    """The photos of a split with their boxes.

    Args:
        source: a folder of Pascal VOC's form (JPEGImages, Annotations, ImageSets/Main), one with images/, labels/ and
            classes.txt (YOLO's), a COCO .json file beside its photos or beside a folder images/, or a TFDS name, as
            voc/2007 or coco/2017.
        split: train, validation, test or all. VOC's lists and TFDS say which; elsewhere a checksum of the name does,
            9:1, but "test" of a folder without splits is all of it.
        labels: classes to count, in this order; by default those of the data.

    Raises:
        UserError: nothing there, or not in one of these forms.
    """
    source, odd = source.expanduser(), _Odd()
    has_splits = not source.exists() or (source / "Annotations").is_dir()
    if not source.exists():
        found = _tfds(str(source), split, odd)
    elif source.is_file():
        found = _coco(source, odd)
    elif (source / "Annotations").is_dir():
        found = _voc(source, split, odd)
    elif (source / "labels").is_dir():
        found = _yolo(source, odd)
    else:
        raise UserError(
            f"{source} must be a Pascal VOC folder, one with images/, labels/ and classes.txt, or a COCO .json file."
        )
    if not has_splits and split in ("train", "validation"):
        part = {"validation": (0,), "train": tuple(range(1, 10))}[split]
        found = found.take([n for n, file in enumerate(found.files) if zlib.crc32(file.name.encode()) % 10 in part])
    if labels:
        found = _renumbered(found, labels, odd)
    odd.say(source)
    if not found.files:
        raise UserError(f"{source} has no photos with boxes for {split}.")
    return found


def _renumbered(found: LabelledPhotos, labels: tuple[str, ...], odd: _Odd) -> LabelledPhotos:
    """With the class numbers of another list; boxes of classes that it lacks are left out."""
    to = np.array([labels.index(name) if name in labels else -1 for name in found.labels] or [-1])
    boxes = []
    for each in found.boxes:
        moved = Boxes(each.corners, to[each.classes], each.scores)
        odd.counts["boxes of classes that the network does not know (left out)"] += int((moved.classes < 0).sum())
        boxes.append(moved.take(moved.classes >= 0))
    return LabelledPhotos(labels, found.files, boxes)


def _inside(folder: Path, name: str) -> Path:
    """A file below a folder; UserError for a name that would leave it."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UserError(f"{name!r} would leave {folder}: name files inside.")
    return folder / name


# ------------------------------------------------------------------------------------------------------------- YOLO


def _yolo(folder: Path, odd: _Odd) -> LabelledPhotos:
    names = [line.strip() for line in open_text(folder / "classes.txt").split("\n") if line.strip()]
    found = LabelledPhotos(tuple(names))
    for photo in image_files(folder / "images"):
        file = folder / "labels" / f"{photo.stem}.txt"
        if not file.is_file():
            odd.counts["photos without a file of labels (taken to have no boxes)"] += 1
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        rows = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            try:
                kind, x, y, width, height = (float(word) for word in line.split())
            except ValueError as error:
                raise UserError(f"{file}, line {number}: it must be a class and four numbers.") from error
            if kind != int(kind) or not 0 <= kind < len(names):
                raise UserError(f"{file}, line {number}: there is no class {kind:g} in classes.txt.")
            corners = odd.corners(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            rows += [(int(kind), corners)] if corners else []
        found.files.append(photo)
        found.boxes.append(odd.boxes(rows))
    return found


# -------------------------------------------------------------------------------------------------------- Pascal VOC


def _voc(folder: Path, split: str, odd: _Odd) -> LabelledPhotos:
    lists = {
        name: [folder / "ImageSets" / "Main" / f"{alias}.txt" for alias in aliases] for name, aliases in SPLITS.items()
    }
    chosen = [
        next((path for path in paths if path.is_file()), None)
        for name, paths in lists.items()
        if split in (name, "all")
    ]
    known = [path for path in chosen if path]
    if not known:
        raise UserError(f"{folder} has no list of photos for {split} in ImageSets/Main.")
    names = list(
        dict.fromkeys(line.split()[0] for path in known for line in open_text(path).split("\n") if line.strip())
    )
    raw: list[tuple[Path, list[tuple[str, list[float]]]]] = []
    photos = {path.stem: path for path in image_files(folder / "JPEGImages")}
    for name in names:
        file = _inside(folder / "Annotations", f"{name}.xml")
        if name not in photos or not file.is_file():
            odd.counts["photos of the list that are not there (left out)"] += 1
            continue
        raw.append((photos[name], _voc_boxes(file, odd)))
    labels = tuple(sorted({label for path in (folder / "Annotations").glob("*.xml") for label in _voc_labels(path)}))
    rows = [odd.boxes([(labels.index(label), corners) for label, corners in boxes]) for _, boxes in raw]
    return LabelledPhotos(labels, [photo for photo, _ in raw], rows)


def _voc_labels(file: Path) -> set[str]:
    return {(item.findtext("name") or "").strip() for item in read_xml(file).iter("object")}


def _voc_boxes(file: Path, odd: _Odd) -> list[tuple[str, list[float]]]:
    root, found = read_xml(file), []
    try:
        width, height = (float(root.findtext(f"size/{side}") or "nan") for side in ("width", "height"))
        for item in root.iter("object"):
            left, top, right, bottom = (
                float(item.findtext(f"bndbox/{key}") or "nan") for key in ("xmin", "ymin", "xmax", "ymax")
            )
            corners = odd.corners((left - 1) / width, (top - 1) / height, right / width, bottom / height)
            found += [((item.findtext("name") or "").strip(), corners)] if corners else []
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f"{file}: sizes and boxes must be numbers ({error}).") from error
    return found


# --------------------------------------------------------------------------------------------------------- COCO JSON


def _coco(file: Path, odd: _Odd) -> LabelledPhotos:
    if file.stat().st_size > LARGEST_JSON:
        raise UserError(f"{file} is larger than 1 GiB: split it.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        kinds = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        sizes = {
            entry["id"]: (str(entry["file_name"]), float(entry["width"]), float(entry["height"]))
            for entry in content["images"]
        }
        rows: dict[object, list[tuple[int, list[float]]]] = {key: [] for key in sizes}
        labels = tuple(sorted(set(kinds.values())))
        for entry in content["annotations"]:
            left, top, width, height = (float(number) for number in entry["bbox"])
            _, wide, tall = sizes[entry["image_id"]]
            corners = odd.corners(left / wide, top / tall, (left + width) / wide, (top + height) / tall)
            if corners:
                rows[entry["image_id"]].append((labels.index(kinds[entry["category_id"]]), corners))
    except (ValueError, KeyError, TypeError, ZeroDivisionError, RecursionError) as error:
        raise UserError(f"{file} is no COCO file of boxes ({type(error).__name__}: {error}).") from error
    folder = file.parent / "images" if (file.parent / "images").is_dir() else file.parent
    found = LabelledPhotos(labels)
    for key, (name, _, _) in sizes.items():
        path = _inside(folder, name)
        if path.is_file():
            found.files.append(path)
            found.boxes.append(odd.boxes(rows[key]))
        else:
            odd.counts["photos that are not there (left out)"] += 1
    return found


# -------------------------------------------------------------------------------------------------------------- TFDS


def _tfds(name: str, split: str, odd: _Odd) -> LabelledPhotos:
    """A split of a TFDS data set; its photos, as they are, become files beside the records, once."""
    builder = tfds.prepared(name)
    photo, features = tfds.needed(builder, "Image", "photos"), builder.info.features
    if "objects" not in features or not {"bbox", "label"} <= features["objects"].keys():
        raise UserError(f"The TFDS data set {name} has no boxes; choose another one, as voc/2007.")
    if split not in (*builder.info.splits, "all"):
        raise UserError(f"TFDS {name} has the splits {', '.join(builder.info.splits)} and all, not {split}.")
    folder = Path(builder.data_dir) / "photos"
    folder.mkdir(exist_ok=True)
    loading(f"the photos of {name}")
    found = LabelledPhotos(tuple(features["objects"]["label"].names))
    for part in builder.info.splits if split == "all" else [split]:
        for number, example in enumerate(tfds.examples(builder, part, encoded=photo)):
            path = folder / f"{part}_{number:06}.jpg"
            if not path.exists():
                with write_atomically(path) as temporary:
                    temporary.write_bytes(example[photo])
            objects = example["objects"]
            rows = [
                (int(label), odd.corners(*(float(side) for side in (left, top, right, bottom))))
                for (top, left, bottom, right), label in zip(objects["bbox"], objects["label"], strict=True)
            ]
            found.files.append(path)
            found.boxes.append(odd.boxes([(label, corners) for label, corners in rows if corners]))
    return found


def to_learn_from(source: Path, batch: int, smallest: float) -> tuple[LabelledPhotos, LabelledPhotos]:
    """The photos to learn from and those held out, after a look at them; UserError if there are too few.

    It says which boxes no anchor can match, `smallest` being the smallest side of one, and which classes have none.
    """
    learned = read(source, "train")
    held_out = read(source, "validation", learned.labels)
    if len(learned) < batch:
        raise UserError(f"{source} has {len(learned)} photos to learn from: give more, or a smaller --batch.")
    if not any(map(len, held_out.boxes)) or not any(map(len, learned.boxes)):
        raise UserError(f"{source} has no boxes to learn from, or none on the photos held out: give more photos.")
    sides = np.concatenate([boxes.corners[:, 2:] - boxes.corners[:, :2] for boxes in learned.boxes])
    small = int((sides.max(axis=1) < smallest / 2).sum())
    if small:
        say(f"{small:,} of {len(sides):,} boxes are smaller than half of the smallest anchor: expect to miss them.")
    seen = {int(number) for boxes in learned.boxes for number in boxes.classes}
    missing = [name for number, name in enumerate(learned.labels) if number not in seen]
    if missing:
        say(f"No boxes to learn from: {', '.join(missing[:10])}.")
    return learned, held_out
