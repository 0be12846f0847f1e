"""How near a soundtrack is to the true one: onsets, tones, loudness; and simple rules to stand beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from apps.parts.silent_film import played, sounds
from apps.parts.silent_film.emulator import FRAMES_PER_SECOND, QUIET, SAMPLES
from apps.parts.silent_film.played import Track
from shared.atari.agents import policy_for

if TYPE_CHECKING:
    from apps.parts.silent_film.dubber import Dubber

WITHIN = 2  # frames that an onset may be early or late
EXAMPLES = 20_000  # frames that the nearest one is looked for among
EPSILON = 0.05  # share of random actions in the games that are measured


def cross_entropy(dubber: Dubber, tracks: Sequence[Track]) -> float:
    """Mean nats a frame of the true kinds, each frame alike."""
    total, count = 0.0, 0
    for track in tracks:
        logits = np.stack(list(dubber.logits(track.screens)))
        logits -= logits.max(axis=-1, keepdims=True)
        likelihood = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        total -= likelihood[np.arange(len(logits)), dubber.book.kinds_of(track.sounds)].sum()
        count += len(logits)
    return float(total / count)


def matched(true: np.ndarray, heard: np.ndarray) -> int:
    """How many onsets of two soundtracks, bool (time,) each, are one another's, at most WITHIN frames apart.

    Each is matched once, the earliest first.
    """
    found, times = 0, list(np.flatnonzero(heard))
    for time in np.flatnonzero(true):
        while times and times[0] < time - WITHIN:
            times.pop(0)
        if times and times[0] <= time + WITHIN:
            times.pop(0)
            found += 1
    return found


class Tally:
    """The measures of one soundtrack maker, over some games."""

    def __init__(self) -> None:
        self.counts = np.zeros((2, 3))  # onsets, strikes: true, heard, matched
        self.frames = np.zeros(2)  # that sound, and of these, with the right tone
        self.levels: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, true: np.ndarray, heard: np.ndarray) -> None:
        """Compare two soundtracks, uint8 (time, 512) each."""
        for row, begins in enumerate((sounds.onsets, sounds.strikes)):
            one, other = begins(true), begins(heard)
            self.counts[row] += one.sum(), other.sum(), matched(one, other)
        tone, found = sounds.tones(true), sounds.tones(heard)
        self.frames += (tone > 0).sum(), ((tone > 0) & (np.abs(tone - found) <= 1)).sum()
        self.levels.append((sounds.loudness(true), sounds.loudness(heard)))

    def row(self, name: str) -> str:
        """Precision, recall and F1 of onsets, F1 of strikes, share of right tones, correlation of loudness."""
        true, heard, both = self.counts[0]
        precision, recall = both / max(heard, 1), both / max(true, 1)
        one, other = (np.concatenate(levels) for levels in zip(*self.levels, strict=True))
        related = np.corrcoef(one, other)[0, 1] if other.std() else 0.0
        right = self.frames[1] / max(self.frames[0], 1)
        return (
            f"  {name:34}{precision:10.3f}{recall:8.3f}{f1(self.counts[0]):8.3f}{f1(self.counts[1]):9.3f}"
            f"{right:8.1%}{related:10.3f}"
        )


def f1(counts: np.ndarray) -> float:
    """The harmonic mean of precision and recall, from how many are true, heard, and both."""
    true, heard, both = counts
    return float(2 * both / max(true + heard, 1))


def table(dubber: Dubber, game: str, count: int, seconds: int, seed: int) -> Iterator[str]:
    """The network and the rules beside it on games of unseen seeds."""
    policy = policy_for(game)
    frames, epsilon = seconds * FRAMES_PER_SECOND, EPSILON if policy else 1.0
    tracks: list[Track] = []
    for first in range(0, count, 5):
        seeds = range(seed + first, seed + min(first + 5, count))
        tracks += played.tracks(policy, game, seeds, frames, epsilon)
    learned = played.tracks(policy, game, range(7, 12), EXAMPLES // 5, epsilon)
    makers: dict[str, Callable[[Track], np.ndarray]] = {
        "the network": lambda track: np.stack(list(dubber.sounds(track.screens))),
        "always silent": lambda track: np.full_like(track.sounds, QUIET),
        "a sound when the score changes": scoring(learned),
        "another game's soundtrack": lambda track: np.resize(learned[0].sounds, track.sounds.shape),
        "the nearest frame": nearest(learned),
    }
    begins = np.mean([sounds.onsets(track.sounds).sum() for track in tracks]) / seconds
    clear = np.mean([sounds.strikes(track.sounds).sum() for track in tracks]) / seconds
    silent = np.mean([(sounds.loudness(track.sounds) <= sounds.AUDIBLE).mean() for track in tracks])
    player = f"by the agent, epsilon {EPSILON}" if policy else "at random"
    yield f"{game}: {count} games of {seconds} s played {player}, seeds from {seed}; silent in {silent:.0%} of frames;"
    yield f"{begins:.1f} onsets a second, {clear:.1f} of them strikes (louder by 6 than the three frames before)"
    yield f"  {'':34}{'precision':>10}{'recall':>8}{'F1':>8}{'strikes':>9}{'tone':>8}{'loudness':>10}"
    for name, maker in makers.items():
        tally = Tally()
        for track in tracks:
            tally.add(track.sounds, maker(track))
        yield tally.row(name)


def scoring(learned: Sequence[Track]) -> Callable[[Track], np.ndarray]:
    """The rule "something is heard when the score changes": what was heard then, of the training games' median one."""
    found = [
        track.sounds[time : time + 6]
        for track in learned
        for time in np.flatnonzero(track.points)
        if time + 6 <= len(track.sounds)
    ]
    example = found[len(found) // 2] if found else np.full((6, SAMPLES), QUIET, np.uint8)

    def make(track: Track) -> np.ndarray:
        made = np.full_like(track.sounds, QUIET)
        for time in np.flatnonzero(track.points):
            made[time : time + 6] = example[: len(made) - time]
        return made

    return make


def nearest(learned: Sequence[Track]) -> Callable[[Track], np.ndarray]:
    """The rule "what was heard at the most similar frame", by brightness and its change in 8 x 8 blocks."""
    from sklearn.neighbors import NearestNeighbors

    heard = np.concatenate([track.sounds for track in learned])
    index = NearestNeighbors(n_neighbors=1, algorithm="brute")
    index.fit(np.concatenate([_blocks(track) for track in learned]))

    def make(track: Track) -> np.ndarray:
        return heard[index.kneighbors(_blocks(track), return_distance=False)[:, 0]]

    return make


def _blocks(track: Track) -> np.ndarray:
    """float32 (time, 2 * blocks)."""
    small = track.screens[:, :104].reshape(len(track.screens), 13, 8, 10, 8).mean(axis=(2, 4), dtype=np.float32)
    flat = small.reshape(len(small), -1)
    return np.concatenate([flat[1:], 4 * np.diff(flat, axis=0)], axis=-1)
