"""The captioner with a tiny encoder: what it writes, and a little training."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np

from tests.parity_worker import build, scenario


def tiny_encoder(size: int, pretrained: bool = False) -> Any:
    """An encoder of one layer, in the place of the app's: photo uint8 -> features (batch, 16, 6)."""
    import keras
    from keras import layers

    photo = keras.Input((size, size, 3), dtype="uint8", name="photo")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(photo)
    x = layers.Conv2D(6, size // 4, strides=size // 4, activation="relu", name="Conv_1")(x)
    return keras.Model(photo, layers.Reshape((-1, 6))(layers.BatchNormalization()(x)), name="encoder")


def tiny_network(words: int = 12, **settings: Any) -> Any:
    """The app's network with that encoder."""
    from apps import image_captioner as app

    sizes = {"size": 32, "units": 8, "heads": 2, "hidden": 12, "longest": 8, "dropout": 0.0}
    with mock.patch.object(app, "photo_encoder", tiny_encoder):
        return build(app.caption_network(words, app.Train(**sizes | settings), pretrained=False))


def photos(count: int) -> np.ndarray:
    """Noise, uint8 (count, 32, 32, 3)."""
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)


@scenario
def captioner_writes() -> dict:
    """Greedily, by beam search, and by chance with the same numbers."""
    from shared.data.vocabulary import Vocabulary
    from shared.decoding.captioner import Captioner, Seen
    from shared.decoding.recognised import NAMES

    captioner = Captioner(tiny_network(), Vocabulary("abcdefgh"), batch=4)
    names = np.random.default_rng(1).integers(0, 11, (6, NAMES, 2), np.int32)
    seen = Seen(captioner.encode(photos(6)), names)

    def told(found: list) -> list:
        return [[(caption.text, caption.log_probability) for caption in photo] for photo in found]

    return {
        "greedy": told(captioner.write(seen, beams=1)),
        "beams": told(captioner.write(seen, beams=3)),
        "chance": told(captioner.sample(seen, samples=3, temperature=1.3, seed=7)),
        "attention": captioner.attention(seen[:1], captioner.write(seen, beams=1)[0][0]).tolist(),
    }


@scenario
def captioner_trains() -> list[float]:
    """The losses of three steps of all the network on the same two photos."""
    import keras

    from apps import image_captioner as app

    network, ids = tiny_network(), np.array([[1, 5, 6, 2, 1, 7, 2, 0], [1, 8, 9, 10, 11, 2, 0, 0]], np.int32)
    targets = np.concatenate([ids[:, 1:], np.zeros((2, 1), np.int32)], axis=1)
    network.compile(keras.optimizers.SGD(0.1), app.smoothed_cross_entropy(0.1))
    names = np.array([[[4, 9], [5, 1]] + [[0, 0]] * 6] * 2, np.int32)
    fit = network.fit((photos(2), names, ids), targets, batch_size=2, epochs=3, shuffle=False, verbose=0)
    return fit.history["loss"]
