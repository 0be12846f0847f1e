"""What other networks recognise on photos: names for a sentence to use.

The photo classifier knows 1,000 names, the detector 80. A captioner gets the surest few as pairs (id of a word, tenths
of a probability), so that other networks' names can be added without another training.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from shared import saved_models
from shared.classifiers.metrics import softmax
from shared.data.sizes import crop_square, resize
from shared.training.inference import compiled_inference

NAMES = 8  # of a photo at most
TENTHS = 11  # 0 to 10
CLASSIFIED = 1000  # the classifier's classes come first
SHARPER = 3.0
"""The detector's logits times this are probabilities: on coco128, of classes with .35, .45, .55 and .65 on a photo 16,
31, 61 and 86 % are there, which is .14, .35, .65 and .87 after it."""
LEAST = 0.05  # the probability below which a name is not told
BATCH = 32  # photos


class Recogniser:
    """The shipped photo classifier and the shipped detector."""

    @cached_property
    def _networks(self) -> list[tuple[Any, dict]]:
        return [saved_models.load(name) for name in ("photo_classifier", "detector")]

    @property
    def labels(self) -> list[str]:
        """Of all classes, the classifier's first."""
        return [label for _, record in self._networks for label in record["labels"]]

    @property
    def wnids(self) -> list[str]:
        """ImageNet's names of the classifier's classes."""
        return self._networks[0][1]["wnids"]

    @cached_property
    def _answers(self) -> list[Any]:
        return [
            compiled_inference(lambda photos, n=network: n(photos, training=False), network, batch=BATCH)
            for network, _ in self._networks
        ]

    def shares(self, photos: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """How likely each class is to be on each photo (H, W, 3), float32 (photos, labels)."""
        (classifier, _), (detector, _) = self._networks
        classify, detect = self._answers
        size, side = classifier.input_shape[1], detector.input_shape[1]
        logits = classify(np.stack([crop_square(photo, size) for photo in photos]).astype(classifier.inputs[0].dtype))
        _, boxes = detect(np.stack([resize(photo, side, side) for photo in photos]))  # (photos, anchors, classes)
        surest = 1 / (1 + np.exp(-SHARPER * boxes.max(axis=1)))
        return np.concatenate([softmax(logits), surest], axis=1).astype(np.float32)


def told(shares: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The surest names of each photo, int32 (photos, NAMES, 2): ids of words, and tenths; 0 where there are no more.

    Classes of one name count together: the classifier's as a sum, since it answers with one of them. Of two networks
    the surer one is believed.

    Args:
        shares: of each class, float32 (photos, classes), as `Recogniser.shares` gives them.
        ids: of the word for each class, int32 (classes,); 0 for none.
    """
    found = np.zeros((len(shares), NAMES, 2), np.int32)
    sure = np.zeros((len(shares), int(ids.max(initial=0)) + 1), np.float32)  # (photos, words)
    by_word = sure.T  # a view
    np.add.at(by_word, ids[:CLASSIFIED], shares.T[:CLASSIFIED])
    np.maximum.at(by_word, ids[CLASSIFIED:], shares.T[CLASSIFIED:])
    sure[:, 0] = 0
    order = np.argsort(-sure, axis=1, kind="stable")[:, :NAMES]
    values = np.take_along_axis(sure, order, axis=1)
    count = order.shape[1]
    found[:, :count, 0] = np.where(values >= LEAST, order, 0)
    found[:, :count, 1] = np.where(values >= LEAST, np.minimum(10 * values, TENTHS - 1), 0)
    return found
