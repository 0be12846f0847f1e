"""The film of a game: played once without pictures, then again in colour, at most a minute long."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from shared.atari.film import film_game, play_game
from shared.atari.games import replay_screens


@pytest.fixture(scope="module")
def game():
    """A game of Breakout in which the agent serves, and never moves."""

    def serve(observations: np.ndarray) -> np.ndarray:
        return np.tile(np.float32([0, 1, 0, 0]), (len(observations), 1))

    return play_game(serve, "breakout", seed=3, epsilon=0.1, sticky=0.0)


def test_a_game_is_recorded(game):
    assert game.finished
    assert len(game.actions) == len(game.values) > 50
    assert game.values[0].shape == (4,)
    assert game.score == sum(points for _, points in replay_screens("breakout", game.actions, seed=3))


def test_a_game_is_cut_off_where_one_says_and_told_on_the_way():
    told = []
    serve = {"seed": 3, "epsilon": 0.1, "sticky": 0.0}
    short = play_game(
        lambda o: np.float32([[0, 0, 1, 0]]),
        "breakout",
        **serve,
        cap=230,
        tell=lambda game: told.append(len(game.actions)),
    )
    assert (short.finished, len(short.actions), told) == (False, 230, [100, 200])


def test_a_game_that_hangs_is_cut_off(monkeypatch):
    monkeypatch.setattr("shared.atari.film.CAP", 40)
    hanging = play_game(lambda o: np.float32([[1, 0, 0, 0]]), "breakout", seed=1, epsilon=0.0, sticky=0.0)
    assert (hanging.finished, len(hanging.actions)) == (False, 40)


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
    monkeypatch.setattr("shared.atari.film.FILM_SECONDS", 2)
    every = film_game(game, tmp_path / "film.gif")
    assert every == -(-len(game.actions) // 30)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames <= 30


def test_on_frame_sees_what_is_filmed(tmp_path, game):
    shown = []
    film_game(game, tmp_path / "film.webp", lambda frame, seconds: shown.append((frame.shape, seconds)))
    assert shown == [((420, 520, 3), 1 / 15)] * len(game.actions)
