"""An agent's scores, during and after the training, and what is printed about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from apps.parts.dqn_breakout.scores import NATURE, PUBLISHED, STICKY, human_normalised, protocol_scores
from shared.atari.games import Policy
from shared.atari.recording import RecordedGame
from shared.console import say
from shared.training.run_log import records_in


def validation_score(policy: Policy, game: str, seed: int, sticky_too: bool) -> float:
    """Mean score of 32 games by the Nature protocol, or the mean over both protocols."""
    protocols = (NATURE, STICKY) if sticky_too else (NATURE,)
    means = [protocol_scores(policy, game, protocol, 32, seed).mean() for protocol in protocols]
    if sticky_too:
        say(f"Mean scores: {means[0]:.1f} by the Nature protocol, {means[1]:.1f} with sticky actions.")
    return float(np.mean(means))


def print_scores(policy: Policy, game: str, count: int, seed: int) -> None:
    """Print a table of the scores by both protocols, of `count` games each."""
    print(f"{game}, {count} games a protocol, the first game of each environment")
    print(f"{'':38}{'mean':>8}{'std':>8}{'median':>8}{'max':>8}{'human':>9}")
    for protocol in (NATURE, STICKY):
        scores = protocol_scores(policy, game, protocol, count, seed)
        row = f"{scores.mean():8.1f}{scores.std():8.1f}{np.median(scores):8.1f}{scores.max():8.0f}"
        print(f"{protocol.name:38}{row}{human_normalised(game, scores.mean()):>9}")


def print_game(game: RecordedGame) -> None:
    """Print the score and the length of a game."""
    ended = "" if game.finished else " (cut off after 5 minutes of play)"
    print(f"{game.name}, seed {game.seed}: {game.score:.0f} points in {len(game.actions):,} steps{ended}")


def print_published(game: str) -> None:
    """Print the published scores of a game, if there are any."""
    if game in PUBLISHED:
        scores = PUBLISHED[game]
        print(f"For comparison: random play {scores.random}, a human {scores.human}, DQN-Nature {scores.dqn}.")


def training_summary(game: str, model: Path) -> str:
    """How long a model's training took, and when it passed the human score, by the metrics.jsonl in its folder."""
    record = (model.parent if model.is_file() else model) / "metrics.jsonl"
    if not record.is_file():
        return f"There is no record of the training beside the model: {record} is missing."
    lines = list(records_in(record))
    if not lines:
        return f"{record} has no line that tells of the training."
    summary = f"Trained for {lines[-1]['step']:,} agent steps in {lines[-1]['time_s'] / 60:.0f} minutes."
    if game not in PUBLISHED:
        return summary
    human = PUBLISHED[game].human
    for metric, meaning in (("training_score", "the last 100 training games"), ("score", "an evaluation")):
        passed = next((line for line in lines if (line.get(metric) or 0) >= human), None)
        if passed:
            summary += f"\nThe mean of {meaning} passed the human {human} after {passed['time_s'] / 60:.1f} minutes,"
            summary += f" {passed['step']:,} steps."
    return summary
