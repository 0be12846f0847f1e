"""The sounds of games: what is heard in a frame, a book of examples, and a soundtrack put together from it.

A frame of sound is uint8 (512,), 128 is silence. Its features are the logarithms of the loudness in bands of pitch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from apps.parts.silent_film.emulator import QUIET, SAMPLES
from shared.errors import UserError
from shared.files import write_atomically

BANDS = 24
AUDIBLE = 0.5  # root mean square, of 255, above which a frame is not silent
LENGTH = 6  # frames of an example
FADE = 24  # samples over which one example becomes the next
BOOK = "sounds.npz"  # beside model.keras


# --------------------------------------------------------------------------------------------- What a frame sounds like


def loudness(sounds: np.ndarray) -> np.ndarray:
    """Root mean square of the samples, 0 to 127: uint8 (..., 512) -> float32 (...)."""
    return np.sqrt(np.square(sounds.astype(np.float32) - QUIET).mean(axis=-1))


def spectrum(sounds: np.ndarray) -> np.ndarray:
    """Magnitudes of 256 pitches, multiples of 60 Hz from 60 Hz on: uint8 (..., 512) -> float32 (..., 256)."""
    samples = sounds.astype(np.float32)
    samples = (samples - samples.mean(axis=-1, keepdims=True)) * np.hanning(SAMPLES).astype(np.float32)
    return np.abs(np.fft.rfft(samples)[..., 1:]).astype(np.float32)


def tones(sounds: np.ndarray) -> np.ndarray:
    """The dominant pitch of each frame, in multiples of 60 Hz; 0 in silence: uint8 (..., 512) -> int (...)."""
    return np.where(loudness(sounds) > AUDIBLE, spectrum(sounds).argmax(axis=-1) + 1, 0)


def onsets(sounds: np.ndarray) -> np.ndarray:
    """Where a sound begins: its loudness rises by more than 3, or its tone changes: uint8 (time, 512) -> bool (time,).

    In noise the dominant tone is another one in nearly every frame: by this definition a shot has many beginnings.
    """
    level, tone = loudness(sounds), tones(sounds)
    found = np.zeros(len(sounds), bool)
    found[1:] = (np.diff(level) > 3) | ((np.diff(tone) != 0) & (tone[1:] > 0))
    return found


def strikes(sounds: np.ndarray) -> np.ndarray:
    """Where a sound begins clearly, louder by 6 than each of the three frames before; as `onsets`.

    Stricter than `onsets`: the flutter of noise is none.
    """
    level = loudness(sounds)
    before = np.max([np.concatenate([np.zeros(n, level.dtype), level[: len(level) - n]]) for n in (1, 2, 3)], axis=0)
    return level > before + 6


def features(sounds: np.ndarray) -> np.ndarray:
    """Logarithms of the loudness in bands of pitch: uint8 (n, 512) -> float32 (n, bands)."""
    power = np.square(spectrum(sounds)) @ _bands()
    return np.log(1 + np.sqrt(power) / 100)


@cache
def _bands() -> np.ndarray:
    """Which pitches a band has, equal steps on a logarithmic scale from 60 Hz to 15 kHz: float32 (256, bands)."""
    edges = np.unique(np.round(np.geomspace(1, SAMPLES // 2 + 1, BANDS + 9)).astype(int))
    which = np.searchsorted(edges, np.arange(1, SAMPLES // 2 + 1), side="right") - 1
    return np.eye(which.max() + 1, dtype=np.float32)[which]


# ------------------------------------------------------------------------------------------------------------ The book


@dataclass(frozen=True)
class Book:
    """Kinds of sounds, each with an example of some frames. Kind 0 is silence."""

    centres: np.ndarray
    """float32 (kinds, bands): the features of each kind."""
    examples: np.ndarray
    """uint8 (kinds, LENGTH, 512)."""
    follows: np.ndarray
    """float32 (kinds, kinds): the logarithm of the share of frames of a kind after which each kind is heard."""

    @classmethod
    def of(cls, tracks: list[np.ndarray], kinds: int, seed: int) -> Book:
        """Kinds (k-means) and examples of some soundtracks, uint8 (time, 512) each; UserError if they are silent."""
        from sklearn.cluster import KMeans

        heard = np.concatenate([track[loudness(track) > AUDIBLE] for track in tracks])
        if len(heard) < kinds:
            raise UserError(f"the games sound in {len(heard)} frames, and {kinds} kinds of sounds are asked for.")
        rng = np.random.default_rng(seed)
        some = features(heard[rng.permutation(len(heard))[:20_000]])
        kinds = min(kinds, len(np.unique(some.round(3), axis=0)))
        found = KMeans(kinds, n_init=2, random_state=seed).fit(some).cluster_centers_
        centres = np.concatenate([features(np.full((1, SAMPLES), QUIET, np.uint8)), found]).astype(np.float32)
        empty = np.full((kinds + 1, LENGTH, SAMPLES), QUIET, np.uint8)
        book = cls(centres, empty, np.zeros((len(centres), len(centres)), np.float32))
        for kind, example in book._longest_runs(tracks).items():
            empty[kind] = example
        return book.following(tracks)

    @classmethod
    def joined(cls, books: list[Book], tracks: list[np.ndarray]) -> Book:
        """The kinds of several books in one, of which silence is in all of them; what follows what is counted anew."""
        centres = np.concatenate([books[0].centres, *(book.centres[1:] for book in books[1:])])
        examples = np.concatenate([books[0].examples, *(book.examples[1:] for book in books[1:])])
        return cls(centres, examples, np.zeros((len(centres), len(centres)), np.float32)).following(tracks)

    def following(self, tracks: list[np.ndarray]) -> Book:
        """The same book with what follows what in these soundtracks."""
        counts = np.full(self.follows.shape, 0.1)
        for track in tracks:
            kinds = self.kinds_of(track)
            np.add.at(counts, (kinds[:-1], kinds[1:]), 1)
        shares = counts / counts.sum(axis=1, keepdims=True)
        return replace(self, follows=np.log(shares).astype(np.float32))

    def _longest_runs(self, tracks: list[np.ndarray]) -> dict[int, np.ndarray]:
        """The longest stretch of each kind, at most LENGTH frames, repeated where it is shorter."""
        best: dict[int, np.ndarray] = {}
        for track in tracks:
            kinds = self.kinds_of(track)
            cuts = np.flatnonzero(np.diff(kinds)) + 1
            for begin, end in zip([0, *cuts], [*cuts, len(kinds)], strict=True):
                kind, run = int(kinds[begin]), track[begin : min(end, begin + LENGTH)]
                if kind and len(run) > len(best.get(kind, ())):
                    best[kind] = run
        return {kind: np.resize(run, (LENGTH, SAMPLES)) for kind, run in best.items()}

    def kinds_of(self, sounds: np.ndarray) -> np.ndarray:
        """The kind of each frame: uint8 (time, 512) -> int32 (time,)."""
        found = np.zeros(len(sounds), np.int32)
        heard = loudness(sounds) > AUDIBLE
        if heard.any():
            rows = features(sounds[heard])
            distances = np.square(self.centres[1:]).sum(axis=-1) - 2 * rows @ self.centres[1:].T
            found[heard] = 1 + distances.argmin(axis=-1)
        return found

    def soundtrack(self, kinds: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
        """Sound for the kinds of some frames: int (time,) -> uint8 (time, 512).

        While a kind lasts, its example goes on; where another one begins, the two are blended over some samples.

        Args:
            kinds: of frames in a row.
            before: int, the kinds of all frames before these, if there are any: their last LENGTH are enough.
        """
        past = np.zeros(0, int) if before is None else before[-4 * LENGTH :]
        row = np.concatenate([past, kinds])
        played = np.empty((len(row), SAMPLES), np.float32)
        ramp = (np.arange(FADE) + 0.5) / FADE
        lasted = ended = 0
        for n, kind in enumerate(row):
            lasted = lasted + 1 if n and kind == row[n - 1] else 0
            played[n] = self.examples[kind, lasted % LENGTH]
            if n and kind and not lasted:  # what came before would go on like this
                follows = self.examples[row[n - 1], (ended + 1) % LENGTH, :FADE].astype(np.float32)
                played[n, :FADE] = follows * (1 - ramp) + played[n, :FADE] * ramp
            ended = lasted
        return np.rint(played[len(past) :]).astype(np.uint8)

    def save(self, folder: Path) -> None:
        """Write the book beside a model."""
        with write_atomically(folder / BOOK) as path:
            centres, follows = self.centres.astype(np.float16), self.follows.astype(np.float16)
            np.savez_compressed(path, centres=centres, examples=self.examples, follows=follows)

    @classmethod
    def load(cls, folder: Path, kinds: int) -> Book:
        """The book beside a model of so many kinds; UserError if there is none that fits."""
        path = folder / BOOK
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                centres, follows = (arrays[name].astype(np.float32) for name in ("centres", "follows"))
                book = cls(centres, arrays["examples"], follows)
            right = (
                book.centres.shape == (kinds, _bands().shape[1])
                and book.examples.shape == (kinds, LENGTH, SAMPLES)
                and book.follows.shape == (kinds, kinds)
                and book.examples.dtype == np.uint8
                and bool(np.isfinite(book.centres).all() and np.isfinite(book.follows).all())
            )
        except FileNotFoundError:
            raise UserError(f"{folder} has no {BOOK}, in which the sounds are: copy it there, too.") from None
        except Exception as error:  # zipfile, zlib, numpy: a dozen types for a damaged file
            raise UserError(f"{path} cannot be read: copy it again.") from error
        if not right:
            raise UserError(f"{path} is not the book of sounds of this network.")
        return book
