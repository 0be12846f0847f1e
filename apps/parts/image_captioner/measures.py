"""What is measured of sentences beside the metrics: do they name the thing, twice, and how sure are they of it?"""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from apps.parts.image_captioner import metrics
from apps.parts.image_captioner.naming import plural
from shared.data.vocabulary import Words
from shared.decoding.captioner import AGAIN, UNSURE, Caption, Captioner
from shared.errors import UserError


def written_by(
    captioner: Captioner, photos: Sequence[np.ndarray] | np.ndarray, beams: int
) -> tuple[list[Caption], float]:
    """The best caption of each photo, and how many a second were written, compiling left out."""
    captioner.write(captioner.look(photos[: captioner.batch]), beams)  # compiles
    began_s = time.perf_counter()
    captions = [best for best, *_ in captioner.write(captioner.look(photos), beams)]
    return captions, len(photos) / (time.perf_counter() - began_s)


def measured(
    captioner: Captioner,
    photos: np.ndarray,
    references: Sequence[Sequence[Words]],
    known: Collection[Words],
    beams: int,
) -> tuple[list[Caption], str]:
    """The captions that so many beams find, and a line of what is measured of them.

    Args:
        references: what people wrote about each photo.
        known: the captions that it learned from.
    """
    captions, pace = written_by(captioner, photos, beams)
    scores = metrics.summary([caption.single_words for caption in captions], references, known)
    twice = np.mean([says_twice(caption) for caption in captions])
    return captions, f"beams {beams}: {scores}, {twice:.1%} say a thing twice, {pace:.1f} captions/s"


def says_twice(caption: Caption) -> bool:
    """Whether it has a word twice that names something, as in "a white shirt and a white shirt"."""
    words = [word for word in caption.single_words if word not in AGAIN]
    return len(words) > len(set(words))


def names_thing(text: str, names: Sequence[str]) -> bool:
    """Whether a sentence says one of these names, in the singular or plural."""
    padded = f" {text} "
    return any(f" {form} " in padded for name in names for form in (name, plural(name)))


def naming_lines(
    photos: Sequence[Path], captions: Sequence[Sequence[Caption]], names: Mapping[str, list[str]]
) -> Iterator[str]:
    """How often the best captions name the thing on photos called WNID_....JPEG, or what it is; and by their scores.

    Raises:
        UserError: the name of a file begins with no WNID that has names.
    """
    right = []
    for path, (caption, *_) in zip(photos, captions, strict=True):
        wnid = path.name.split("_")[0].split(".")[0]
        if wnid not in names:
            raise UserError(f"{path} is not called by a WNID that is in --names, as n02123045_tabby.JPEG is.")
        right.append(names_thing(caption.text, names[wnid]))
    yield f"{len(right)} photos of things: {np.mean(right):.1%} of the sentences name the thing or what it is a kind of"
    yield "of every second photo, on which the scores were not set:"
    right, scores = right[1::2], np.array([best.score for best, *_ in captions[1::2]])
    for low, high in itertools.pairwise((0.0, UNSURE, 0.6, 0.8, 1.01)):
        there = (scores >= low) & (scores < high)
        if there.any():
            some, mean, share = f"{there.sum()} sentences", scores[there].mean(), np.mean(np.array(right)[there])
            yield f"  score {low:.0%} to {min(high, 1):.0%}, {mean:.0%} on average: {some}, {share:.1%} right"
