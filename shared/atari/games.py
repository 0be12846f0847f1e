"""Atari games on ale_py's C++ vector environment, with the life-loss and reset rules that a learner needs.

Units: one *agent step* is one action, held for 4 emulator *frames* (60 a second), so 15 agent steps are one
second of play. Preprocessing is the standard one (Mnih et al. 2015): grey 84x84, the last 4 observations stacked, each
the pixelwise maximum of its last 2 frames, up to 30 no-ops at the start. The emulator and its ROMs come inside the
ale-py wheel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.errors import UserError, suggest

if TYPE_CHECKING:
    from ale_py.vector_env import AtariVectorEnv

FRAME_SKIP = 4  # emulator frames an agent step
STEPS_PER_SECOND = 60 // FRAME_SKIP
FIVE_MINUTES = 5 * 60 * STEPS_PER_SECOND  # agent steps: as long as Mnih et al. let a game last
OBSERVATION = (84, 84, 4)  # height, width, the last four observations, oldest first
SCREEN = (210, 160, 3)

Policy = Callable[[np.ndarray], np.ndarray]
"""Observations uint8 (games, 84, 84, 4) -> Q-values float32 (games, actions)."""


@dataclass
class Step:
    """The result of one agent step of all games; every field has one entry for each game."""

    observations: np.ndarray
    """uint8 (games, 84, 84, 4): what the agent sees next; overwritten two steps later."""
    rewards: np.ndarray
    """float32 (games,): points of the game, not clipped."""
    terminal: np.ndarray
    """bool (games,): a life was lost or the game is over; there is no value to bootstrap from."""
    ended: np.ndarray
    """bool (games,): the game is over or truncated; its next action is ignored."""


class Games:
    """`count` games of one ROM, stepped together.

    Three traps of AtariVectorEnv are handled here. Its `episodic_life` would start a new game after each lost life and
    press FIRE by itself, so that the agent would never learn to serve: here a lost life is only reported, as
    `terminal`, and the game goes on. Its autoreset takes one step, in which the action is ignored: `ignored` marks the
    games for which that holds *now*. Its stack comes first, (4, 84, 84), and transposing it costs a sixth of the
    training time: the stack is made here, where the four bytes of a pixel, oldest first, are one integer.
    """

    def __init__(
        self, game: str, count: int, *, seed: int, sticky: float = 0.0, sticky_games: float = 1.0, threads: int = 0
    ) -> None:
        """Start the games: game `i` is seeded with `seed + i`.

        Args:
            game: ROM name, such as "breakout".
            count: number of games played in parallel.
            seed: at least 0; the same seed and actions give the same games.
            sticky: probability that the emulator repeats the previous action instead (Machado et al. 2018).
            sticky_games: share of the games to which `sticky` applies, the last ones; in the others it is 0.
            threads: emulator threads; 0 means one for each core.

        Raises:
            UserError: the game is unknown.
        """
        first_sticky = count - round(sticky_games * count)
        groups = ((slice(0, first_sticky), 0.0), (slice(first_sticky, count), sticky))
        self._environments = [
            (games, make_environment(game, games.stop - games.start, sticky=probability, threads=threads))
            for games, probability in groups
            if games.stop > games.start
        ]
        self.count = count
        self.actions = len(self._environments[0][1].ale.get_action_set())
        self.ignored = np.zeros(count, bool)
        self._stacks, self._before = np.zeros((2, count, *OBSERVATION[:2]), "<u4")  # black before a game's first screen
        resets = [environment.reset(seed=seed + games.start) for games, environment in self._environments]
        screens, infos = zip(*resets, strict=True)
        self._push(screens)
        self._lives = _lives(infos)
        self._scores = np.zeros(count)
        self._ended_scores: deque[float] = deque(maxlen=100)  # points of the last games that ended

    @property
    def mean_score(self) -> float:
        """Mean points of the last 100 games that ended; NaN before the first."""
        return float(np.mean(self._ended_scores)) if self._ended_scores else float("nan")

    def step(self, actions: np.ndarray) -> Step:
        """Take one agent step in every game.

        Args:
            actions: integers (games,), each below `self.actions`.
        """
        actions = actions.astype(np.int32)
        for games, environment in self._environments:
            environment.send(actions[games])  # all emulators compute before the first one is waited for
        results = [environment.recv() for _, environment in self._environments]
        screens, *outcomes, infos = zip(*results, strict=True)
        rewards, terminated, truncated = map(np.concatenate, outcomes)
        lives = _lives(infos)
        lost_life = (lives < self._lives) & ~self.ignored
        self._lives = lives
        self._push(screens)
        self.ignored = terminated | truncated
        self._scores += rewards
        self._ended_scores.extend(self._scores[self.ignored])
        self._scores[self.ignored] = 0
        return Step(self.observations, rewards.astype(np.float32), lost_life | terminated, self.ignored)

    def _push(self, screens: Sequence[np.ndarray]) -> None:
        """Add each environment's newest screens, (games, 1, 84, 84), to the stacks.

        The memory has been used before: fresh pages would cost a fifth of the time.
        """
        self._stacks, self._before = self._before, self._stacks
        np.right_shift(self._before, 8, out=self._stacks)
        self._stacks[self.ignored] = 0
        self.observations = self._stacks.view(np.uint8).reshape(self.count, *OBSERVATION)
        np.concatenate([newest[:, 0] for newest in screens], out=self.observations[..., -1])

    def close(self) -> None:
        """End the emulators' threads."""
        for _, environment in self._environments:
            environment.close()


def _lives(infos: Sequence[dict[str, np.ndarray]]) -> np.ndarray:
    return np.concatenate([info["lives"] for info in infos])


@dataclass
class Turn:
    """One agent step of `play_first_games`; every field has one entry for each game."""

    actions: np.ndarray
    """int (games,)."""
    values: np.ndarray
    """float32 (games, actions): the Q-values that the actions were chosen by."""
    scores: np.ndarray
    """float64 (games,): points so far; a game that is over keeps its score."""
    playing: np.ndarray
    """bool (games,): not over yet."""


def play_first_games(policy: Policy, games: Games, *, epsilon: float, max_steps: int, seed: int) -> Iterator[Turn]:
    """Play the first game of each environment, epsilon-greedily, for at most `max_steps` agent steps.

    The first game of each, not the first games to end: those would be the short ones, and their mean too low. The last
    turn has the scores.
    """
    rng = np.random.default_rng(seed)
    scores = np.zeros(games.count)
    playing = np.ones(games.count, bool)
    for _ in range(max_steps):
        values = policy(games.observations)
        actions = epsilon_greedy(values, epsilon, rng)
        step = games.step(actions)
        scores = scores + step.rewards * playing
        playing = playing & ~step.ended
        yield Turn(actions, values, scores, playing)
        if not playing.any():
            return


def epsilon_greedy(values: np.ndarray, epsilon: float, rng: np.random.Generator) -> np.ndarray:
    """Choose the best action of each game, or with probability `epsilon` a random one: (games, actions) -> (games,)."""
    games, actions = values.shape
    explore = rng.random(games) < epsilon
    return np.where(explore, rng.integers(0, actions, games), values.argmax(axis=-1))


def make_environment(game: str, count: int, *, sticky: float, threads: int, colour: bool = False) -> AtariVectorEnv:
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
    """The joystick's name of each action of the game, such as ["NOOP", "FIRE", "RIGHT", "LEFT"]."""
    environment = make_environment(game, 1, sticky=0.0, threads=1)
    try:
        return [action.name for action in environment.ale.get_action_set()]
    finally:
        environment.close()
