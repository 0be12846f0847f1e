"""Which network is asked, and about which classes."""

from __future__ import annotations

import numpy as np

from apps.parts.explain.questions import Asked
from shared.classifiers.classifier import Classifier, find_classifier
from shared.errors import UserError

BATCH = 32
TRAINED_BY = {
    "photo_classifier": "python apps/photo_classifier.py train",
    "photo_classifier_robust": "python apps/fgsm.py train",
}


def network_of(model: str, batch: int = BATCH) -> Classifier:
    """A classifier of photos: a name in saved_models, a file, or a name in keras.applications."""
    return find_classifier(model, batch, TRAINED_BY)


def asked_about(
    classifier: Classifier, asked: Asked, photo: np.ndarray, why: str | None, against: str | None
) -> tuple[Asked, str]:
    """A question about a photo to the classifier's network, `asked`, and it in words; by default about its answer."""
    logits = classifier.attacker.logits(photo[None])[0]
    first = int(logits.argmax()) if why is None else classifier.class_named(why)
    other = None if against is None else classifier.class_named(against)
    if first == other:
        raise UserError("--why and --against are the same class: name two.")
    question = asked.about(first, other)
    share = question.answers(photo[None])[0]
    rival = "" if other is None else f", and not {classifier.labels[other]}"
    return question, f"Why {classifier.labels[first]}{rival}? ({share:.1%})"
