"""A replay buffer (Mnih et al. 2015) that stores single frames: a quarter of the memory that stacks would take."""

from __future__ import annotations

import numpy as np

from shared.atari.games import OBSERVATION

HEIGHT, WIDTH, STACK = OBSERVATION


class ReplayBuffer:
    """The last `capacity` transitions of `count` games played in parallel, in a ring buffer for each game.

    One transition takes 84 * 84 = 7,056 bytes of frames and 7 bytes more: 1 M transitions in 7.1 GB. Memory is taken as
    the buffer fills. Stacks are rebuilt on sampling, with black before a game's first frame, as the emulator gives
    them.
    """

    def __init__(self, capacity: int, count: int) -> None:
        """Make an empty buffer for `capacity` transitions, `capacity // count` of each game."""
        self.length = capacity // count
        self._frames = np.zeros((self.length, count, HEIGHT, WIDTH), np.uint8)
        self._actions = np.zeros((self.length, count), np.uint8)
        self._rewards = np.zeros((self.length, count), np.float32)
        self._terminal = np.zeros((self.length, count), bool)
        self._ended = np.zeros((self.length, count), bool)
        self._count = count
        self._added = 0  # agent steps of each game, ever

    def __len__(self) -> int:
        """Transitions held."""
        return min(self._added, self.length) * self._count

    def add(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        terminal: np.ndarray,
        ended: np.ndarray,
    ) -> None:
        """Store one agent step of every game.

        Args:
            observations: uint8 (games, 84, 84, 4), before the actions; only the newest frame is stored.
            actions: integers (games,).
            rewards: (games,), as they are learned from.
            terminal: bool (games,): there is no value to bootstrap from.
            ended: bool (games,): the next transition is the emulator's reset, never learned from.
        """
        at = self._added % self.length
        self._frames[at] = observations[..., -1]
        self._actions[at] = actions
        self._rewards[at] = rewards
        self._terminal[at] = terminal
        self._ended[at] = ended
        self._added += 1

    def sample(self, batch: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Draw transitions uniformly.

        Returns:
            states uint8 (batch, 84, 84, 4), actions int32 (batch,), rewards float32 (batch,), next states like states,
            terminal float32 (batch,), and weights float32 (batch,): 0 for the emulator's reset steps, 1 for all others.
        """
        # The oldest frames are only the past of later states; the newest transition has no next state yet.
        oldest = max(self._added - self.length, 0) + (STACK if self._added > self.length else 0)
        times = rng.integers(oldest, self._added - 1, batch)
        games = rng.integers(0, self._count, batch)
        at = times % self.length
        reset = self._resets(times, games)
        frames = self._window(times, games)
        states = _stacked(frames[:, :STACK])
        frames[reset, 1:STACK] = 0  # another game begins
        return (
            states,
            self._actions[at, games].astype(np.int32),
            self._rewards[at, games],
            _stacked(frames[:, 1:]),
            self._terminal[at, games].astype(np.float32),
            (~reset).astype(np.float32),
        )

    def _window(self, times: np.ndarray, games: np.ndarray) -> np.ndarray:
        """A state's frames, oldest first, black where its game had not begun, and the next one: (batch, 5, 84, 84)."""
        times = times[:, None] + np.arange(1 - STACK, 2)  # (batch, 5)
        games = games[:, None]
        frames = self._frames[times % self.length, games]
        # The emulator ignores the action in the last state of a game, and starts a new one.
        same_game = (times >= 0) & ~self._resets(times, games)
        same_game = np.logical_and.accumulate(same_game[:, STACK - 2 :: -1], axis=1)[:, ::-1]  # from the newest back
        frames[:, : STACK - 1][~same_game] = 0
        return frames

    def _resets(self, times: np.ndarray, games: np.ndarray) -> np.ndarray:
        """Whether the action at this time was ignored by the emulator, which started a new game."""
        return (times > 0) & self._ended[(times - 1) % self.length, games]


def _stacked(frames: np.ndarray) -> np.ndarray:
    """(batch, 4, 84, 84) to (batch, 84, 84, 4), plane by plane: a transposed copy would take three times as long."""
    stacks = np.empty((len(frames), *OBSERVATION), np.uint8)
    for n in range(STACK):
        stacks[..., n] = frames[:, n]
    return stacks
