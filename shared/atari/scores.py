"""How Atari agents are scored: the protocols, and the published scores that a result stands beside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.atari.games import Games, Policy, play

CAP = 4_500  # agent steps: 5 minutes of play, as Mnih et al. evaluate

RANDOM_HUMAN_DQN = {  # random play, a human tester, DQN after 50 M agent steps (Mnih et al. 2015; Dopamine's tables)
    "breakout": (1.7, 30.5, 401.2),
    "space_invaders": (148.0, 1668.7, 1976.0),
}


@dataclass(frozen=True)
class Protocol:
    """How games are played to be scored."""

    name: str
    epsilon: float  # probability of a random action
    sticky: float  # probability that the emulator repeats the previous action
    cap: int  # agent steps a game


NATURE = Protocol("Nature (epsilon 0.05, 5 minutes)", 0.05, 0.0, CAP)  # Mnih et al. 2015
STICKY = Protocol("Sticky (repeat 0.25, epsilon 0.01)", 0.01, 0.25, 27_000)  # Machado et al. 2018


def protocol_scores(policy: Policy, game: str, protocol: Protocol, count: int, seed: int) -> np.ndarray:
    """Scores, float (count,), of the first game of each of `count` environments."""
    games = Games(game, count, seed=seed, sticky=protocol.sticky)
    for turn in play(policy, games, epsilon=protocol.epsilon, cap=protocol.cap, seed=seed):
        scores = turn.scores
    games.close()
    return scores


def human_normalised(game: str, score: float) -> str:
    """0 % is random play, 100 % a human tester; empty where neither is known here."""
    if game not in RANDOM_HUMAN_DQN:
        return ""
    random, human, _ = RANDOM_HUMAN_DQN[game]
    return f"{(score - random) / (human - random):.0%}"


def training_story(game: str, folder: Path) -> str:
    """What the training's own record, metrics.jsonl, says of its length and of when it passed the human score."""
    record = folder / "metrics.jsonl"
    if not record.is_file():
        return f"No record of the training beside the model: {record} is missing."
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    story = f"Trained for {lines[-1]['step']:,} agent steps in {lines[-1]['time_s'] / 60:.0f} minutes."
    _, human, _ = RANDOM_HUMAN_DQN.get(game, (None, float("nan"), None))
    for metric, meaning in (("training_score", "the last 100 training games"), ("score", "an evaluation")):
        line = next((line for line in lines if (line.get(metric) or 0) >= human), None)
        if line:
            story += f"\nThe mean of {meaning} passed the human {human} after {line['time_s'] / 60:.1f} minutes,"
            story += f" {line['step']:,} steps."
    return story
