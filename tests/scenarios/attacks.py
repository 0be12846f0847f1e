"""Adversarial photos of a small convolutional network."""

from __future__ import annotations

import numpy as np

from tests.parity_worker import build, scenario


def small_network():
    """Logits of four classes for photos of 12 x 12 pixels."""
    import keras

    scale, flatten, head = keras.layers.Rescaling(1 / 64, -2.0), keras.layers.Flatten(), keras.layers.Dense(4)
    layers = [scale, keras.layers.Conv2D(8, 3, activation="tanh"), flatten, head]
    return build(keras.Sequential([keras.Input((12, 12, 3)), *layers]))


@scenario
def adversarial_photos() -> dict:
    """What the attacks add to photos, at the network's size and through the resize of a larger photo."""
    from apps.fgsm import fgsm
    from shared.classifiers.attacks import Attacker
    from shared.classifiers.classifier import Classifier

    network, labels = small_network(), np.array([0, 1, 2])
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (3, 12, 12, 3)).astype("uint8")
    large = rng.integers(0, 256, (1, 30, 21, 3)).astype("uint8")
    attacker = Attacker(network, batch=2)
    classifier = Classifier("small", network, [], [], attacker)
    found = {
        "fgsm": (photos, fgsm(attacker, photos, labels, 3 / 255)),
        "targeted": (photos, fgsm(attacker, photos, labels, 3 / 255, targeted=True)),
        "pgd": (photos, attacker.pgd(photos, labels, 3 / 255, steps=3)),
        "own size": (large, fgsm(classifier.attacker_at(large.shape[1:]), large, labels[:1], 3 / 255)),
    }
    return {name: (after.astype(int) - before).tolist() for name, (before, after) in found.items()}


@scenario
def shipped_network_is_attacked() -> dict:
    """FGSM through the resize of a photo, as the app makes it: what it adds, in hexadecimal (128: nothing)."""
    from apps.fgsm import gradient_sign, moved
    from shared.classifiers.classifier import find_classifier
    from shared.data.images import load_image
    from shared.data.photo_files import sample_photos

    classifier = find_classifier("photo_classifier", 1)
    photo = load_image(next(path for path in sample_photos() if path.stem == "chelsea"))
    label, found = [int(classifier.logits_of(photo).argmax())], {}
    direction = gradient_sign(classifier.attacker_at(photo.shape), photo[None], label)
    for levels in (2, 4):
        change = 128 + moved(photo[None], direction, levels / 255)[0].astype(int) - photo
        found[str(levels)] = change.astype(np.uint8).tobytes().hex()
    return found
