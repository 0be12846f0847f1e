"""A network that says what is on photos, ready to be asked: captions with their scores, and where it looked.

The network takes [photo uint8 (batch, size, size, 3), ids int32 (batch, time)] and gives logits of the words that
follow. It is made of two others: "encoder", photo -> features (batch, cells, features), and "decoder", which
`caption_decoder` describes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.data.images import resize
from shared.data.vocabulary import PAD, Vocabulary, Words
from shared.decoding.beam_search import sampler, searcher
from shared.layers.transformer import attention_maps
from shared.training.inference import in_batches

if TYPE_CHECKING:
    import keras

BATCH = 50  # photos at a time


@dataclass(frozen=True)
class Caption:
    """A sentence about a photo."""

    words: Words
    log_probability: float
    """Of its words and its end together, natural."""

    @property
    def text(self) -> str:
        """The words in a line."""
        return " ".join(self.words)

    @property
    def score(self) -> float:
        """The probability that a word of it had, on (geometric) average, 0 to 1."""
        return float(np.exp(self.log_probability / (len(self.words) + 1)))


class Captioner:
    """A network and its vocabulary.

    Args:
        network: as above; it may change between calls.
        vocabulary: of its words.
        batch: photos at a time, at most; every compiled function takes one number of them only.
    """

    def __init__(self, network: keras.Model, vocabulary: Vocabulary, batch: int = BATCH):
        self.network, self.vocabulary, self.batch = network, vocabulary, batch
        self.encoder, self.decoder = network.get_layer("encoder"), network.get_layer("decoder")
        self._compiled: dict[tuple, Callable] = {}

    @property
    def size(self) -> int:
        """Side of its photos in pixels."""
        return self.network.input_shape[0][1]

    @property
    def longest(self) -> int:
        """Places of a caption, its end included."""
        return self.decoder.get_layer("places").kernel.shape[0]

    def squeezed(self, photo: np.ndarray) -> np.ndarray:
        """A photo as the network sees it, whole: (H, W, 3) -> (size, size, 3)."""
        return resize(photo, self.size, self.size)

    def look(self, photos: np.ndarray) -> np.ndarray:
        """Photos uint8 (photos, size, size, 3) -> features float32 (photos, cells, features)."""
        from shared.training.steps import compile_step

        def made() -> Callable:
            return compile_step(lambda x: self.encoder(x, training=False), self.encoder)

        return self._run("look", made, photos)

    def write(self, features: np.ndarray, beams: int = 3, length_weight: float = 0.7) -> list[list[Caption]]:
        """The captions of a beam search for each photo, the best first."""

        def made() -> Callable:
            return searcher(self.decoder, beams, length_weight)

        found = self._run(("write", beams, length_weight), made, features)
        return [self._captions(*photo) for photo in zip(*found, strict=True)]

    def draw(self, features: np.ndarray, samples: int, temperature: float, seed: int) -> list[list[Caption]]:
        """Captions by chance for each photo, the likeliest first; a seed gives the same ones for the same photos."""
        chance = np.random.default_rng(seed).random((len(features), samples, self.longest), np.float32)

        def made() -> Callable:
            return sampler(self.decoder, samples)

        found = self._run(("draw", samples), made, features, chance, more=(temperature,))
        captions = [self._captions(*photo) for photo in zip(*found, strict=True)]
        return [sorted(drawn, key=lambda caption: -caption.score) for drawn in captions]

    def attention(self, features: np.ndarray, caption: Caption) -> np.ndarray:
        """Where it looked for each word of a caption: features (cells, features) -> float32 (words, rows, columns)."""
        ids = np.full((1, self.longest), PAD, np.int32)
        ids[0, : len(caption.words)] = self.vocabulary.encode(caption.words)[: len(caption.words)]
        found = np.asarray(self._maps([features[None], ids]))[0, : len(caption.words)]
        rows = round(len(features) ** 0.5)
        return found.reshape(-1, rows, len(features) // rows)

    @cached_property
    def _maps(self) -> keras.Model:
        return attention_maps(self.decoder)

    def _captions(self, ids: np.ndarray, sums: np.ndarray) -> list[Caption]:
        return [Caption(self.vocabulary.decode(row), float(total)) for row, total in zip(ids, sums, strict=True)]

    def _run(self, key: Any, made: Callable[[], Callable], *arrays: np.ndarray, more: tuple = ()) -> Any:
        """What a compiled function, made once for each size of batch, gives for all photos."""
        batch = max(min(self.batch, len(arrays[0])), 1)
        run = self._compiled.get((key, batch)) or self._compiled.setdefault((key, batch), made())
        return in_batches(lambda *parts: run(*parts, *more), batch, *arrays)
