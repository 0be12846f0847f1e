"""What the captioner learns from: captions as ids, packed into rows, and features that are computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from apps.parts.image_captioner.captions import CaptionedPhoto, read_photos
from apps.parts.image_captioner.metrics import Cider
from apps.parts.image_captioner.naming import Sentences
from shared.console import say
from shared.data.batches import shuffled
from shared.data.vocabulary import PAD, Vocabulary, Words
from shared.decoding.captioner import Captioner
from shared.decoding.recognised import Recogniser, told
from shared.errors import UserError
from shared.files import write_atomically

InputOf = Callable[[int, bool, np.random.Generator], np.ndarray]
"""What the network takes of photo number n, mirrored or not: its pixels or its features."""


@dataclass(frozen=True)
class CaptionIds:
    """The captions of one photo as ids."""

    captions: tuple[list[int], ...]
    """Each from START to END."""
    mirrored: tuple[list[int], ...]
    """Those that are true of the mirror image, too: they do not mention left or right."""

    @classmethod
    def of(cls, captions: Iterable[Words], vocabulary: Vocabulary) -> CaptionIds:
        """From a photo's captions."""
        captions = tuple(captions)
        symmetric = [words for words in captions if not {"left", "right"} & set(words)]
        return cls(tuple(map(vocabulary.encode, captions)), tuple(map(vocabulary.encode, symmetric)))


@dataclass(frozen=True)
class RowSizes:
    """The sizes of a batch."""

    photos: int
    """Rows of photos."""
    sentences: int
    """Rows of sentences without photos, where there are any."""
    length: int
    """Ids in a row."""
    longest: int
    """Ids of a caption at most."""


def pack(captions: Sequence[list[int]], sizes: RowSizes) -> tuple[np.ndarray, np.ndarray]:
    """Captions one behind the other in a row, and the target of each of its ids, int32 (length,) each; the rest is 0.

    A caption is cut at `sizes.longest` ids, and the row at `sizes.length`. Packed, five captions need half of the space
    that five padded rows do, and the photo is encoded once for all of them.
    """
    row, targets = np.zeros((2, sizes.length), np.int32)
    at = 0
    for ids in captions:
        taken = min(len(ids) - 1, sizes.longest, sizes.length - at)
        row[at : at + taken], targets[at : at + taken] = ids[:taken], ids[1 : taken + 1]
        at += taken
    return row, targets


@dataclass(frozen=True)
class Material:
    """What there is to learn from and to validate with."""

    photos: np.ndarray
    """Of the training split, uint8 (photos, size, size, 3)."""
    captions: list[CaptionIds]
    """Of each of these photos."""
    names: np.ndarray
    """What is recognised on each, int32 (photos, NAMES, 2)."""
    said: np.ndarray
    """Which of these names people said of it, bool (photos, NAMES)."""
    sentences: Sentences | None
    """Of photos that are not there."""
    validation_photos: np.ndarray
    validation_names: np.ndarray
    cider: Cider
    """Compares captions of the validation photos with those that people wrote."""


def material_of(
    captioner: Captioner,
    training: Sequence[CaptionedPhoto],
    validation: Sequence[CaptionedPhoto],
    sentences: Sequence[Words],
    file: Path,
    least: int,
) -> Material:
    """Read all photos, and see what is recognised on them, which is kept in a file.

    Raises:
        UserError: fewer than `least` photos of the training, or none of the validation, can be read.
    """
    photos, training = read_photos(training, captioner.size)
    validation_photos, validation = read_photos(validation, captioner.size)
    if len(training) < least or not validation:
        raise UserError(
            f"there are {len(training)} photos to learn from that can be read, for a batch of {least}, "
            f"and {len(validation)} to validate with: give more."
        )
    shares = stored_shares(photos, captioner.recogniser, file), captioner.recogniser.shares(validation_photos)
    names, validation_names = (told(each, captioner.said_ids) for each in shares)
    ids = [CaptionIds.of(photo.captions, captioner.vocabulary) for photo in training]
    texts = Sentences(sentences, captioner.vocabulary, captioner.sayings) if sentences else None
    said = np.zeros(names.shape[:2], bool)
    for n, photo in enumerate(training):
        known = set().union(*map(captioner.said, photo.captions))
        said[n] = [name in known for name in names[n, :, 0].tolist()]
    cider = Cider([photo.captions for photo in validation])
    return Material(photos, ids, names, said, texts, validation_photos, validation_names, cider)


def training_batches(
    input_of: InputOf, material: Material, sizes: RowSizes, seed: int, epoch: int
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]]:
    """Batches ((inputs, names, ids), targets) without end, from epoch number `epoch` on.

    An epoch depends on the seed and its number alone: photos in random order, each mirrored or not, all its captions in
    one row. Names are left out at random. Sentences without photos come with the photo of another row: what they teach
    is to write about a sure name even where the photo looks like something else, as one of an unknown thing does.
    """
    found, sentences = material.captions, material.sentences
    for chosen, rng in shuffled(len(found), sizes.photos, seed, epoch):
        inputs, names, rows = [], [], []
        for n in chosen:
            mirrored = bool(rng.integers(2)) and bool(found[n].mirrored)
            captions = found[n].mirrored if mirrored else found[n].captions
            inputs.append(input_of(n, mirrored, rng))
            names.append(thinned(material.names[n], material.said[n], rng))
            rows.append(pack([captions[i] for i in rng.permutation(len(captions))], sizes))
        for n in rng.integers(len(found), size=sizes.sentences):
            if sentences is not None:
                captions, told_with = sentences.row(material.names[n], rng)
                inputs.append(input_of(n, False, rng))
                names.append(told_with)
                rows.append(pack(captions, sizes))
        ids, targets = map(np.stack, zip(*rows, strict=True))
        yield (np.stack(inputs), np.stack(names), ids), targets


def thinned(names: np.ndarray, said: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Without some of the names (NAMES, 2), or all: a photo must be described without them, too.

    Most sure names that nobody said of the photo are left out, so that it learns to say what is sure.
    """
    missing = np.where(said | (names[:, 1] < 5), 0.1, 0.7) if rng.random() < 0.85 else 1.0
    kept = rng.random(len(names)) > missing
    return np.where(kept[:, None], names, PAD)


def stored_features(photos: np.ndarray, captioner: Captioner, file: Path) -> np.ndarray:
    """Features of each photo and its mirror image, float16 (photos, 2, cells, features), from a file once computed."""
    shape = len(photos), 2, *captioner.encoder.output_shape[1:]
    if file.is_file() and (features := np.load(file, mmap_mode="r", allow_pickle=False)).shape == shape:
        return features
    say(f"Encoding {len(photos):,} photos and their mirror images ...")
    with write_atomically(file) as temporary:
        features = np.lib.format.open_memmap(temporary, "w+", np.float16, shape)
        for start in range(0, len(photos), 500):
            part = photos[start : start + 500]
            features[start : start + 500, 0] = captioner.encode(part)
            features[start : start + 500, 1] = captioner.encode(part[:, :, ::-1])
            say(f"{start + len(part):,} of {len(photos):,} photos")
        features.flush()
    return np.load(file, mmap_mode="r", allow_pickle=False)


def stored_shares(photos: np.ndarray, recogniser: Recogniser, file: Path) -> np.ndarray:
    """What is recognised on each photo, float16 (photos, labels), from a file once computed."""
    if file.is_file() and len(shares := np.load(file, allow_pickle=False)) == len(photos):
        return shares
    say(f"Recognising what is on {len(photos):,} photos ...")
    parts = [recogniser.shares(photos[start : start + 500]) for start in range(0, len(photos), 500)]
    shares = np.concatenate(parts).astype(np.float16)
    with write_atomically(file) as temporary, temporary.open("wb") as stream:
        np.save(stream, shares, allow_pickle=False)
    return shares
