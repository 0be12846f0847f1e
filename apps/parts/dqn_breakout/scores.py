"""How Atari agents are scored: the protocols, and the published scores that a result stands beside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.atari.games import FIVE_MINUTES, Games, Policy, play_first_games


@dataclass(frozen=True)
class Published:
    """Published scores of one game (Mnih et al. 2015; Dopamine's tables)."""

    random: float
    """Of random play."""
    human: float
    """Of a human tester."""
    dqn: float
    """Of DQN after 50 M agent steps, by the Nature protocol."""


PUBLISHED = {"breakout": Published(1.7, 30.5, 401.2), "space_invaders": Published(148.0, 1668.7, 1976.0)}


@dataclass(frozen=True)
class Protocol:
    """How games are played to be scored."""

    name: str
    epsilon: float
    """Probability of a random action at each step."""
    sticky: float
    """Probability that the emulator repeats the previous action instead."""
    max_steps: int
    """Agent steps after which a game is truncated."""


NATURE = Protocol("Nature (epsilon 0.05, 5 minutes)", epsilon=0.05, sticky=0.0, max_steps=FIVE_MINUTES)
"""Of Mnih et al. 2015."""
STICKY = Protocol("Sticky (repeat 0.25, epsilon 0.01)", epsilon=0.01, sticky=0.25, max_steps=27_000)
"""Of Machado et al. 2018."""


def protocol_scores(policy: Policy, game: str, protocol: Protocol, count: int, seed: int) -> np.ndarray:
    """Scores, float (count,), of the first game of each of `count` environments."""
    games = Games(game, count, seed=seed, sticky=protocol.sticky)
    turns = play_first_games(policy, games, epsilon=protocol.epsilon, max_steps=protocol.max_steps, seed=seed)
    for turn in turns:
        scores = turn.scores
    games.close()
    return scores


def human_normalised(game: str, score: float) -> str:
    """As a percentage: 0 % is random play, 100 % a human tester; empty if no scores of the game are known here."""
    if game not in PUBLISHED:
        return ""
    published = PUBLISHED[game]
    return f"{(score - published.random) / (published.human - published.random):.0%}"
