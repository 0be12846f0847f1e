"""What a person may ask for: how large a change, which wrong answer, and a file that holds every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from shared.classifiers.attacks import grey_levels
from shared.classifiers.classifier import Classifier
from shared.console import say
from shared.data.sizes import fit_within
from shared.errors import UserError
from shared.files import output_path

LOSSLESS = (".png", ".bmp", ".tif", ".tiff")
MAX_PIXELS = 5e6  # of an attack at the photo's own size: the gradient through the scaling takes 160 bytes a pixel


def share(text: str) -> float:
    """An epsilon from 2/255 or 0.008; UserError unless it is from one grey level to the whole range."""
    try:
        value = Fraction(text.replace(" ", ""))
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f"--epsilon {text} is no number: give a fraction such as 2/255, or 0.008.") from error
    if not 0 < value <= 1:
        meant = f" Did you mean {value}/255?" if value in range(2, 256) else ""
        raise UserError(f"--epsilon is {text}, and must be above 0 and at most 1, the whole range.{meant}")
    if grey_levels(float(value)) < 1:
        raise UserError(f"--epsilon {text} is less than 1/255, one grey level: a saved photo cannot hold it.")
    return float(value)


def lossless(requested: Path | None, name: str) -> Path:
    """Where a picture goes whose every pixel counts; UserError for a format that would change them."""
    path = output_path(requested, "fgsm", name)
    if path.suffix.lower() not in LOSSLESS:
        raise UserError(
            f"{path.name} must end in {', '.join(LOSSLESS)}: the attack is a few grey levels strong, and a format that "
            "does not keep every pixel, such as JPEG, would wipe it out."
        )
    return path


def attackable(photo: np.ndarray, name: str) -> np.ndarray:
    """The photo, uint8 (H, W, 3), or a smaller copy if its own size would take too much memory, which is said."""
    height, width = photo.shape[:2]
    shrunk = fit_within(photo, int(max(height, width) * min((MAX_PIXELS / (height * width)) ** 0.5, 1)))
    if shrunk.shape != photo.shape:
        say(
            f"{name} has {width} x {height} pixels, more than the {MAX_PIXELS / 1e6:g} million that are attacked: "
            f"a copy of {shrunk.shape[1]} x {shrunk.shape[0]} is."
        )
    return shrunk


@dataclass(frozen=True)
class Goal:
    """What the classifier shall answer: `label`, or without a target anything else."""

    label: int
    targeted: bool

    def met(self, logits: np.ndarray) -> bool:
        """Whether the classifier has been fooled."""
        return bool((logits.argmax() == self.label) == self.targeted)


def goal_for(classifier: Classifier, photo: np.ndarray, target: str | None) -> Goal:
    """UserError if the classifier has no such class, with near ones, or calls the photo that already."""
    answer = int(classifier.logits_of(photo).argmax())
    if target is None:
        return Goal(answer, targeted=False)
    wanted = classifier.class_named(target)
    if wanted == answer:
        raise UserError(
            f"{classifier.name} calls the photo {classifier.labels[wanted]} already: choose another --target."
        )
    return Goal(wanted, targeted=True)
