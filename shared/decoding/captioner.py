"""A network that captions photos, with its vocabulary: captions and their scores, and what it attended to.

The network takes [photo uint8 (batch, size, size, 3), ids int32 (batch, time)] and gives logits of the words that
follow. It is made of two others: "encoder", photo -> features (batch, cells, features), and "decoder", [features, ids]
-> logits, which shared/layers/transformer.py describes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shared import saved_models
from shared.data.sizes import resize
from shared.data.vocabulary import END, PAD, START, UNKNOWN, Vocabulary, Words
from shared.decoding.beam_search import TokenRules, beam_search, sampler
from shared.errors import UserError
from shared.layers.transformer import attention_maps
from shared.training.inference import in_batches

if TYPE_CHECKING:
    import keras

NAME = "image_captioner"  # of the network, and of the shipped model
BATCH = 50  # photos at a time
RULES = TokenRules(START, END, forbidden=(PAD, START, UNKNOWN), repeats=False)


@dataclass(frozen=True)
class Caption:
    """A sentence about a photo."""

    words: Words
    log_probability: float
    """Natural logarithm of the probability of its words and its end together."""

    @property
    def text(self) -> str:
        """The words in a line."""
        return " ".join(self.words)

    @property
    def score(self) -> float:
        """The probability of a word in it, 0 to 1, as the geometric mean."""
        return float(np.exp(self.log_probability / (len(self.words) + 1)))


class Captioner:
    """A network and its vocabulary.

    Args:
        network: as above; its weights may change between calls.
        vocabulary: the words behind its ids.
        batch: the most photos at a time; every compiled function takes one number of them only.
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
        """The most words of a caption, its end included."""
        return self.decoder.get_layer("places").kernel.shape[0]

    def resized(self, photo: np.ndarray) -> np.ndarray:
        """A whole photo in the shape that the network takes: (H, W, 3) -> (size, size, 3)."""
        return resize(photo, self.size, self.size)

    def encode(self, photos: np.ndarray) -> np.ndarray:
        """Photos uint8 (photos, size, size, 3) -> features float32 (photos, cells, features)."""
        from shared.training.steps import compile_step

        encode = partial(self.encoder, training=False)
        return self._in_batches("encode", lambda: compile_step(encode, self.encoder), photos)

    def write(self, features: np.ndarray, beams: int = 3) -> list[list[Caption]]:
        """The captions that a beam search finds for the features of each photo, the best first."""

        found = self._in_batches(("write", beams), lambda: beam_search(self.decoder, RULES, beams), features)
        return [self._captions(*photo) for photo in zip(*found, strict=True)]

    def sample(self, features: np.ndarray, samples: int, temperature: float, seed: int) -> list[list[Caption]]:
        """Random captions for each photo, the likeliest first; a seed gives the same ones for the same photos."""
        numbers = np.random.default_rng(seed).random((len(features), samples, self.longest), np.float32)
        key = "sample", samples
        more = (temperature,)  # the same for all batches
        found = self._in_batches(key, lambda: sampler(self.decoder, RULES, samples), features, numbers, more=more)
        captions = [self._captions(*photo) for photo in zip(*found, strict=True)]
        return [sorted(drawn, key=lambda caption: -caption.score) for drawn in captions]

    def attention(self, features: np.ndarray, caption: Caption) -> np.ndarray:
        """What it attended to for each word: features (cells, features) -> shares float32 (words, rows, columns)."""
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

    def _in_batches(self, key: Any, compiled: Callable[[], Callable], *arrays: np.ndarray, more: tuple = ()) -> Any:
        """What a compiled function, made once for each size of batch, gives for all photos."""
        batch = max(min(self.batch, len(arrays[0])), 1)
        run = self._compiled.get((key, batch)) or self._compiled.setdefault((key, batch), compiled())
        return in_batches(lambda *parts: run(*parts, *more), batch, *arrays)


def load_captioner(model: Path | None = None) -> Captioner:
    """A saved network, by default the shipped one; UserError if it is not a captioner."""
    network, record = saved_models.load_for(NAME, model)
    words = record.get("vocabulary")
    if isinstance(words, list) and network.name == NAME:
        vocabulary = Vocabulary(map(str, words))
        if network.output_shape[-1] == len(vocabulary):
            return Captioner(network, vocabulary)
    raise UserError(f"{model} is not a network that captions photos, with its vocabulary in config.json.")
