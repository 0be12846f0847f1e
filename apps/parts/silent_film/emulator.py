"""Games frame by frame, with their sound: what the vector environment, which is faster, does not give.

Units: a *frame* is a sixtieth of a second, with 512 samples of sound, so 30,720 a second. The agent sees what it
learned to see: the newest two frames of an agent step, averaged by area to 84 x 84 (shared/atari/games.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from shared.atari.games import FRAME_SKIP, OBSERVATION, SCREEN, Policy, check_game, epsilon_greedy

FRAMES_PER_SECOND = 60
SAMPLES = 512  # of sound in a frame
SAMPLE_RATE = SAMPLES * FRAMES_PER_SECOND
QUIET = 128  # the sample of silence
NOOPS = 30  # at most, at a game's beginning: agent steps that make two games differ


@dataclass
class Frames:
    """One frame of some games that are played side by side."""

    grey: np.ndarray
    """uint8 (games, 210, 160): brightness of the screens."""
    colour: np.ndarray | None
    """uint8 (games, 210, 160, 3), if asked for."""
    sounds: np.ndarray
    """uint8 (games, 512)."""
    points: np.ndarray
    """float32 (games,): what this frame brought."""


def play_with_sound(
    policy: Policy | None, game: str, seeds: Sequence[int], *, epsilon: float, skip: int = 0, colour: bool = False
) -> Iterator[Frames]:
    """Play one game for each seed, frame by frame, for ever: a game that is over begins anew.

    Args:
        policy: the agent; None plays at random.
        game: ROM name; UserError if ale-py has no such ROM.
        seeds: of the emulators, and all together of exploration.
        epsilon: probability of a random action at each agent step.
        skip: frames that are played first and not given.
        colour: give screens in colour, too.
    """
    check_game(game)
    emulators = [_Emulator(game, seed) for seed in seeds]
    rng = np.random.default_rng(list(seeds))
    stacks = np.zeros((len(seeds), *OBSERVATION), np.uint8)
    newest = np.zeros((2, len(seeds), *SCREEN[:2]), np.uint8)  # of the last two frames
    frame = 0
    while True:
        values = policy(stacks) if policy else np.zeros((len(seeds), emulators[0].actions), np.float32)
        actions = epsilon_greedy(values, epsilon if policy else 1.0, rng)
        for n in range(FRAME_SKIP):
            points = np.array(
                [emulator.act(int(action)) for emulator, action in zip(emulators, actions, strict=True)], np.float32
            )
            frame += 1
            shown = frame > skip
            if shown or n >= FRAME_SKIP - 2:
                newest[n % 2] = [emulator.grey() for emulator in emulators]
            if shown:
                pictures = np.stack([emulator.colour() for emulator in emulators]) if colour else None
                sounds = np.stack([emulator.sound() for emulator in emulators])
                yield Frames(newest[n % 2].copy(), pictures, sounds, points)
        if policy:
            stacks[..., :-1] = stacks[..., 1:]
            stacks[..., -1] = by_area(newest.max(axis=0), OBSERVATION[:2])
        for n, emulator in enumerate(emulators):
            if emulator.begin_if_over():
                stacks[n] = 0


class _Emulator:
    """One game of ALE, which begins with a random number of steps without action, as AtariVectorEnv's do."""

    def __init__(self, game: str, seed: int) -> None:
        from ale_py import ALEInterface, LoggerMode, roms

        ALEInterface.setLoggerMode(LoggerMode.Error)
        self._ale = ALEInterface()
        for name, value in (("sound_obs", True), ("display_screen", False)):
            self._ale.setBool(name, value)  # sound_obs counts only before the ROM is loaded
        self._ale.setInt("random_seed", seed)
        self._ale.setFloat("repeat_action_probability", 0.0)
        self._ale.loadROM(str(roms.get_rom_path(game)))
        self._rng = np.random.default_rng(seed)
        self._actions = self._ale.getMinimalActionSet()
        self.actions = len(self._actions)
        self._begin()

    def _begin(self) -> None:
        self._ale.reset_game()
        for _ in range(FRAME_SKIP * self._rng.integers(NOOPS + 1)):
            self._ale.act(self._actions[0])

    def begin_if_over(self) -> bool:
        """Begin anew if the game is over, and say whether it was."""
        over = bool(self._ale.game_over())
        if over:
            self._begin()
        return over

    def act(self, action: int) -> float:
        """Play one frame; the points that it brought."""
        return float(self._ale.act(self._actions[action]))

    def grey(self) -> Any:
        return self._ale.getScreenGrayscale()

    def colour(self) -> Any:
        return self._ale.getScreenRGB()

    def sound(self) -> Any:
        return self._ale.getAudio()


def by_area(pictures: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pictures, uint8 (n, H, W), made smaller: each pixel is the mean of the area that it covers; uint8 (n, h, w).

    On the emulator's screens the same as AtariVectorEnv's own, but for the rounding of a pixel here and there.
    """
    rows, columns = _areas(pictures.shape[1], size[0]), _areas(pictures.shape[2], size[1])
    return np.rint(rows @ (pictures.astype(np.float32) @ columns.T)).astype(np.uint8)


@cache
def _areas(before: int, after: int) -> np.ndarray:
    """The share of each of `before` pixels in each of `after` ones, float32 (after, before)."""
    edges = np.arange(after + 1) * before / after
    pixels = np.arange(before)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (overlap.clip(0) * after / before).astype(np.float32)
