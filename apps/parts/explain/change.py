"""The smallest change of a photo that makes a network call it something else: a counterfactual."""

from __future__ import annotations

import numpy as np

from shared.classifiers.classifier import Classifier

LARGEST = 64  # grey levels
STEPS = 20  # of each attempt


def smallest_change(classifier: Classifier, photo: np.ndarray, label: int) -> tuple[np.ndarray, int] | None:
    """The photo (size, size, 3) changed by as few grey levels a pixel as will do, uint8, and how many; None if none do.

    It goes towards the label by projected gradient descent, within twice as many levels each time, and then halves the
    interval. On an undefended network one or two do, and nobody sees them; on a robust one, the change means something.
    """

    def within(levels: int) -> np.ndarray | None:
        truth = np.array([label])
        found = classifier.attacker.pgd(
            photo[None], truth, levels / 255, STEPS, 2.5 * levels / 255 / STEPS, targeted=True
        )
        return found[0] if classifier.attacker.logits(found)[0].argmax() == label else None

    low, high = 0, 1
    best = within(high)
    while best is None and high < LARGEST:
        low, high = high, 2 * high
        best = within(high)
    if best is None:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        found = within(middle)
        if found is None:
            low = middle
        else:
            high, best = middle, found
    return best, high
