"""How far photos that were attacked on one network fool another one: FGSM, MI-FGSM and PGD.

python benchmarks/transfer.py --data imagenette/val --photos 200
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps.fgsm import BATCH, DEFENDED, TRAINED_BY, UNDEFENDED, fgsm, log_odds
from apps.parts.fgsm.inputs import share
from apps.parts.fgsm.photos import among, open_photos
from shared import cli
from shared.classifiers.attacks import Attacker
from shared.classifiers.classifier import Classifier, find_classifier
from shared.console import print_each
from shared.data.sizes import resize
from shared.errors import UserError
from shared.settings import Range, Settings


@dataclass
class Transfer(Settings):
    """Attack photos on each network, and ask all of them."""

    data: str
    """A folder of photos, their ImageNet class (n02102040) in the names of files or folders, or a TFDS name."""
    models: tuple[str, ...] = (UNDEFENDED, DEFENDED)
    """What --model of apps/fgsm.py takes, two or more."""
    classes_of: str = DEFENDED
    """All of them choose among the classes of this one."""
    epsilon: str = "4/255"
    """The size of the attacks."""
    photos: Annotated[int, Range(1, 100_000)] = 200
    """How many photos to take, spread evenly."""


def transfer(config: Transfer) -> None:
    """How many of the photos that were attacked on one network fool the others."""
    epsilon, wnids = share(config.epsilon), find_classifier(config.classes_of, BATCH, TRAINED_BY).wnids
    if not wnids:
        raise UserError(f"the classes of {config.classes_of} have no ImageNet names: name another by --classes-of.")
    networks = [among(find_classifier(name, BATCH, TRAINED_BY), wnids) for name in config.models]
    photos = open_photos(config.data, config.photos, networks[0])

    attacks = {
        "FGSM": lambda attacker, x, truth: fgsm(attacker, x, truth, epsilon),
        "MI-FGSM": lambda attacker, x, truth: mi_fgsm(lambda at: attacker.gradient(log_odds, at, truth), x, epsilon),
        "PGD-10": lambda attacker, x, truth: attacker.pgd(x, truth, epsilon, 10),
    }
    print_each(transfer_lines(networks, photos.pictures, photos.truth, attacks))


def mi_fgsm(
    gradient_of: Callable[[np.ndarray], np.ndarray], photos: np.ndarray, epsilon: float, steps: int = 10
) -> np.ndarray:
    """FGSM with momentum (Dong et al. 2018, arXiv:1710.06081), whose photos fool other networks more often; uint8.

    Args:
        gradient_of: the loss's gradient for photos, float32 (n, height, width, 3).
    """
    size = np.float32(255 * epsilon)
    low, high = np.maximum(photos - size, 0), np.minimum(photos + size, 255)
    at, momentum = photos.astype(np.float32), np.zeros(photos.shape, np.float32)
    for _ in range(steps):
        gradient = gradient_of(at)
        momentum += gradient / np.maximum(np.abs(gradient).mean((1, 2, 3), keepdims=True), 1e-20)
        at = np.clip(at + size / steps * np.sign(momentum), low, high)
    return np.clip(np.rint(at), np.ceil(low - 1e-3), np.floor(high + 1e-3)).astype(np.uint8)


def transfer_lines(
    classifiers: Sequence[Classifier],
    pictures: np.ndarray,
    truth: np.ndarray,
    attacks: Mapping[str, Callable[[Attacker, np.ndarray, np.ndarray], np.ndarray]],
) -> Iterator[str]:
    """Of photos that all networks name rightly, the share that attacks on one make each of them get wrong.

    Photos are uint8 (n, size, size, 3); a network of another size sees them resized.
    """
    right = np.all([_answers(classifier, pictures) == truth for classifier in classifiers], axis=0)
    pictures, truth = pictures[right], truth[right]
    yield f"{len(truth)} photos that all of them name rightly; wrong after an attack, in %, by"
    yield f"{'':48}" + "".join(f"{classifier.name:>26}" for classifier in classifiers)
    for source in classifiers:
        given = _resized(pictures, source.size)
        for name, attack in attacks.items():
            changed = attack(source.attacker, given, truth)
            wrong = [100 * (_answers(other, changed) != truth).mean() for other in classifiers]
            yield f"{name + ' on ' + source.name:48}" + "".join(f"{share:26.1f}" for share in wrong)


def _answers(classifier: Classifier, pictures: np.ndarray) -> np.ndarray:
    return classifier.attacker.logits(_resized(pictures, classifier.size)).argmax(-1)


def _resized(pictures: np.ndarray, size: int) -> np.ndarray:
    return np.stack([resize(picture, size, size) for picture in pictures])


if __name__ == "__main__":
    cli.run(__doc__, transfer, {})
