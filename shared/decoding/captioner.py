"""A network that captions photos, with its vocabulary: captions and their scores, and what it attended to.

The network takes [photo uint8 (batch, size, size, 3), names int32 (batch, NAMES, 2), ids int32 (batch, time)] and gives
logits of the words that follow. It is made of two others: "encoder", photo -> features (batch, cells, features), and
"decoder", [features, names, ids] -> logits, which shared/layers/transformer.py describes. The names are what other
networks recognise on the photo: shared/decoding/recognised.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shared import saved_models
from shared.data.sizes import resize
from shared.data.vocabulary import END, FIRST_WORD, PAD, START, UNKNOWN, Vocabulary, Words, word_set
from shared.decoding.beam_search import TokenRules, beam_search, sampler
from shared.decoding.recognised import NAMES, Recogniser, told
from shared.errors import UserError
from shared.layers.transformer import attention_maps
from shared.training.inference import in_batches

if TYPE_CHECKING:
    import keras

NAME = "image_captioner"  # of the network, and of the shipped model
BATCH = 50  # photos at a time
AGAIN = word_set(
    "a an and another are at back beside by down for from front has her his in into is it its near next of off on one "
    "onto or other out over side some that the their them there this through to top two up using very which while who "
    "with"
)
"""The words that a sentence may have twice; the others name something, and saying it twice is a fault."""


PEOPLE = frozenset(
    {
        "adult",
        "baby",
        "boy",
        "child",
        "children",
        "couple",
        "crowd",
        "girl",
        "group",
        "guy",
        "kid",
        "lady",
        "man",
        "men",
    }
    | {"people", "player", "skateboarder", "skier", "snowboarder", "surfer", "team", "toddler", "woman", "women"}
)
"""What a sentence calls what the detector calls a person."""
SURE, BONUS = 8, 3.0
"""An unfamiliar thing that is recognised with so many tenths is said if it fits: so much is added to the logarithm of
its probability."""
RIGHT = (0.02, 0.02, 0.05, 0.1, 0.15, 0.25, 0.33, 0.33, 0.62, 0.83, 0.83)
"""By the tenths of the surest name that it says, how many sentences are right about the thing on the photo: measured on
125 photos of ImageNet, of which the model card tells what it is on the others."""
DOUBT = "I am not sure: "
UNSURE = 0.3
"""A sentence with a lower score is given with a doubt."""


@dataclass(frozen=True)
class Caption:
    """A sentence about a photo."""

    words: Words
    """Some are several, such as "traffic light"."""
    log_probability: float
    """Natural logarithm of the probability of its words and its end together."""

    score: float = 0.0
    """How likely it names the thing that is there, 0 to 1, by the surest recognised name that it says."""

    @property
    def text(self) -> str:
        """The words in a line."""
        return " ".join(self.words)

    @property
    def single_words(self) -> Words:
        """The words one by one, as metrics compare them."""
        return tuple(self.text.split())

    @property
    def told(self) -> str:
        """The words as they are shown: with a doubt where nothing that they name was recognised."""
        return self.text if self.score >= UNSURE else DOUBT + self.text

    @property
    def likelihood(self) -> float:
        """The probability of a word in it, 0 to 1, as the geometric mean."""
        return float(np.exp(self.log_probability / (len(self.words) + 1)))


@dataclass(frozen=True)
class Seen:
    """What the decoder is told of some photos."""

    features: np.ndarray
    """Of the encoder, float32 (photos, cells, features)."""
    names: np.ndarray
    """Of what other networks recognise, int32 (photos, NAMES, 2)."""

    def __getitem__(self, photos: slice) -> Seen:
        return Seen(self.features[photos], self.names[photos])


class Captioner:
    """A network and its vocabulary.

    Args:
        network: as above; its weights may change between calls.
        vocabulary: the words behind its ids.
        sayings: a word for each class that is recognised, or an empty text. Without any nothing is recognised.
        batch: the most photos at a time; every compiled function takes one number of them only.
        recogniser: whose classes these are.
        unfamiliar: words for them that captions of its photos seldom had, so that it says them too seldom by itself.
    """

    def __init__(
        self,
        network: keras.Model,
        vocabulary: Vocabulary,
        sayings: Sequence[str] = (),
        batch: int = BATCH,
        recogniser: Recogniser | None = None,
        unfamiliar: Collection[str] = (),
    ):
        self.network, self.vocabulary, self.batch = network, vocabulary, batch
        self.encoder, self.decoder = network.get_layer("encoder"), network.get_layer("decoder")
        self.sayings, self.recogniser = list(sayings), recogniser or Recogniser()
        self.unfamiliar = {vocabulary.id_of(word) for word in unfamiliar}
        self.said_ids = np.array([vocabulary.id_of(word) if word else PAD for word in sayings], np.int32)
        once = (n for n, word in enumerate(vocabulary.words, FIRST_WORD) if word not in AGAIN)
        self.rules = TokenRules(START, END, forbidden=(PAD, START, UNKNOWN), repeats=False, once=tuple(once))
        self._compiled: dict[tuple, Callable] = {}

    @property
    def size(self) -> int:
        """Side of its photos in pixels."""
        return self.network.input_shape[0][1]

    @property
    def longest(self) -> int:
        """The most words of a caption, its end included."""
        return self.decoder.get_layer("places").kernel.shape[0]

    def said(self, sentence: Words) -> set[int]:
        """The ids of its words, of the singular of its plurals, and of "person" where it speaks of people."""
        words = self.vocabulary.joined(sentence)
        forms = {word.removesuffix(end) for word in words for end in ("", "s", "es")}
        return {self.vocabulary.id_of(word) for word in forms | ({"person"} if PEOPLE & forms else set())} - {UNKNOWN}

    @property
    def words_known(self) -> dict[str, list[str]]:
        """What config.json has for `load_captioner`."""
        unfamiliar = sorted(self.vocabulary.words[n - FIRST_WORD] for n in self.unfamiliar)
        return {"vocabulary": self.vocabulary.words, "sayings": self.sayings, "unfamiliar": unfamiliar}

    def resized(self, photo: np.ndarray) -> np.ndarray:
        """A whole photo in the shape that the network takes: (H, W, 3) -> (size, size, 3)."""
        return resize(photo, self.size, self.size)

    def encode(self, photos: np.ndarray) -> np.ndarray:
        """Photos uint8 (photos, size, size, 3) -> features float32 (photos, cells, features)."""
        from shared.training.steps import compile_step

        encode = partial(self.encoder, training=False)
        return self._in_batches("encode", lambda: compile_step(encode, self.encoder), photos)

    def look(self, photos: Sequence[np.ndarray] | np.ndarray) -> Seen:
        """What there is to write about photos uint8 (H, W, 3) of any sizes."""
        features = self.encode(np.stack([self.resized(photo) for photo in photos]))
        if not self.sayings:
            return Seen(features, np.zeros((len(features), NAMES, 2), np.int32))
        shares = self.recogniser.shares(photos)
        if shares.shape[1] != len(self.sayings):
            raise UserError(
                f"this captioner has words for {len(self.sayings)} classes, and saved_models/ recognises "
                f"{shares.shape[1]}: train it anew with the networks that are there."
            )
        return Seen(features, told(shares, self.said_ids))

    def write(self, seen: Seen, beams: int = 3) -> list[list[Caption]]:
        """The captions that a beam search finds for each photo, the best first."""

        def search() -> Callable:
            found = beam_search(self.decoder, self.rules, beams)
            return lambda features, names, bonus: found((features, names), None, bonus)

        bonus = self._bonus(seen.names)
        found = self._in_batches(("write", beams), search, seen.features, seen.names, bonus)
        return [self._captions(*photo) for photo in zip(*found, seen.names, strict=True)]

    def sample(self, seen: Seen, samples: int, temperature: float, seed: int) -> list[list[Caption]]:
        """Random captions for each photo, the likeliest first; a seed gives the same ones for the same photos."""
        numbers = np.random.default_rng(seed).random((len(seen.names), samples, self.longest), np.float32)

        def draw() -> Callable:
            found = sampler(self.decoder, self.rules, samples)
            return lambda features, names, *more: found((features, names), *more)

        more = (temperature,)  # the same for all batches
        found = self._in_batches(("sample", samples), draw, seen.features, seen.names, numbers, more=more)
        captions = [self._captions(*photo) for photo in zip(*found, seen.names, strict=True)]
        return [sorted(drawn, key=lambda caption: -caption.likelihood) for drawn in captions]

    def attention(self, seen: Seen, caption: Caption) -> np.ndarray:
        """Where on the one photo that was seen it looked for each word: shares float32 (words, rows, columns)."""
        ids = np.full((1, self.longest), PAD, np.int32)
        ids[0, : len(caption.words)] = self.vocabulary.encode(caption.words)[: len(caption.words)]
        cells = seen.features.shape[1]
        found = np.asarray(self._maps([seen.features, seen.names, ids]))[0, : len(caption.words), :cells]
        rows = round(cells**0.5)
        return found.reshape(-1, rows, cells // rows)

    @cached_property
    def _maps(self) -> keras.Model:
        return attention_maps(self.decoder)

    def _bonus(self, names: np.ndarray) -> np.ndarray:
        """BONUS for the surest unfamiliar one of the names (photos, NAMES, 2), float32 (photos, words)."""
        bonus = np.zeros((len(names), len(self.vocabulary)), np.float32)
        for photo, told_to_it in enumerate(names.tolist()):
            things = [name for name, tenths in told_to_it if tenths >= SURE and name in self.unfamiliar]
            bonus[photo, things[:1]] = BONUS
        return bonus

    def _captions(self, ids: np.ndarray, sums: np.ndarray, names: np.ndarray) -> list[Caption]:
        written = zip(map(self.vocabulary.decode, ids), map(float, sums), strict=True)
        return [Caption(words, total, self._sure_of(words, names)) for words, total in written]

    def _sure_of(self, words: Words, names: np.ndarray) -> float:
        """How often sentences were right that said a name so sure as the surest of these (NAMES, 2) that is said."""
        said = self.said(words)
        return RIGHT[max((tenths for name, tenths in names.tolist() if name in said), default=0)]

    def _in_batches(self, key: Any, compiled: Callable[[], Callable], *arrays: np.ndarray, more: tuple = ()) -> Any:
        """What a compiled function, made once for each size of batch, gives for all photos."""
        batch = max(min(self.batch, len(arrays[0])), 1)
        run = self._compiled.get((key, batch)) or self._compiled.setdefault((key, batch), compiled())
        return in_batches(lambda *parts: run(*parts, *more), batch, *arrays)


def load_captioner(model: Path | None = None) -> Captioner:
    """A saved network, by default the shipped one; UserError if it is not a captioner."""
    network, record = saved_models.load_for(NAME, model)
    words, sayings = record.get("vocabulary"), record.get("sayings")
    if isinstance(words, list) and isinstance(sayings, list) and network.name == NAME:
        vocabulary = Vocabulary(map(str, words))
        if network.output_shape[-1] == len(vocabulary):
            unfamiliar = [str(word) for word in record.get("unfamiliar") or ()]
            return Captioner(network, vocabulary, [str(word) for word in sayings], unfamiliar=unfamiliar)
    raise UserError(
        f"{model} is not a network that captions photos, with its vocabulary and sayings in config.json. "
        "(One of version 1 or 2.0 was told no names: train it anew.)"
    )
