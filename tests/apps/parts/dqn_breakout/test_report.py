"""What is said about the training of an agent, and by which protocols it is validated."""

from __future__ import annotations

import json

import numpy as np

from apps.parts.dqn_breakout import report
from apps.parts.dqn_breakout.report import training_summary, validation_score
from apps.parts.dqn_breakout.scores import NATURE, STICKY


def test_a_validation_is_the_mean_of_32_games_by_one_protocol_or_by_both(monkeypatch, capsys):
    asked = []

    def scores(policy, game, protocol, count, seed):
        asked.append((policy, game, protocol, count, seed))
        return np.full(count, {NATURE: 10.0, STICKY: 4.0}[protocol])

    monkeypatch.setattr(report, "protocol_scores", scores)
    assert validation_score("policy", "breakout", 7, sticky_too=False) == 10
    assert asked == [("policy", "breakout", NATURE, 32, 7)]
    assert capsys.readouterr().err == ""
    assert validation_score("policy", "breakout", 7, sticky_too=True) == 7
    assert asked[1:] == [("policy", "breakout", NATURE, 32, 7), ("policy", "breakout", STICKY, 32, 7)]
    assert "10.0 by the Nature protocol, 4.0 with sticky actions" in capsys.readouterr().err


def test_the_summary_of_a_training(tmp_path):
    assert "metrics.jsonl is missing" in training_summary("breakout", tmp_path)
    lines = [
        {"step": 1_000 * i, "time_s": 60.0 * i, "training_score": None if i < 2 else 10.0 * i} for i in range(1, 6)
    ]
    lines[3]["score"] = 31.0
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    summary = training_summary("breakout", tmp_path).splitlines()
    assert summary[0] == "Trained for 5,000 agent steps in 5 minutes."
    assert summary[1] == "The mean of the last 100 training games passed the human 30.5 after 4.0 minutes, 4,000 steps."
    assert summary[2] == "The mean of an evaluation passed the human 30.5 after 4.0 minutes, 4,000 steps."
    assert len(training_summary("pong", tmp_path).splitlines()) == 1, "no human score is known here"
