"""Which part of a photo each word of its caption hangs on: the gradient, beside what the network attended to."""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.parts.explain.scores import agreement
from shared.data.vocabulary import PAD
from shared.decoding.captioner import Caption, Captioner


def word_gradients(captioner: Captioner, features: np.ndarray, caption: Caption) -> np.ndarray:
    """How much the probability of each word hangs on each cell of the photo, float32 (words, rows, columns).

    Features (cells, features) times the gradient of the word's log probability for them, summed over the features; what
    is positive, as in Grad-CAM.
    """
    from keras import ops

    from shared.training.steps import compile_step, input_gradient

    length = len(caption.words)
    ids = np.full((1, captioner.longest), PAD, np.int32)
    encoded = captioner.vocabulary.encode(caption.words)[: captioner.longest + 1]
    ids[0, :length] = encoded[:length]
    following = np.zeros((captioner.longest, captioner.network.output_shape[-1]), np.float32)

    def step(features: Any, ids: Any, wanted: Any) -> Any:
        def log_probability(x: Any) -> Any:
            logits = ops.cast(captioner.decoder([x, ids], training=False), "float32")
            return ops.sum(ops.log_softmax(logits)[0] * wanted)

        return input_gradient(log_probability, features)[1]

    gradient_of = compile_step(step, captioner.decoder)
    maps = []
    for n in range(length):
        wanted = following.copy()
        wanted[n, encoded[n + 1]] = 1
        gradient = np.asarray(gradient_of(features[None], ids, wanted))[0]
        maps.append(np.maximum((gradient * features).sum(axis=-1), 0))
    rows = round(len(features) ** 0.5)
    return np.array(maps, np.float32).reshape(length, rows, -1)


def explained(
    captioner: Captioner, photo: np.ndarray
) -> tuple[Caption, list[tuple[str, np.ndarray, np.ndarray, float]]]:
    """The caption of a photo (H, W, 3), and for each word its gradient map, its attention map and their agreement."""
    features = captioner.encode(captioner.resized(photo)[None])
    caption = captioner.write(features)[0][0]
    gradients = word_gradients(captioner, features[0], caption)
    attention = captioner.attention(features[0], caption)
    rows = zip(caption.words, gradients, attention, strict=True)
    return caption, [(word, one, other, agreement(one, other)) for word, one, other in rows]
