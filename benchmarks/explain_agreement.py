"""Our Grad-CAM beside tf-keras-vis's on the same network, layer, photos and classes: how far the maps correlate.

python -m pip install --no-deps tf-keras-vis==0.8.7 deprecated imageio
python benchmarks/explain_agreement.py --data FOLDER --photos 50
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps.explain import CLASSIFIER, grad_cam
from apps.parts.explain.asked import network_of
from apps.parts.explain.questions import Asked
from shared import cli
from shared.data.labelled import labelled_photos
from shared.data.sizes import crop_square
from shared.errors import UserError
from shared.settings import Range, Settings


@dataclass
class Agreement(Settings):
    """Compare maps of photos."""

    data: Path
    """A folder of photos."""
    model: str = CLASSIFIER
    """A name in saved_models/ or a file."""
    photos: Annotated[int, Range(1, 100_000)] = 50
    """How many photos to take, spread evenly."""


def compare(config: Agreement) -> None:
    """Print the correlation of both maps, over all photos, and how long each took."""
    classifier = network_of(config.model)
    try:
        from tf_keras_vis.gradcam import Gradcam
        from tf_keras_vis.utils.scores import CategoricalScore
    except ImportError as error:
        raise UserError(
            f"tf-keras-vis is missing ({error}): install it as the first lines of this file say."
        ) from error
    asked = Asked(classifier.network, 0)
    peer = Gradcam(classifier.network, clone=False)
    layer = asked.tapped.name
    correlations, seconds = [], np.zeros(2)
    for photo, _ in labelled_photos(config.data, config.photos):
        seen = crop_square(photo, classifier.size).astype(np.float32)
        answer = int(classifier.attacker.logits(seen[None])[0].argmax())
        start_s = time.perf_counter()
        ours = grad_cam(asked.about(answer), seen)
        middle_s = time.perf_counter()
        options = {"penultimate_layer": layer, "seek_penultimate_conv_layer": False, "expand_cam": False}
        theirs = np.asarray(peer(CategoricalScore(answer), seen[None], **options))[0]
        end_s = time.perf_counter()
        small = ours_at(asked.about(answer), seen)
        correlations.append(float(np.corrcoef(small.ravel(), theirs.ravel())[0, 1]))
        seconds += (middle_s - start_s, end_s - middle_s)
        assert ours.shape == seen.shape[:2]
    low, median = np.min(correlations), np.median(correlations)
    print(
        f"Grad-CAM at {layer} of {classifier.name}, {len(correlations)} photos, tf-keras-vis {version('tf-keras-vis')}:"
    )
    above, (mine, other) = np.mean(np.array(correlations) > 0.99), seconds / len(correlations)
    print(f"correlation of the maps: median {median:.5f}, smallest {low:.5f}; above .99 on {above:.0%}")
    print(f"seconds a photo, compiling included: ours {mine:.3f}, theirs {other:.3f}")


def ours_at(asked: Asked, photo: np.ndarray) -> np.ndarray:
    """Our map in the size of the layer, as tf-keras-vis gives it with expand_cam=False."""
    maps, gradient = asked.maps(photo)
    return np.maximum(maps @ gradient.mean(axis=(0, 1)), 0)


if __name__ == "__main__":
    cli.run(__doc__, compare, {})
