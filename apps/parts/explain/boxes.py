"""Photos of COCO with the boxes of classes that ImageNet has, too: what an explanation should point at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.data.images import load_image
from shared.data.photo_files import image_files
from shared.data.sizes import crop_square
from shared.errors import UserError

IN_IMAGENET: dict[str, tuple[int | range, ...]] = {
    "bicycle": (444, 671),
    "car": (436, 468, 511, 609, 627, 656, 661, 751, 817),
    "motorcycle": (665, 670),
    "airplane": (404, 895),
    "bus": (654, 779, 874),
    "train": (466, 547, 705, 820),
    "truck": (555, 569, 675, 717, 734, 864, 867),
    "boat": (472, 484, 554, 576, 625, 724, 780, 814, 871, 914),
    "traffic light": (920,),
    "stop sign": (919,),
    "parking meter": (704,),
    "bench": (703,),
    "bird": (range(7, 25), range(80, 101), range(127, 147)),
    "cat": (range(281, 286),),
    "dog": (range(151, 269),),
    "horse": (339,),
    "sheep": (348, 349),
    "cow": (345, 346, 347),
    "elephant": (101, 385, 386),
    "bear": (range(294, 298),),
    "zebra": (340,),
    "backpack": (414,),
    "umbrella": (879,),
    "handbag": (636, 748),
    "tie": (451, 457, 906),
    "skis": (795,),
    "sports ball": (429, 430, 574, 722, 768, 805, 852, 890),
    "tennis racket": (752,),
    "bottle": (440, 720, 737, 898, 907),
    "wine glass": (441, 572),
    "cup": (504, 968),
    "spoon": (618, 910),
    "bowl": (659, 809),
    "banana": (954,),
    "apple": (948,),
    "orange": (950,),
    "broccoli": (937,),
    "hot dog": (934,),
    "pizza": (963,),
    "chair": (423, 559, 765),
    "couch": (831,),
    "potted plant": (738,),
    "dining table": (532,),
    "toilet": (861,),
    "tv": (664, 782, 851),
    "laptop": (620, 681),
    "mouse": (673,),
    "remote": (761,),
    "keyboard": (508,),
    "cell phone": (487,),
    "microwave": (651,),
    "oven": (827,),
    "toaster": (859,),
    "refrigerator": (760,),
    "clock": (409, 530, 892),
    "vase": (883,),
    "teddy bear": (850,),
}
"""ImageNet's classes, in the order of their WordNet IDs, that show what a class of COCO is."""
TOLERANCE = 15 / 224  # of the side: how far beside a box still counts, as in the pointing game of Zhang et al. 2016
IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Pointed:
    """A photo, and where a class is on it."""

    photo: np.ndarray
    """uint8 (side, side, 3), the largest square of the photo."""
    name: str
    """Of the class in COCO."""
    classes: tuple[int, ...]
    """In ImageNet."""
    boxes: np.ndarray
    """Shares of the square, float (n, 4): left, top, right, bottom."""

    def hit(self, importance: np.ndarray) -> bool:
        """Whether the highest place of a map (H, W) is in one of the boxes, or hardly beside it."""
        height, width = importance.shape
        row, column = np.unravel_index(int(importance.argmax()), importance.shape)
        return self.contains((column + 0.5) / width, (row + 0.5) / height)

    def contains(self, x: float, y: float) -> bool:
        """Whether a place, in shares of the square, is in one of the boxes, or hardly beside it."""
        left, top, right, bottom = self.boxes.T
        inside = (x >= left - TOLERANCE) & (x <= right + TOLERANCE) & (y >= top - TOLERANCE) & (y <= bottom + TOLERANCE)
        return bool(inside.any())

    @property
    def easy(self) -> bool:
        """Whether the boxes cover more than a quarter of the square."""
        left, top, right, bottom = self.boxes.T
        return bool(((right - left) * (bottom - top)).sum() > 0.25)


def pointed_photos(folder: Path, side: int) -> Iterator[Pointed]:
    """Each photo with each class on it that ImageNet has, of a folder with images/, labels/ and classes.txt.

    A line of labels/NAME.txt is a class's number and its box: centre x, y, width, height, as shares of the photo. Boxes
    of which the square in the middle of the photo has less than a half are left out.

    Raises:
        UserError: the folder is of another form.
    """
    folder = folder.expanduser()
    names_file = folder / "classes.txt"
    if not names_file.is_file() or not (folder / "images").is_dir():
        raise UserError(f"{folder} must have images/, labels/ and classes.txt, as coco128 in YOLO's form has.")
    names = names_file.read_text(encoding="utf-8").split("\n")
    for path in image_files(folder / "images"):
        label_file = folder / "labels" / f"{path.stem}.txt"
        if not label_file.is_file():
            continue
        try:
            rows = np.array([[float(x) for x in line.split()] for line in label_file.read_text().splitlines() if line])
            rows = rows.reshape(-1, 5)
        except ValueError as error:
            raise UserError(f"{label_file} must have a class and four numbers in each line.") from error
        photo = load_image(path)
        boxes = _in_square(rows[:, 1:], *photo.shape[:2])
        square = crop_square(photo, side)
        for name, numbers in IN_IMAGENET.items():
            here = [n for n, row in enumerate(rows) if 0 <= row[0] < len(names) and names[int(row[0])].strip() == name]
            kept = np.array([boxes[n] for n in here if boxes[n] is not None])
            if len(kept):
                classes = tuple(n for part in numbers for n in ([part] if isinstance(part, int) else part))
                yield Pointed(square, name, classes, kept)


def _in_square(boxes: np.ndarray, height: int, width: int) -> list[tuple[float, float, float, float] | None]:
    """Boxes (centre x, y, width, height in shares of a photo) as (left, top, right, bottom) in shares of its square."""
    side = min(height, width)
    found: list[tuple[float, float, float, float] | None] = []
    for x, y, w, h in boxes:
        corners = np.array([(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height])
        corners = (corners - np.tile([(width - side) / 2, (height - side) / 2], 2)) / side
        left, top, right, bottom = np.clip(corners, 0, 1)
        whole = (corners[2] - corners[0]) * (corners[3] - corners[1])
        found.append((left, top, right, bottom) if (right - left) * (bottom - top) > 0.5 * whole > 0 else None)
    return found
