"""Games to learn from: half-size screens, sounds, and who plays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from apps.parts.silent_film.emulator import SAMPLES, play_with_sound
from shared.atari.games import Policy

HEIGHT, WIDTH = 105, 80  # half of the screen
SKIP = 3600  # frames at most: where in a game the film begins


@dataclass
class Track:
    """A stretch of one game."""

    screens: np.ndarray
    """uint8 (time + 1, 105, 80): one before the first, and one for each frame."""
    sounds: np.ndarray
    """uint8 (time, 512)."""
    points: np.ndarray
    """float32 (time,)."""


def halved(screens: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels: uint8 (n, 210, 160) -> uint8 (n, 105, 80)."""
    rows = screens[:, ::2].astype(np.uint16) + screens[:, 1::2]
    return ((rows[..., ::2] + rows[..., 1::2]) >> 2).astype(np.uint8)


def tracks(
    policy: Policy | None, game: str, seeds: Sequence[int], frames: int, epsilon: float, skip: int = 0
) -> list[Track]:
    """Stretches of some games that are played side by side, each of so many frames; random play without a policy."""
    count = len(seeds)
    screens = np.zeros((count, frames + 1, HEIGHT, WIDTH), np.uint8)
    sounds = np.zeros((count, frames, SAMPLES), np.uint8)
    points = np.zeros((count, frames), np.float32)
    played = play_with_sound(policy, game, seeds, epsilon=epsilon, skip=skip)
    for n, frame in enumerate(islice(played, frames + 1)):
        screens[:, n] = halved(frame.grey)
        if n:
            sounds[:, n - 1], points[:, n - 1] = frame.sounds, frame.points
    return [Track(*parts) for parts in zip(screens, sounds, points, strict=True)]


def lines(track: Track, kinds: np.ndarray, length: int, ahead: int, rng: np.random.Generator) -> Iterator[tuple]:
    """A track in lines of `length` frames: screens (length + 1, 105, 80), kinds (length,), -1 where it is unknown.

    What is asked for at a frame is the sound of the one `ahead` frames before. A quarter of the lines is shown at half
    or a quarter of the frames a second, as films are.
    """
    for begin in range(0, len(kinds) - length + 1, length):
        shown = track.screens[begin : begin + length + 1]
        if rng.random() < 0.25:
            hold = int(rng.choice([2, 4]))
            shown = shown[np.arange(length + 1) // hold * hold]
        heard = np.concatenate([np.full(ahead, -1, np.int32), kinds[begin : begin + length - ahead]])
        yield shown, heard
