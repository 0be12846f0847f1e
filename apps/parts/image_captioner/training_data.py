"""What the captioner learns from: captions as ids, packed into rows, and features that are computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.console import say
from shared.data.batches import shuffled
from shared.data.vocabulary import Vocabulary, Words
from shared.decoding.captioner import Captioner
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


def pack(captions: Sequence[list[int]], length: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Captions one behind the other in a row, and the target of each of its ids, int32 (length,) each; the rest is 0.

    A caption is cut at `longest` ids, and the row at `length`. Packed, five captions need half of the space that five
    padded rows do, and the photo is encoded once for all of them.
    """
    row, targets = np.zeros((2, length), np.int32)
    at = 0
    for ids in captions:
        taken = min(len(ids) - 1, longest, length - at)
        row[at : at + taken], targets[at : at + taken] = ids[:taken], ids[1 : taken + 1]
        at += taken
    return row, targets


def training_batches(
    input_of: InputOf,
    found: Sequence[CaptionIds],
    *,
    batch: int,
    length: int,
    longest: int,
    seed: int,
    epoch: int,
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
    """Batches ((inputs, ids), targets) without end, from epoch number `epoch` on.

    An epoch depends on the seed and its number alone: photos in random order, each mirrored or not, all its captions in
    one row.

    Args:
        found: the captions of each photo.
    """
    for chosen, rng in shuffled(len(found), batch, seed, epoch):
        inputs, rows = [], []
        for n in chosen:
            mirrored = bool(rng.integers(2)) and bool(found[n].mirrored)
            captions = found[n].mirrored if mirrored else found[n].captions
            inputs.append(input_of(n, mirrored, rng))
            rows.append(pack([captions[i] for i in rng.permutation(len(captions))], length, longest))
        ids, targets = map(np.stack, zip(*rows, strict=True))
        yield (np.stack(inputs), ids), targets


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
