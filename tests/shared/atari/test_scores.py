"""Scores: the first game of each environment, by the published protocols."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from shared.atari import scores
from shared.atari.scores import NATURE, STICKY, human_normalised, protocol_scores, training_story


def random_play(observations: np.ndarray) -> np.ndarray:
    return np.zeros((len(observations), 4), "float32")


def test_the_protocols_are_the_published_ones():
    assert (NATURE.epsilon, NATURE.sticky, NATURE.cap) == (0.05, 0.0, 4_500)
    assert (STICKY.epsilon, STICKY.sticky, STICKY.cap) == (0.01, 0.25, 27_000)


def test_random_play_scores_what_random_play_scores():
    protocol = replace(STICKY, epsilon=1.0)
    scores = protocol_scores(random_play, "breakout", protocol, 8, seed=1)
    assert scores.shape == (8,)
    assert 0.2 < scores.mean() < 4, "1.7 in the literature"


def test_the_same_seed_gives_the_same_scores():
    protocol = replace(NATURE, epsilon=1.0, cap=200)
    one, same, other = (protocol_scores(random_play, "breakout", protocol, 4, seed) for seed in (1, 1, 2))
    assert one.tolist() == same.tolist()
    assert one[1:].tolist() != other[1:].tolist(), "exploration is seeded too"


def test_a_protocol_cuts_a_game_off():
    with_cap = replace(NATURE, cap=3)
    assert protocol_scores(random_play, "breakout", with_cap, 2, seed=1).tolist() == [0.0, 0.0]


def test_the_emulator_is_closed_when_the_games_are_over(monkeypatch):
    closed = []
    monkeypatch.setattr(scores.Games, "close", lambda games: closed.append(games))
    protocol_scores(random_play, "breakout", replace(NATURE, cap=1), 1, seed=1)
    assert len(closed) == 1


def test_human_normalised():
    assert human_normalised("breakout", 1.7) == "0%"
    assert human_normalised("breakout", 30.5) == "100%"
    assert human_normalised("space_invaders", 1976.0) == "120%"
    assert human_normalised("pong", 21.0) == ""


def test_the_story_of_a_training(tmp_path):
    assert "metrics.jsonl is missing" in training_story("breakout", tmp_path)
    lines = [
        {"step": 1_000 * i, "time_s": 60.0 * i, "training_score": None if i < 2 else 10.0 * i} for i in range(1, 6)
    ]
    lines[3]["score"] = 31.0
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    story = training_story("breakout", tmp_path).splitlines()
    assert story[0] == "Trained for 5,000 agent steps in 5 minutes."
    assert story[1] == "The mean of the last 100 training games passed the human 30.5 after 4.0 minutes, 4,000 steps."
    assert story[2] == "The mean of an evaluation passed the human 30.5 after 4.0 minutes, 4,000 steps."
    assert len(training_story("pong", tmp_path).splitlines()) == 1, "no human score is known here"
