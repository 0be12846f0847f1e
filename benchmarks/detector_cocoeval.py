"""Our average precision beside pycocotools' on the same boxes.

python -m pip install pycocotools
python benchmarks/detector_cocoeval.py --data coco128
"""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps.detector import load
from apps.parts.detector import labels
from apps.parts.detector.average_precision import average_precisions
from shared import cli
from shared.data.images import load_image
from shared.errors import UserError
from shared.settings import Settings

SCALE = 1000.0  # pixels that a share of 1 counts as


@dataclass
class Compare(Settings):
    """Measure the same boxes twice."""

    data: Path
    """Photos with boxes, in the forms of apps/detector.py."""
    model: Path | None = None
    """A detector; by default the shipped one."""


def compare(config: Compare) -> None:
    """Print mAP50 and mAP50-95 by both."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise UserError("pycocotools is missing: install it as the first lines of this file say.") from error
    detector = load(config.model)
    photos = labels.read(config.data, "test", detector.labels)
    found = [detector.find([load_image(file)])[0] for file in photos.files]
    ours = average_precisions(found, photos.boxes, len(photos.labels))
    rows = [
        {"image_id": n, "category_id": int(kind), "bbox": box(corners), "area": area(corners), "score": float(score)}
        for n, boxes in enumerate(found)
        for corners, kind, score in zip(boxes.corners, boxes.classes, boxes.scores, strict=True)
    ]
    true = [
        {"image_id": n, "category_id": int(kind), "bbox": box(corners), "area": area(corners), "iscrowd": 0}
        for n, boxes in enumerate(photos.boxes)
        for corners, kind in zip(boxes.corners, boxes.classes, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": n} for n in range(len(photos))],
            "categories": [{"id": n} for n in range(len(photos.labels))],
            "annotations": [each | {"id": n} for n, each in enumerate(true, 1)],
        }
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(rows), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    print(f"{len(photos)} photos, {len(true)} boxes; pycocotools {version('pycocotools')}")
    print(f"mAP50-95: ours {np.nanmean(ours):.4f}, theirs {run.stats[0]:.4f}")
    print(f"mAP50:    ours {np.nanmean(ours[:, 0]):.4f}, theirs {run.stats[1]:.4f}")


def box(corners: np.ndarray) -> list[float]:
    """Left, top, width, height."""
    left, top, right, bottom = (float(side) * SCALE for side in corners)
    return [left, top, right - left, bottom - top]


def area(corners: np.ndarray) -> float:
    """Of a box."""
    *_, width, height = box(corners)
    return width * height


if __name__ == "__main__":
    cli.run(__doc__, compare, {})
