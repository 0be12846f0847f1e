"""Our conversion beside TensorFlow Lite's interpreter, which runs the published file in 8 bits: scores, boxes, speed.

    python benchmarks/detector_parity.py --tflite FILE.tflite --data coco128/images --photos 40

The same photos, made 300 x 300 by the same function. Compared are the scores of anchors and classes above .5 before any
suppression, and the boxes of these anchors. Speed: the interpreter one photo at a time (the file allows no other), with
as many threads as there are cores, its own post-processing included; ours in batches of 16, without and with
suppression; one after the other, after a first call.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps import detector as app
from apps.parts.detector.published import ROWS, set_published_weights
from shared import cli
from shared.data.batches import spread
from shared.data.images import load_image
from shared.data.photo_files import image_files
from shared.data.sizes import resize
from shared.settings import Range, Settings
from shared.training.runtime import import_keras


@dataclass
class Parity(Settings):
    """Compare a conversion with the file that it comes from."""

    tflite: Path
    """TensorFlow's published detector."""
    data: Path
    """A folder of photos."""
    photos: Annotated[int, Range(1, 100_000)] = 40
    """How many of them, spread evenly."""


class Interpreter:
    """The published file, run by TensorFlow Lite."""

    def __init__(self, path: Path):
        import tensorflow as tf

        with warnings.catch_warnings(action="ignore"):
            self.run = tf.lite.Interpreter(
                str(path), num_threads=os.cpu_count(), experimental_preserve_all_tensors=True
            )
        self.run.allocate_tensors()
        self.details = {detail["name"]: detail for detail in self.run.get_tensor_details()}
        self.input = self.run.get_input_details()[0]["index"]

    def __call__(self, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Moves (1917, 4) and scores (1917, 91) of a photo, uint8 (300, 300, 3)."""
        self.run.set_tensor(self.input, photo[None])
        self.run.invoke()
        return self.values("Squeeze"), self.values("convert_scores")

    def values(self, name: str) -> np.ndarray:
        """A tensor as what it stands for."""
        scale, zero = self.details[name]["quantization"]
        return (self.run.get_tensor(self.details[name]["index"])[0].astype(np.float32) - zero) * scale


def compare(config: Parity) -> None:
    """Print how far both agree, and how fast they are."""
    import_keras()
    network = app.ssd(80, maps=app.PUBLISHED_MAPS)
    set_published_weights(network, config.tflite)
    ours, theirs = app.detector_of(network, [f"{n}" for n in range(80)]), Interpreter(config.tflite)
    files = image_files(config.data)
    photos = np.stack([resize(load_image(files[n]), app.SIZE, app.SIZE) for n in spread(len(files), config.photos)])
    theirs(photos[0])
    began_s = time.perf_counter()
    expected = [theirs(photo) for photo in photos]
    peer_s = time.perf_counter() - began_s
    ours.answers(photos[: app.BATCH])
    began_s = time.perf_counter()
    moves, logits = ours.answers(photos)
    network_s = time.perf_counter() - began_s
    app.likely(moves, logits, 0.02)
    whole_s = time.perf_counter() - began_s
    scores = 1 / (1 + np.exp(-logits))
    wanted = np.stack([scores for _, scores in expected])[..., ROWS]
    sure = wanted > 0.5
    distance = np.abs(scores - wanted)[sure]
    there = sure.any(axis=-1)
    boxes = [app.decoded(each)[there] for each in (moves, np.stack([moves for moves, _ in expected]))]
    shares = _overlap(*boxes)
    count, near = len(photos), (distance <= 0.02).mean()
    print(f"{count} photos, {len(distance)} scores above .5: {near:.1%} within .02, {distance.max():.3f} at most")
    print(f"boxes of these anchors: overlap above .9 on {(shares > 0.9).mean():.1%}, at least {shares.min():.3f}")
    paces = [count / seconds for seconds in (peer_s, network_s, whole_s)]
    print("photos a second: TensorFlow Lite {:.1f}; ours {:.1f}, with suppression {:.1f}".format(*paces))


def _overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes, pair by pair."""
    low, high = np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other)]
    return shared / (areas[0] + areas[1] - shared)


if __name__ == "__main__":
    cli.run(__doc__, compare, {})
