"""Accuracy against epsilon for a folder of photos, printed and plotted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from apps.parts.fgsm.photos import Photos, accuracy, described, open_photos
from shared.classifiers.attacks import Attacker
from shared.classifiers.classifier import Classifier
from shared.console import say
from shared.drawing.curves import Curve, plot_curves

SWEPT = (1, 2, 3, 4, 6, 8, 12, 16)  # grey levels of 255
Attacked = Callable[[Attacker, Photos], Mapping[str, Iterator[np.ndarray]]]


def sweep(source: Path, most: int, classifiers: Sequence[Classifier], attacked: Attacked, path: Path) -> None:
    """Print and plot the accuracy of some networks, the later ones only if the photos are all of their classes.

    Args:
        attacked: the photos under attack and under noise, for each epsilon of SWEPT.
    """
    began_s = time.perf_counter()
    curves: dict[str, Curve] = {}
    for classifier in classifiers:
        photos = open_photos(str(source), most, classifier)
        if curves and not photos.known:
            say(f"{classifier.name} is left out: the photos are not all of its {len(classifier.labels)} classes.")
            continue
        if not curves:
            print(f"{'accuracy in %, epsilon in 1/255':42}{0:>7}" + "".join(f"{k:>7}" for k in SWEPT))
        clean = accuracy(classifier.attacker, photos.pictures, photos.truth)
        for kind, series in attacked(classifier.attacker, photos).items():
            row = [clean, *(accuracy(classifier.attacker, pictures, photos.truth) for pictures in series)]
            curves[f"{classifier.name}, {kind}"] = (0, *SWEPT), row
            print(f"{classifier.name + ', ' + kind:42}" + "".join(f"{value:7.1f}" for value in row), flush=True)
        say(described(classifier, photos))
    plot_curves(path, curves, "epsilon, in grey levels of 255", "accuracy in %", f"{len(photos.pictures)} photos")
    print(f"It took {time.perf_counter() - began_s:.0f} s. The plot: {path}")
