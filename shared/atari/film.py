"""Play a game with a Q-network, then film it: the colour screen with score, time and Q-values beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shared.atari.games import STEPS_PER_SECOND, Games, Policy, action_names, play, replay_screens
from shared.atari.scores import CAP
from shared.console import at_terminal, say
from shared.drawing.bars import bar_panel
from shared.drawing.film import Film

FILM_SECONDS = 60  # at most: a longer game is filmed every k-th step
PANEL_WIDTH, SCALE = 200, 2  # pixels; screen pixels a screen point


@dataclass
class Game:
    """One game as it was played: enough to play it again."""

    name: str
    seed: int
    sticky: float
    score: float = 0.0
    finished: bool = False  # False: cut off
    actions: list[int] = field(default_factory=list)  # one an agent step
    values: list[np.ndarray] = field(default_factory=list)  # Q-values, float32 (actions,), before each action


def tell_terminal(game: Game) -> None:
    """Say how far it is where a person watches stderr."""
    if at_terminal():
        say(f"\rPlaying ... step {len(game.actions):,}, score {game.score:.0f} ", end="")


def play_game(
    policy: Policy,
    name: str,
    *,
    seed: int,
    epsilon: float,
    sticky: float,
    cap: int | None = None,
    tell: Callable[[Game], None] = tell_terminal,
) -> Game:
    """Play one game of at most `cap` agent steps (5 minutes) without pictures; `tell` it every 100 of them."""
    games, record = Games(name, 1, seed=seed, sticky=sticky, threads=1), Game(name, seed, sticky)
    for turn in play(policy, games, epsilon=epsilon, cap=cap or CAP, seed=seed):
        record.score, record.finished = float(turn.scores[0]), not turn.playing[0]
        record.actions.append(int(turn.actions[0]))
        record.values.append(turn.values[0])
        if len(record.actions) % 100 == 0:
            tell(record)
    games.close()
    if at_terminal():
        say("\r" + " " * 50, end="\r")
    return record


def film_game(game: Game, path: Path, on_frame: Callable[[np.ndarray, float], None] | None = None) -> int:
    """Play the same actions again in colour and film every k-th step, because FILM_SECONDS are enough; return k.

    `on_frame` is called with each frame, uint8 (height, width, 3), and the seconds that it lasts.
    """
    every = -(-len(game.actions) // (FILM_SECONDS * STEPS_PER_SECOND))
    names, limits = action_names(game.name), (float(np.min(game.values)), float(np.max(game.values)))
    screens = replay_screens(game.name, game.actions, seed=game.seed, sticky=game.sticky)
    score = 0.0
    with Film(path, fps=STEPS_PER_SECOND) as film:
        for step, (screen, points) in enumerate(screens):
            if step % every == 0:
                picture = screen.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
                heading = (("SCORE", f"{score:.0f}"), ("TIME", f"{step / STEPS_PER_SECOND:.0f} s"))
                size = (PANEL_WIDTH, len(picture))
                bars = bar_panel(size, heading, names, game.values[step], limits, game.actions[step], "Q-values")
                frame = np.hstack([picture, bars])
                film.add(frame)
                if on_frame is not None:
                    on_frame(frame, 1 / STEPS_PER_SECOND)
            score += points
    return every
