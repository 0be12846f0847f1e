"""Atari games: the emulator's own numbers, and the traps of its vector environment that would spoil the learning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from shared.atari.games import (
    OBSERVATION,
    SCREEN,
    Games,
    Policy,
    Turn,
    action_names,
    check_game,
    epsilon_greedy,
    play_first_games,
)
from shared.atari.recording import RecordedGame
from shared.errors import UserError

ROOT = Path(__file__).parents[3]
NOOP, FIRE, RIGHT = 0, 1, 2  # Breakout's


@pytest.fixture
def make_games():
    """Games whose threads end with the test."""
    made = []

    def make(game: str = "breakout", count: int = 1, **options) -> Games:
        made.append(Games(game, count, threads=1, **{"seed": 1, **options}))
        return made[-1]

    yield make
    for games in made:
        games.close()


def always(action: int) -> Policy:
    return lambda observations: np.eye(4, dtype="float32")[np.full(len(observations), action)]


def random_actions(games: Games, steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, games.actions, (steps, games.count))


# -------------------------------------------------------------------------------- the emulator, step by step


@pytest.mark.parametrize(("game", "sticky", "steps"), [("breakout", 0.25, 350), ("space_invaders", 0.0, 700)])
def test_observations_are_the_emulators_own_stack(make_games, game, sticky, steps):
    from ale_py.vector_env import AtariVectorEnv

    games = make_games(game, 4, seed=3, sticky=sticky)
    own = AtariVectorEnv(game, 4, num_threads=1, repeat_action_probability=sticky, reward_clipping=False, stack_num=4)
    stacks, _ = own.reset(seed=3)
    ends = 0
    for actions in random_actions(games, steps):
        np.testing.assert_array_equal(games.observations, stacks.transpose(0, 2, 3, 1))
        stacks, rewards, over, cut, _ = own.step(actions.astype(np.int32))
        step = games.step(actions)
        np.testing.assert_array_equal(step.rewards, rewards)
        np.testing.assert_array_equal(step.ended, over | cut)
        ends += step.ended.sum()
    own.close()
    assert ends > 1


def test_shapes_and_types(make_games):
    games = make_games(count=3)
    assert (games.observations.shape, games.observations.dtype) == ((3, *OBSERVATION), np.uint8)
    step = games.step(np.zeros(3, np.int64))
    assert step.observations is games.observations
    assert (step.rewards.shape, step.rewards.dtype) == ((3,), np.float32)
    assert step.terminal.dtype == step.ended.dtype == games.ignored.dtype == bool


def test_observations_stay_as_they_were_for_one_more_step(make_games):
    games = make_games(count=2)
    ends = 0
    for actions in random_actions(games, 300):
        observations, copy = games.observations, games.observations.copy()
        ends += games.step(actions).ended.sum()
        np.testing.assert_array_equal(observations, copy)  # a learner files them together with what the step gave
    assert ends > 0


def test_a_game_depends_on_its_seed_alone(make_games):
    together, alone = make_games(count=3, seed=7), make_games(count=1, seed=9)
    for actions in random_actions(together, 100):
        np.testing.assert_array_equal(together.observations[2], alone.observations[0])
        together.step(actions)
        alone.step(actions[2:])
    assert (together.observations[0] != together.observations[2]).any()


def test_a_share_of_the_games_is_sticky(make_games):
    mixed = make_games(count=4, seed=3, sticky=0.25, sticky_games=0.5)
    plain, sticky = make_games(count=2, seed=3), make_games(count=2, seed=5, sticky=0.25)
    ends = np.zeros(4, int)
    for actions in random_actions(mixed, 500):
        step = mixed.step(actions)
        halves = plain.step(actions[:2]), sticky.step(actions[2:])
        for field in ("observations", "rewards", "terminal", "ended"):
            joined = np.concatenate([getattr(half, field) for half in halves])
            np.testing.assert_array_equal(getattr(step, field), joined, err_msg=field)
        np.testing.assert_array_equal(mixed.ignored, step.ended)
        ends += step.ended
    assert (ends > 0).all(), "of each game, the step after its end is compared, too"


def test_points_are_not_clipped(make_games):
    games = make_games("space_invaders", 4)
    rewards = {float(r) for actions in random_actions(games, 300) for r in games.step(actions).rewards}
    assert rewards >= {0.0, 5.0, 10.0, 15.0}


# ------------------------------------------------------------------------------------- lives, ends and resets


def test_a_lost_life_is_terminal_and_the_game_goes_on(make_games):
    games = make_games(count=4)
    lost, score, scores = np.zeros(4, int), np.zeros(4), []
    assert np.isnan(games.mean_score), "no game has ended yet"
    for actions in random_actions(games, 800):
        step = games.step(actions)
        lost += step.terminal
        score += step.rewards
        assert not (step.ended & ~step.terminal).any(), "no game is cut short here"
        assert (lost[step.ended] == 5).all(), "four lives lost on the way, and the end"
        scores += score[step.ended].tolist()
        lost[step.ended] = score[step.ended] = 0
    assert len(scores) > 4
    assert games.mean_score == np.mean(scores), "the points of all five lives"


def test_nobody_presses_fire_for_the_agent(make_games):
    games = make_games()
    lives = [int(games.step(np.array([NOOP])).terminal[0]) for _ in range(400)]
    assert sum(lives) == 1, "the first ball is served by the emulator's reset, no other one is"
    before = games.observations.copy()
    games.step(np.array([FIRE]))
    for _ in range(3):
        games.step(np.array([NOOP]))
    assert (games.observations[..., -1] != before[..., -1]).any()


def test_the_step_after_an_end_is_marked_and_ignores_its_action(make_games):
    games, others = make_games(count=2, seed=4), make_games(count=2, seed=4)
    resets = 0
    for actions in random_actions(games, 500):
        ignored = games.ignored.copy()
        step = games.step(actions)
        others.step(np.where(ignored, (actions + 1) % 4, actions))
        np.testing.assert_array_equal(step.observations, others.observations)
        assert not step.rewards[ignored].any()
        assert not step.terminal[ignored].any()
        assert not step.observations[ignored][..., :3].any(), "black before a game's first screen"
        assert step.observations[ignored][..., 3].any(axis=(1, 2)).all()
        np.testing.assert_array_equal(games.ignored, step.ended)
        resets += ignored.sum()
    assert resets > 1


# ---------------------------------------------------------------------------------------------- playing games


def turns(games: Games, policy: Policy, epsilon: float = 0.0, max_steps: int = 2_000) -> list[Turn]:
    return list(play_first_games(policy, games, epsilon=epsilon, max_steps=max_steps, seed=0))


def test_a_greedy_game_ends_if_the_agent_serves(make_games):
    played = turns(make_games(count=2), always(FIRE))
    assert 50 < len(played) < 2_000
    assert not played[-1].playing.any()


def test_a_game_that_hangs_is_truncated(make_games):
    played = turns(make_games(), always(RIGHT), max_steps=600)
    assert len(played) == 600
    assert played[-1].playing.all()


def test_a_little_exploration_frees_a_game_that_hangs(make_games):
    played = turns(make_games(), always(NOOP), epsilon=0.2)
    assert not played[-1].playing.any()


def test_only_the_first_game_of_each_environment_counts():
    """A script in the emulator's place: the second environment's first game ends early, its second one is rich."""
    rewards, ended = [[1, 0], [0, 2], [1, 50], [4, 50], [9, 9]], [[0, 0], [0, 1], [0, 0], [1, 1], [0, 0]]
    script = zip(np.float32(rewards), np.array(ended, bool), strict=True)

    def step(actions: np.ndarray) -> SimpleNamespace:
        points, over = next(script)
        return SimpleNamespace(rewards=points, ended=over)

    games = SimpleNamespace(count=2, observations=np.zeros((2, *OBSERVATION), np.uint8), step=step)
    played = turns(games, always(FIRE))
    assert [turn.scores.tolist() for turn in played] == [[1, 0], [1, 2], [2, 2], [6, 2]]
    assert [turn.playing.tolist() for turn in played] == [[True, True], [True, False], [True, False], [False, False]]


def test_epsilon_greedy():
    rng, values = np.random.default_rng(0), np.tile(np.float32([0, 3, 1, 2]), (10_000, 1))
    assert (epsilon_greedy(values, 0.0, rng) == 1).all()
    counts = np.bincount(epsilon_greedy(values, 0.4, rng), minlength=4) / 10_000
    np.testing.assert_allclose(counts, [0.1, 0.7, 0.1, 0.1], atol=0.02)


# ----------------------------------------------------------------------------------------------- in colour


@pytest.mark.parametrize("sticky", [0.0, 0.25])
def test_the_colour_replay_stays_in_lockstep(make_games, sticky):
    games = make_games(seed=5, sticky=sticky)
    actions, grey, rewards = random_actions(games, 1000)[:, 0].tolist(), [], []
    for action in actions:
        grey.append(games.observations[0, :, :, -1].copy())
        step = games.step(np.array([action]))
        rewards.append(float(step.rewards[0]))
        if step.ended[0]:
            break
    actions = actions[: len(grey)]
    record = RecordedGame("breakout", seed=5, sticky=sticky, actions=actions)
    screens, points = zip(*record.screens(), strict=True)
    assert points == tuple(rewards)
    assert {(screen.shape, screen.dtype) for screen in screens} == {(SCREEN, np.dtype("uint8"))}
    # What moves between two screens moves between the same two observations, and between no others.
    small = [Image.fromarray(screen).convert("L").resize((84, 84), Image.Resampling.BOX) for screen in screens]
    moved, seen = np.diff(np.array(small, float), axis=0), np.diff(np.array(grey, float), axis=0)
    assert np.abs(moved - seen).mean() < np.abs(moved[1:] - seen[:-1]).mean() / 4


def test_action_names():
    assert action_names("breakout") == ["NOOP", "FIRE", "RIGHT", "LEFT"]
    assert len(action_names("space_invaders")) == 6


@pytest.mark.parametrize(
    ("word", "meant"), [("breakuot", "breakout"), ("spaceinvaders", "space_invaders"), ("Pong", "pong")]
)
def test_an_unknown_game_gets_suggestions(word, meant):
    with pytest.raises(UserError, match=f"no Atari game called '{word}'. Did you mean .*{meant}"):
        check_game(word)
    with pytest.raises(UserError, match=meant):
        Games(word, 1, seed=1)


def test_the_emulator_is_not_imported_before_it_is_needed():
    code = "import shared.atari.games, sys; print([m for m in ('ale_py', 'gymnasium', 'keras') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "[]\n"
