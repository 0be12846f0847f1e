"""Atari games on ale_py's C++ vector environment, with the life-loss and reset rules a learner needs.

Units: one *agent step* is one action, held for 4 emulator *frames* (60 a second), so 15 agent steps are one
second of play. Preprocessing is the standard one (Mnih et al. 2015): grey 84x84, the last 4 observations stacked, each
the pixelwise maximum of its last 2 frames, up to 30 no-ops at the start. The emulator and its ROMs come inside the
ale-py wheel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.errors import UserError, suggest

if TYPE_CHECKING:
    from ale_py.vector_env import AtariVectorEnv

FRAME_SKIP = 4  # emulator frames an agent step
STEPS_PER_SECOND = 60 // FRAME_SKIP
OBSERVATION = (84, 84, 4)  # height, width, the last four observations, oldest first
SCREEN = (210, 160, 3)

Policy = Callable[[np.ndarray], np.ndarray]
"""Observations uint8 (games, 84, 84, 4) -> Q-values float32 (games, actions)."""


@dataclass
class Step:
    """What one agent step of all games gave; every field has one entry a game."""

    observations: np.ndarray  # uint8 (games, 84, 84, 4): what the agent sees next; overwritten two steps later
    rewards: np.ndarray  # float32 (games,): points of the game, not clipped
    terminal: np.ndarray  # bool (games,): a life was lost or the game is over; no value lies beyond
    ended: np.ndarray  # bool (games,): the game is over or cut short; its next action is ignored


class Games:
    """`count` games of one ROM, stepped together.

    Three traps of AtariVectorEnv are handled here. Its `episodic_life` would start a new game at each life lost and
    press FIRE by itself, so that the agent never learns to serve: a lost life is only reported, as `terminal`, and
    play goes on. Its autoreset spends one step in which the action is ignored: `ignored` marks the games for which
    that holds *now*. Its stack comes first, (4, 84, 84), and turning it costs a sixth of the training time: the stack
    is kept here, a pixel's four bytes, oldest first, as one integer.
    """

    def __init__(self, game: str, count: int, *, seed: int, sticky: float = 0.0, threads: int = 0) -> None:
        """Start the games: game `i` is seeded with `seed + i`.

        Args:
            game: ROM name, such as "breakout".
            count: number of games played side by side.
            seed: at least 0; the same seed and actions give the same games.
            sticky: probability that the emulator repeats the previous action instead (Machado et al. 2018).
            threads: emulator threads; 0 takes one a core.

        Raises:
            UserError: the game is unknown.
        """
        self._environment = make(game, count, sticky=sticky, threads=threads)
        self.ignored = np.zeros(count, bool)
        self.count = count
        self.actions = len(self._environment.ale.get_action_set())
        observations, info = self._environment.reset(seed=seed)
        self._stacks, self._before = np.zeros((2, count, *OBSERVATION[:2]), "<u4")  # black before a game's first screen
        self._push(observations)
        self._ended_scores: deque[float] = deque(maxlen=100)  # points of the last games that ended
        self._scores = np.zeros(count)
        self._lives = info["lives"]

    @property
    def mean_score(self) -> float:
        """Mean points of the last 100 games that ended; NaN before the first."""
        return float(np.mean(self._ended_scores)) if self._ended_scores else float("nan")

    def step(self, actions: np.ndarray) -> Step:
        """Take one agent step in every game.

        Args:
            actions: integers (games,), each below `self.actions`.
        """
        observations, rewards, over, cut, info = self._environment.step(actions.astype(np.int32))
        lost_life = (info["lives"] < self._lives) & ~self.ignored
        self._lives = info["lives"]
        self._push(observations)
        self.ignored = over | cut
        self._scores += rewards
        self._ended_scores.extend(self._scores[self.ignored])
        self._scores[self.ignored] = 0
        return Step(self.observations, rewards.astype(np.float32), lost_life | over, self.ignored)

    def _push(self, newest: np.ndarray) -> None:
        """Add (games, 1, 84, 84) to the stacks, in memory used before: fresh pages would cost a fifth of the time."""
        self._stacks, self._before = self._before, self._stacks
        np.right_shift(self._before, 8, out=self._stacks)
        self._stacks[self.ignored] = 0
        self.observations = self._stacks.view(np.uint8).reshape(self.count, *OBSERVATION)
        self.observations[..., -1] = newest[:, 0]

    def close(self) -> None:
        """End the emulator's threads."""
        self._environment.close()


@dataclass
class Turn:
    """One agent step of every game as `play` goes on; every field has one entry a game."""

    actions: np.ndarray  # int (games,)
    values: np.ndarray  # float32 (games, actions): Q-values the actions were chosen by
    scores: np.ndarray  # float64 (games,): points so far; a game that is over keeps its score
    playing: np.ndarray  # bool (games,): not over yet


def play(policy: Policy, games: Games, *, epsilon: float, cap: int, seed: int) -> Iterator[Turn]:
    """Play the first game of each environment, epsilon-greedily, up to `cap` agent steps; the last turn has the scores.

    The first game of each, not the first games to end: those would be the short ones, and the mean too low.
    """
    rng = np.random.default_rng(seed)
    scores, playing = np.zeros(games.count), np.ones(games.count, bool)
    for _ in range(cap):
        values = policy(games.observations)
        actions = epsilon_greedy(values, epsilon, rng)
        step = games.step(actions)
        scores = scores + step.rewards * playing
        playing = playing & ~step.ended
        yield Turn(actions, values, scores, playing)
        if not playing.any():
            return


def epsilon_greedy(values: np.ndarray, epsilon: float, rng: np.random.Generator) -> np.ndarray:
    """Pick the best action of each game, or with probability `epsilon` any: (games, actions) -> int (games,)."""
    games, actions = values.shape
    explore = rng.random(games) < epsilon
    return np.where(explore, rng.integers(0, actions, games), values.argmax(axis=-1))


def replay_screens(
    game: str, actions: list[int], *, seed: int, sticky: float = 0.0
) -> Iterator[tuple[np.ndarray, float]]:
    """Play the same actions again in colour: the learner's environment cannot render, but the emulator repeats itself.

    Yields:
        For every agent step, the screen before it, uint8 (210, 160, 3), and the points it brings.
    """
    environment = make(game, 1, sticky=sticky, threads=1, colour=True)
    try:
        screens, _ = environment.reset(seed=seed)
        for action in actions:
            shown = screens[0, 0]
            screens, rewards, *_ = environment.step(np.array([action], np.int32))
            yield shown, float(rewards[0])
    finally:
        environment.close()


def make(game: str, count: int, *, sticky: float, threads: int, colour: bool = False) -> AtariVectorEnv:
    """The vector environment itself: rewards not clipped, lives in the info, games up to 27,000 agent steps."""
    check_game(game)
    from ale_py.vector_env import AtariVectorEnv

    picture: dict[str, Any] = {"grayscale": False, "img_height": 210, "img_width": 160} if colour else {}
    plain: dict[str, Any] = {"stack_num": 1, "reward_clipping": False}
    return AtariVectorEnv(game, count, num_threads=threads, repeat_action_probability=sticky, **plain, **picture)


def check_game(game: str) -> None:
    """Raise a UserError with suggestions unless ale-py has a ROM of this name."""
    from ale_py import roms

    known = roms.get_all_rom_ids()
    if game not in known:
        raise UserError(f"There is no Atari game called {game!r}.{suggest(game, known)} The names are in snake_case.")


def action_names(game: str) -> list[str]:
    """The joystick's word for each action of the game, such as ["NOOP", "FIRE", "RIGHT", "LEFT"]."""
    environment = make(game, 1, sticky=0.0, threads=1)
    try:
        return [action.name for action in environment.ale.get_action_set()]
    finally:
        environment.close()
