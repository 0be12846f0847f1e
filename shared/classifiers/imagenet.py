"""The names of ImageNet's classes."""

from __future__ import annotations

import numpy as np

from shared.files import downloading
from shared.training.runtime import import_keras


def imagenet_classes() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(labels, wnids) of ImageNet's 1,000 classes; Keras downloads the list, once. UserError without a network."""
    keras = import_keras()
    with downloading("the names of ImageNet's classes"):
        best = keras.applications.imagenet_utils.decode_predictions(np.eye(1000), top=1)
    return tuple(name.replace("_", " ") for ((_, name, _),) in best), tuple(wnid for ((wnid, _, _),) in best)
