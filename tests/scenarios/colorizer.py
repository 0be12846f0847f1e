"""The colorizer with a tiny encoder: what it paints, and a little training."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np

from tests.parity_worker import build, scenario


def tiny_encoder(picture: Any, pretrained: bool = False) -> list[Any]:
    """Features at strides 4, 8, 16 and 32, as the app's encoder gives them."""
    from keras import layers

    features, x = [], layers.AveragePooling2D(2)(picture)
    for width in (8, 12, 16, 16):
        x = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(x)
        features.append(x)
    return features


def tiny_network(outputs: int) -> Any:
    """The app's network on that encoder."""
    from apps import colorizer as app

    with mock.patch.object(app, "encoder", tiny_encoder):
        return app.colour_network(np.zeros(outputs), pretrained=False)


def photo(height: int, width: int) -> np.ndarray:
    """Some surfaces with edges and a little texture, uint8 (height, width, 3)."""
    rng, (y, x) = np.random.default_rng(0), np.mgrid[:height, :width]
    shade = 60 + 120 * (x > width / 3) * (y > height / 4) + 0.2 * y + rng.normal(0, 4, (height, width))
    return np.repeat(shade.clip(0, 255).astype(np.uint8)[..., None], 3, axis=-1)


@scenario
def colorizer_paints() -> list:
    """A photo that is not square, with a hint."""
    from apps import colorizer as app
    from apps.parts.colorizer.guided_filter import Hint, PhotoColorizer

    bins = app.ColourBins.of(np.zeros((4, 2), np.float32), 0.5, 0.2)
    colorizer = PhotoColorizer(build(tiny_network(len(bins.centres))), bins.chroma, side=64)
    return colorizer(photo(50, 70), 1.0, [Hint(20, 20, (200, 40, 40))]).tolist()


@scenario
def colorizer_trains() -> list[float]:
    """The losses of three steps on the same two photos."""
    import keras

    from apps import colorizer as app

    rng = np.random.default_rng(1)
    L, ab = rng.uniform(0, 100, (2, 32, 32, 1)), rng.uniform(-60, 60, (2, 8, 8, 2))
    bins = app.ColourBins.of(ab, 0.5, 0.2)
    network = build(tiny_network(len(bins.centres)))
    for weight in network.trainable_variables:
        weight.assign(weight * 0.2)
    network.compile(keras.optimizers.SGD(1.0), bins.loss)
    history = network.fit(L.astype("float32"), ab.astype("float32"), batch_size=2, epochs=3, shuffle=False, verbose=0)
    return history.history["loss"]
