"""Which part of a photo each word of its caption hangs on: the gradient, beside what the network attended to."""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.parts.explain.scores import agreement
from shared.data.vocabulary import PAD
from shared.decoding.captioner import Caption, Captioner, Seen


def word_gradients(captioner: Captioner, seen: Seen, caption: Caption) -> np.ndarray:
    """How much the probability of each word hangs on each cell of the photo, float32 (words, rows, columns).

    The features of the one photo that was seen, times the gradient of the word's log probability for them, summed over
    the features; what is positive, as in Grad-CAM.
    """
    from keras import ops

    from shared.training.steps import compile_step, input_gradient

    length = len(caption.words)
    ids = np.full((1, captioner.longest), PAD, np.int32)
    encoded = captioner.vocabulary.encode(caption.words)[: captioner.longest + 1]
    ids[0, :length] = encoded[:length]
    following = np.zeros((captioner.longest, captioner.network.output_shape[-1]), np.float32)

    def step(features: Any, names: Any, ids: Any, wanted: Any) -> Any:
        def log_probability(x: Any) -> Any:
            logits = ops.cast(captioner.decoder([x, names, ids], training=False), "float32")
            return ops.sum(ops.log_softmax(logits)[0] * wanted)

        return input_gradient(log_probability, features)[1]

    gradient_of = compile_step(step, captioner.decoder)
    maps = []
    for n in range(length):
        wanted = following.copy()
        wanted[n, encoded[n + 1]] = 1
        gradient = np.asarray(gradient_of(seen.features, seen.names, ids, wanted))
        maps.append(np.maximum((gradient * seen.features)[0].sum(axis=-1), 0))
    rows = round(seen.features.shape[1] ** 0.5)
    return np.array(maps, np.float32).reshape(length, rows, -1)


def explained(
    captioner: Captioner, photo: np.ndarray
) -> tuple[Caption, list[tuple[str, np.ndarray, np.ndarray, float]]]:
    """The caption of a photo (H, W, 3), and for each word its gradient map, its attention map and their agreement."""
    seen = captioner.look([photo])
    caption = captioner.write(seen)[0][0]
    gradients = word_gradients(captioner, seen, caption)
    attention = captioner.attention(seen, caption)
    rows = zip(caption.words, gradients, attention, strict=True)
    return caption, [(word, one, other, agreement(one, other)) for word, one, other in rows]
