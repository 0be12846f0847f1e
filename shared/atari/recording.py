"""A game as it was played: recorded without pictures, and exactly enough to be played again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from shared.atari.games import FIVE_MINUTES, Games, Policy, make_environment, play_first_games
from shared.console import at_terminal, say


@dataclass
class RecordedGame:
    """One game, from its first agent step to the end or to where it was truncated."""

    name: str
    """ROM name, such as "breakout"."""
    seed: int
    """Of the emulator."""
    sticky: float
    """Probability that the emulator repeated the previous action instead."""
    score: float = 0.0
    finished: bool = False
    """False: the game was truncated."""
    actions: list[int] = field(default_factory=list)
    """One for each agent step."""
    values: list[np.ndarray] = field(default_factory=list)
    """Q-values, float32 (actions,), before each action."""

    def screens(self) -> Iterator[tuple[np.ndarray, float]]:
        """Repeat the game in colour: the same actions give the same game.

        Yields:
            For every agent step, the screen before it, uint8 (210, 160, 3), and the points that it brings.
        """
        environment = make_environment(self.name, 1, sticky=self.sticky, threads=1, colour=True)
        try:
            screens, _ = environment.reset(seed=self.seed)
            for action in self.actions:
                shown = screens[0, 0]
                screens, rewards, *_ = environment.step(np.array([action], np.int32))
                yield shown, float(rewards[0])
        finally:
            environment.close()


def report_at_terminal(game: RecordedGame) -> None:
    """Print the progress of a game, but only if stderr is a terminal."""
    if at_terminal():
        say(f"\rPlaying ... step {len(game.actions):,}, score {game.score:.0f} ", end="")


def record_game(
    policy: Policy,
    name: str,
    *,
    seed: int,
    epsilon: float,
    sticky: float,
    max_steps: int = FIVE_MINUTES,
    report: Callable[[RecordedGame], None] = report_at_terminal,
) -> RecordedGame:
    """Play one game of at most `max_steps` agent steps; `report` is called with the record every 100 steps."""
    games = Games(name, 1, seed=seed, sticky=sticky, threads=1)
    record = RecordedGame(name, seed, sticky)
    for turn in play_first_games(policy, games, epsilon=epsilon, max_steps=max_steps, seed=seed):
        record.score = float(turn.scores[0])
        record.finished = not turn.playing[0]
        record.actions.append(int(turn.actions[0]))
        record.values.append(turn.values[0])
        if len(record.actions) % 100 == 0:
            report(record)
    games.close()
    if at_terminal():
        say("\r" + " " * 50, end="\r")
    return record
