"""Scores: the first game of each environment, by the published protocols."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from apps.parts.dqn_breakout import scores
from apps.parts.dqn_breakout.scores import NATURE, STICKY, human_normalised, protocol_scores


def random_play(observations: np.ndarray) -> np.ndarray:
    return np.zeros((len(observations), 4), "float32")


def test_the_protocols_are_the_published_ones():
    assert (NATURE.epsilon, NATURE.sticky, NATURE.max_steps) == (0.05, 0.0, 4_500)
    assert (STICKY.epsilon, STICKY.sticky, STICKY.max_steps) == (0.01, 0.25, 27_000)


def test_random_play_scores_what_random_play_scores():
    protocol = replace(STICKY, epsilon=1.0)
    scores = protocol_scores(random_play, "breakout", protocol, 8, seed=1)
    assert scores.shape == (8,)
    assert 0.2 < scores.mean() < 4, "1.7 in the literature"


def test_the_same_seed_gives_the_same_scores():
    protocol = replace(NATURE, epsilon=1.0, max_steps=200)
    one, same, other = (protocol_scores(random_play, "breakout", protocol, 4, seed) for seed in (1, 1, 2))
    assert one.tolist() == same.tolist()
    assert one[1:].tolist() != other[1:].tolist(), "exploration is seeded too"


def test_a_protocol_truncates_a_game():
    truncated = replace(NATURE, max_steps=3)
    assert protocol_scores(random_play, "breakout", truncated, 2, seed=1).tolist() == [0.0, 0.0]


def test_the_emulator_is_closed_when_the_games_are_over(monkeypatch):
    closed = []
    monkeypatch.setattr(scores.Games, "close", lambda games: closed.append(games))
    protocol_scores(random_play, "breakout", replace(NATURE, max_steps=1), 1, seed=1)
    assert len(closed) == 1


def test_human_normalised():
    assert human_normalised("breakout", 1.7) == "0%"
    assert human_normalised("breakout", 30.5) == "100%"
    assert human_normalised("space_invaders", 1976.0) == "120%"
    assert human_normalised("pong", 21.0) == ""
