"""A game is recorded without pictures; its film shows it in colour, in at most a minute."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from apps.parts.dqn_breakout.film import film_game
from shared.atari.recording import RecordedGame, record_game


@pytest.fixture(scope="module")
def game():
    """A game of Breakout in which the agent serves, and never moves."""

    def serve(observations: np.ndarray) -> np.ndarray:
        return np.tile(np.float32([0, 1, 0, 0]), (len(observations), 1))

    return record_game(serve, "breakout", seed=3, epsilon=0.1, sticky=0.0)


def test_a_game_is_recorded(game):
    assert game.finished
    assert len(game.actions) == len(game.values) > 50
    assert game.values[0].shape == (4,)
    assert game.score == sum(points for _, points in game.screens())


def test_a_game_that_hangs_is_truncated_and_reported_on_the_way():
    reported = []

    def report(game: RecordedGame) -> None:
        reported.append(len(game.actions))

    rules = {"seed": 3, "epsilon": 0.0, "sticky": 0.0, "max_steps": 230, "report": report}
    hanging = record_game(lambda o: np.float32([[1, 0, 0, 0]]), "breakout", **rules)
    assert (hanging.finished, len(hanging.actions), reported) == (False, 230, [100, 200])
    assert record_game.__kwdefaults__["max_steps"] == 5 * 60 * 15, "five minutes"


@pytest.mark.parametrize("name", ["film.webp", "film.gif"])
def test_the_film(tmp_path, game, name):
    assert film_game(game, tmp_path / name) == 1
    with Image.open(tmp_path / name) as film:
        assert film.size == (160 * 2 + 200, 210 * 2)
        assert 1 < film.n_frames <= len(game.actions)
        seconds = 0.0
        for frame in range(film.n_frames):
            film.seek(frame)
            film.load()
            seconds += film.info["duration"] / 1000
    assert seconds == pytest.approx(len(game.actions) / 15, abs=0.1)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_long_game_is_filmed_every_kth_step(tmp_path, monkeypatch, game):
    monkeypatch.setattr("apps.parts.dqn_breakout.film.FILM_SECONDS", 2)
    every = film_game(game, tmp_path / "film.gif")
    assert every == -(-len(game.actions) // 30)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames <= 30


def test_on_frame_sees_what_is_filmed(tmp_path, game):
    shown = []
    film_game(game, tmp_path / "film.webp", lambda frame, seconds: shown.append((frame.shape, seconds)))
    assert shown == [((420, 520, 3), 1 / 15)] * len(game.actions)
