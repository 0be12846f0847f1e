"""A few games, and evaluations that are cut off, because an untrained network plays on and on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from apps import dqn_breakout
from apps.parts.dqn_breakout import report
from apps.parts.dqn_breakout.scores import protocol_scores
from shared.atari.recording import record_game
from tests.apps.toy import Toy


def short_scores(policy, game, protocol, count, seed) -> np.ndarray:
    return protocol_scores(policy, game, replace(protocol, max_steps=20), 2, seed)


def no_data(folder: Path) -> list:
    return []


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(report, "protocol_scores", short_scores)
    patch.setattr(dqn_breakout, "record_game", partial(record_game, max_steps=60))


TOY = Toy(
    data=no_data,
    train="--environments 4 --rollout 8 --batch 16 --steps 96 --evaluate-every 96",
    demo="--epsilon 0.5",
    output="film.webp",
    shrink=shrink,
    repeats=False,  # the emulators begin anew
)
