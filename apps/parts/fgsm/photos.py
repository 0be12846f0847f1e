"""Folders of photos for a classifier, and how many of them it names rightly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.classifiers.attacks import Attacker
from shared.classifiers.classifier import Classifier
from shared.data.labelled import labelled_photos
from shared.data.sizes import crop_square
from shared.errors import UserError


@dataclass
class Photos:
    """Photos as a classifier takes them, and what they show."""

    pictures: np.ndarray
    """uint8 (photos, size, size, 3)."""
    truth: np.ndarray
    """Classes of the classifier, int (photos,)."""
    known: bool
    """False: nobody says what they show, and the classifier's own answers count."""


def open_photos(source: str, most: int, classifier: Classifier) -> Photos:
    """Up to `most` photos, spread evenly over a folder or a TFDS data set."""
    photos = [(crop_square(photo, classifier.size), wnid) for photo, wnid in labelled_photos(source, most)]
    pictures, wnids = np.stack([picture for picture, _ in photos]), [wnid for _, wnid in photos]
    if set(wnids) <= set(classifier.wnids):
        return Photos(pictures, np.array([classifier.wnids.index(wnid) for wnid in wnids]), known=True)
    return Photos(pictures, classifier.attacker.logits(pictures).argmax(-1), known=False)


def described(classifier: Classifier, photos: Photos) -> str:
    """How many photos there are, and who says what they show."""
    by = "the ImageNet classes in their names" if photos.known else "its own answers to the unchanged photos"
    return f"{classifier.name} ({len(classifier.labels)} classes): {len(photos.pictures)} photos, labelled by {by}."


def accuracy(attacker: Attacker, pictures: np.ndarray, truth: np.ndarray) -> float:
    """The share of right answers, in percent; NaN without pictures."""
    return 100 * float(np.mean(attacker.logits(pictures).argmax(-1) == truth)) if len(pictures) else np.nan


def among(classifier: Classifier, wnids: list[str]) -> Classifier:
    """The classifier as it chooses among these classes only; UserError if it does not know them all."""
    import keras
    from keras import ops

    if unknown := set(wnids) - set(classifier.wnids):
        raise UserError(f"{classifier.name} has no class {min(unknown)}: name --models that know these classes.")
    places = [classifier.wnids.index(wnid) for wnid in wnids]
    network = keras.Model(classifier.network.input, ops.take(classifier.network.output, places, axis=-1))
    labels, attacker = [classifier.labels[n] for n in places], Attacker(network, classifier.attacker.batch)
    return Classifier(classifier.name, network, labels, list(wnids), attacker)
