"""Replay: every stack rebuilt bit for bit from single frames, across game ends and the seam of the ring."""

from __future__ import annotations

import numpy as np
import pytest

from apps.parts.dqn_breakout.replay import ReplayBuffer
from shared.atari.games import OBSERVATION, Games


class Recorder:
    """Fills a buffer and remembers everything; a transition's reward is its number, so that a sample tells its own."""

    def __init__(self, memory: ReplayBuffer, count: int):
        self.memory, self.count = memory, count
        self.observations, self.actions, self.terminal, self.ignored = [], [], [], []
        self.drawn: set[int] = set()

    def add(self, observations, actions, terminal, ended, ignored) -> None:
        numbers = np.arange(self.count) + len(self.actions) * self.count
        self.memory.add(observations, actions, numbers, terminal, ended)
        for store, value in zip(
            (self.observations, self.actions, self.terminal, self.ignored),
            (observations, actions, terminal, ignored),
            strict=True,
        ):
            store.append(value.copy())

    def check(self, batch: int, rng: np.random.Generator) -> None:
        states, actions, rewards, next_states, terminal, weights = self.memory.sample(batch, rng)
        assert (states.dtype, actions.dtype) == (np.uint8, np.int32)
        assert rewards.dtype == terminal.dtype == weights.dtype == np.float32
        assert states.shape == next_states.shape == (batch, *OBSERVATION)
        times, games = np.divmod(rewards.astype(int), self.count)
        self.drawn |= set(times)
        for i, (t, g) in enumerate(zip(times, games, strict=True)):
            assert (states[i] == self.observations[t][g]).all(), f"state at {t}, game {g}"
            assert (next_states[i] == self.observations[t + 1][g]).all(), f"next state at {t}, game {g}"
            assert actions[i] == self.actions[t][g]
            assert terminal[i] == self.terminal[t][g]
            assert weights[i] == (0.0 if self.ignored[t][g] else 1.0)


def test_stacks_of_real_games_bit_for_bit():
    count, length = 3, 150
    games, rng = Games("breakout", count, seed=1, threads=1), np.random.default_rng(0)
    recorder = Recorder(ReplayBuffer(count * length, count), count)
    for step in range(450):
        observations, ignored = games.observations, games.ignored
        actions = rng.integers(0, games.actions, count)
        done = games.step(actions)  # as a learner does it: first the step, then the memory
        recorder.add(observations, actions, done.terminal, done.ended, ignored)
        if step % 25 == 24 or ignored.any():
            recorder.check(40, rng)
    games.close()
    assert sum(map(sum, recorder.ignored)) >= 5, "several ends"


def emulated(steps: int, count: int, rng: np.random.Generator):
    """Transitions as the emulator gives them, of games of few steps, some of them cut short without a terminal."""
    stacks = np.zeros((count, *OBSERVATION), np.uint8)
    ignored = ended = np.zeros(count, bool)
    for _ in range(steps):
        stacks[ignored] = 0  # the step after an end gives a new game's first screen, after black ones
        stacks = np.concatenate([stacks[..., 1:], np.zeros_like(stacks[..., :1])], axis=-1)
        stacks[:, rng.integers(84), rng.integers(84), -1] = rng.integers(1, 256, count)
        ignored, ended = ended, ~ended & (rng.random(count) < 0.15)
        terminal = ~ignored & (rng.random(count) < np.where(ended, 0.7, 0.1))
        yield stacks.copy(), rng.integers(0, 18, count), terminal, ended, ignored


@pytest.mark.parametrize("capacity", [40, 41, 200])
def test_stacks_of_very_short_games_at_every_fill(capacity):
    count, rng = 2, np.random.default_rng(capacity)
    recorder = Recorder(ReplayBuffer(capacity, count), count)
    for step, transition in enumerate(emulated(90, count, rng)):
        recorder.add(*transition)
        held = min(step + 1, capacity // count)
        assert len(recorder.memory) == held * count
        if step:
            recorder.check(30, rng)


def test_draws_all_that_is_held_and_nothing_else():
    count, length, rng = 2, 20, np.random.default_rng(1)
    recorder = Recorder(ReplayBuffer(count * length, count), count)
    transitions = emulated(50, count, rng)
    for _ in range(10):
        recorder.add(*next(transitions))
    recorder.check(500, rng)
    assert recorder.drawn == set(range(9)), "all but the newest, which has no next state yet"
    recorder.drawn = set()
    for transition in transitions:
        recorder.add(*transition)
    recorder.check(1000, rng)
    assert recorder.drawn == set(range(34, 49)), "the oldest four are the past of the others"


def test_draws_games_and_times_evenly():
    count, rng = 4, np.random.default_rng(1)
    recorder = Recorder(ReplayBuffer(400, count), count)
    for transition in emulated(100, count, rng):
        recorder.add(*transition)
    numbers = recorder.memory.sample(8_000, rng)[2].astype(int)
    assert np.bincount(numbers % count, minlength=count).min() > 1_800
    counts = np.bincount(numbers // count, minlength=100)[:99]
    assert 40 < counts.min() < counts.max() < 130


def test_the_same_generator_draws_the_same_batch():
    memory, rng = ReplayBuffer(40, 2), np.random.default_rng(1)
    for transition in emulated(30, 2, rng):
        memory.add(transition[0], transition[1], np.zeros(2), *transition[2:4])
    one, other = (memory.sample(16, np.random.default_rng(3)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


def test_a_million_transitions_fit_in_seven_and_a_half_gigabytes():
    capacity = 1_000
    memory = ReplayBuffer(capacity, 10)
    taken = sum(value.nbytes for value in vars(memory).values() if isinstance(value, np.ndarray))
    assert taken / capacity * 1_000_000 <= 7.5e9
    assert taken / capacity == 7_063, "the number that the help of --replay gives"
