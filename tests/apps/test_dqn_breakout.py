"""The Atari app: its learning rules against slow references, its commands, its sentences."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from apps import dqn_breakout as app
from apps.parts.dqn_breakout.scores import NATURE, protocol_scores
from shared import saved_models
from shared.atari.games import OBSERVATION, Step
from shared.atari.recording import record_game
from shared.drawing.film import _WebP
from shared.training import checkpoints, steps
from shared.training.checkpoints import Checkpoints
from shared.training.runtime import import_keras
from tests.apps.command import Command, records
from tests.parity_worker import QUICK_JAX

ROOT = Path(__file__).parents[2]
APP = ROOT / "apps" / "dqn_breakout.py"
TINY = "--environments 4 --rollout 8 --batch 16"
DQN = ["--algorithm", "dqn", "--warm-up", "64", "--replay", "1000", "--target-every", "100"]


COMMAND = Command("dqn_breakout")
main, sentence = COMMAND.main, COMMAND.sentence
pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder of models that press FIRE for ever, so that games are short: for Breakout, and for six actions."""
    keras = import_keras()
    folder = tmp_path_factory.mktemp("models")

    def model(actions: int) -> keras.Model:
        frames = keras.Input((84, 84, 4), dtype="uint8")
        x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(frames))
        values = keras.layers.Dense(actions, kernel_initializer="zeros")(x)
        network = keras.Model(frames, values)
        network.layers[-1].bias.assign(np.eye(actions)[1])
        return network

    for name, actions in (("serves", 4), ("six_actions", 6)):
        saved_models.save(model(actions), folder / name, {})
    return folder


# --------------------------------------------------------------------------------------------- learning rules


def slow_q_lambda(rewards, terminal, weights, best, after, discount: float, trace: float) -> np.ndarray:
    """Q(lambda) as a weighted mean of n-step returns, one transition at a time, straight from its definition."""
    values = np.vstack([best, after])  # of the state at each time, the last one included
    targets = np.zeros_like(rewards, dtype=float)
    for t, game in np.ndindex(rewards.shape):
        returns, gathered, factor = [], 0.0, 1.0
        for k in range(t, len(rewards)):
            if k > t and not weights[k, game]:
                break  # this step only resets the emulator
            gathered += factor * rewards[k, game]
            factor *= discount * (1 - terminal[k, game])
            returns.append(gathered + factor * values[k + 1, game])
        shares = [(1 - trace) * trace**n for n in range(len(returns) - 1)] + [trace ** (len(returns) - 1)]
        targets[t, game] = np.dot(shares, returns)
    return targets


@pytest.mark.parametrize("trace", [0.0, 0.65, 1.0])
def test_q_lambda_equals_its_definition(trace):
    rng, shape = np.random.default_rng(0), (12, 50)
    rewards, best, after = rng.normal(size=shape), rng.normal(size=shape), rng.normal(size=shape[1])
    ended = rng.random(shape) < 0.15
    terminal = (rng.random(shape) < 0.1) | ended & (rng.random(shape) < 0.6)  # some games are cut short without one
    weights = np.ones(shape)
    weights[1:][ended[:-1]] = 0
    terminal, rewards = terminal * weights, rewards * weights  # as the emulator's reset steps are
    arguments = (rewards, terminal, weights, best, after, 0.9, trace)
    np.testing.assert_allclose(app.q_lambda(*arguments), slow_q_lambda(*arguments), rtol=1e-9, atol=1e-12)


def test_q_lambda_by_hand():
    column = lambda *numbers: np.float32(numbers)[:, None]  # noqa: E731
    targets = app.q_lambda(
        column(1, 0, 0), column(0, 0, 1), column(1, 1, 1), column(7, 4, 2), np.float32([100]), 0.5, 0.5
    )
    #  The last step is terminal: 0. Before it: half of 2, its estimate, and half of that 0, discounted: 0.5. And so on.
    assert targets[:, 0].tolist() == [1 + 0.5 * (0.5 * 4 + 0.5 * 0.5), 0.5 * (0.5 * 2 + 0.5 * 0), 0]
    assert targets.dtype == np.float32


def linear(seed: int, actions: int = 3):
    keras = import_keras()
    network = keras.Sequential([keras.Input((5,)), keras.layers.Dense(actions, use_bias=False)])
    weights = np.random.default_rng(seed).normal(size=(5, actions)).astype("float32")
    network.set_weights([weights])
    return network, weights


def batch_of(size: int, rng: np.random.Generator):
    frames, next_frames = rng.normal(size=(2, size, 5)).astype("float32")
    actions, rewards = rng.integers(0, 3, size).astype("int32"), rng.normal(size=size).astype("float32")
    terminal, weights = (rng.random((2, size)) < 0.5).astype("float32")
    return frames, actions, rewards, next_frames, terminal, weights


def test_an_update_is_the_gradient_of_the_weighted_squared_error():
    network, weights = linear(1)
    keras = import_keras()
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(network.trainable_variables)
    frames, actions, targets, _, _, mask = batch_of(16, np.random.default_rng(2))
    update = steps.compile_step(app.q_update(network, optimizer), network, optimizer)
    loss = float(update(frames, actions, targets, mask))
    error = mask * ((frames @ weights)[np.arange(16), actions] - targets)
    assert loss == pytest.approx(np.mean(error**2), rel=1e-4)
    gradient = frames.T @ (2 * error[:, None] * np.eye(3)[actions]) / 16
    np.testing.assert_allclose(np.asarray(network.weights[0]), weights - 0.1 * gradient, atol=1e-5)


class Script:
    """Games that follow a script, in the emulator's place."""

    actions = 3

    def __init__(self, count: int, rng: np.random.Generator):
        self.count, self.rng, self.mean_score = count, rng, 0.0
        self.ignored, self.seen = np.zeros(count, bool), []
        self.observations = self._screens()

    def _screens(self) -> np.ndarray:
        return self.rng.integers(0, 256, (self.count, *OBSERVATION), dtype=np.uint8)

    def step(self, actions: np.ndarray) -> Step:
        ended = ~self.ignored & (self.rng.random(self.count) < 0.2)
        rewards = self.rng.integers(-3, 4, self.count).astype(np.float32)
        self.seen.append((self.observations, self.ignored, actions, rewards, ended))
        self.observations, self.ignored = self._screens(), ended
        return Step(self.observations, rewards, ended, ended)


def values_of(observations: np.ndarray) -> np.ndarray:
    return observations[:, 0, 0, :3].astype("float32")


def test_pqn_learns_every_transition_once_an_epoch_from_its_own_target(monkeypatch):
    config = app.Train(environments=4, rollout=8, batch=16, epochs=2, exploration=1e-9, discount=0.99)
    games, batches = Script(4, np.random.default_rng(3)), []
    monkeypatch.setattr(app, "policy_of", lambda network: values_of)
    monkeypatch.setattr(
        app, "q_update", lambda *_: lambda *batch: batches.append([np.asarray(column) for column in batch]) or 1.5
    )
    monkeypatch.setattr(steps, "compile_step", lambda fn, *owners, **options: fn)
    done, metrics = next(app.pqn(config, games, None, SimpleNamespace(), 96))
    assert (done, metrics["loss"]) == (96 + 32, 1.5)
    screens, ignored, actions, rewards, ended = map(np.array, zip(*games.seen, strict=True))
    clipped, weights, best = np.clip(rewards, -1, 1), 1.0 - ignored, np.array([values_of(s).max(-1) for s in screens])
    targets = app.q_lambda(clipped, ended, weights, best, values_of(games.observations).max(-1), 0.99, 0.65)
    columns = actions.flat, weights.flat, targets.flat
    expected = dict(zip(map(pixel, screens.reshape(32, *OBSERVATION)), zip(*columns, strict=True), strict=True))
    assert len(batches) == 4
    for epoch in (batches[:2], batches[2:]):
        learned = {}
        for frames, chosen, aims, parts in epoch:
            assert len(frames) == 16
            learned |= dict(zip(map(pixel, frames), zip(chosen, parts, aims, strict=True), strict=True))
        assert learned.keys() == expected.keys()
        for key, transition in learned.items():
            assert transition == pytest.approx(expected[key], rel=1e-5)


def pixel(screens: np.ndarray) -> tuple[int, ...]:
    """Names a stack of random screens."""
    return tuple(screens[0, 0].tolist())


class Target:
    """A target network that notes the weights that it gets."""

    def __init__(self, happened: list):
        self.happened = happened

    def set_weights(self, weights) -> None:
        self.happened.append(weights)


def scripted_dqn(monkeypatch, steps_before: int, **settings):
    """The dqn generator over scripted games, and the list of what it does to its networks."""
    config = app.Train(algorithm="dqn", **{"environments": 2, "rollout": 5, "batch": 4, "replay": 100, **settings})
    happened = []
    monkeypatch.setattr(steps, "compile_step", lambda fn, *owners: lambda *batch: happened.append("update") or 0.5)
    monkeypatch.setattr(app, "policy_of", lambda network: values_of)
    monkeypatch.setattr(app, "q_network", lambda actions: Target(happened))
    monkeypatch.setattr(app, "dqn_update", lambda *_: None)
    network = SimpleNamespace(get_weights=lambda: "weights")
    games = Script(2, np.random.default_rng(4))
    return app.dqn(config, games, network, SimpleNamespace(), steps_before), happened


def test_dqn_warms_up_then_learns_and_updates_its_target_at_its_rates(monkeypatch):
    learner, happened = scripted_dqn(monkeypatch, steps_before=3_000, warm_up=20, replay_ratio=6.0, target_every=30)
    rounds = []
    for _ in range(12):
        happened.clear()
        done, metrics = next(learner)
        rounds.append((done, happened.count("update"), happened.count("weights")))
    assert rounds[0] == (3_010, 0, 1), "the target at the beginning; it only plays"
    assert rounds[1][1] == 3, "the buffer holds 20 transitions after the last of these steps"
    assert {updates for _, updates, _ in rounds[2:]} == {15}, "10 steps, 6 samples a step, 4 a batch"
    assert [steps for steps, _, targets in rounds[1:] if targets] == [3_030, 3_060, 3_090, 3_120]
    assert metrics["loss"] == 0.5


@pytest.mark.parametrize("targets", ["double", "single"])
def test_dqn_values_the_action_that_one_network_or_the_other_chooses(monkeypatch, targets):
    (network, ours), (target, theirs) = linear(1), linear(2)
    monkeypatch.setattr(app, "q_update", lambda *_: lambda frames, actions, targets, weights: (targets, weights))
    update = app.dqn_update(app.Train(targets=targets), network, target, None)
    frames, actions, rewards, next_frames, terminal, weights = batch_of(64, np.random.default_rng(5))
    learned, passed_on = update(frames, actions, rewards, next_frames, terminal, weights)
    ours, theirs = next_frames @ ours, next_frames @ theirs
    assert (ours.argmax(-1) != theirs.argmax(-1)).any(), "else both would be the same"
    chosen = (ours if targets == "double" else theirs).argmax(-1)
    next_values = theirs[np.arange(64), chosen]
    np.testing.assert_allclose(np.asarray(learned), rewards + 0.99 * (1 - terminal) * next_values, rtol=1e-3, atol=1e-4)
    assert (np.asarray(passed_on) == weights).all()


def test_anneal():
    config, optimizer = app.Train(steps=1_000_000, exploration=0.1, epsilon=0.01, learning_rate=1e-3), SimpleNamespace()
    assert app.anneal(config, optimizer, 0) == 1.0
    assert optimizer.learning_rate < 1e-6
    assert app.anneal(config, optimizer, 50_000) == pytest.approx(0.505)
    assert optimizer.learning_rate == pytest.approx(0.95e-3)
    assert app.anneal(config, optimizer, 100_000) == pytest.approx(0.01)
    assert app.anneal(config, optimizer, 900_000) == pytest.approx(0.01)
    app.anneal(config, optimizer, 1_000_050)
    assert optimizer.learning_rate == 0.0


def test_the_network_is_the_one_of_the_paper():
    import_keras()
    network = app.q_network(6)
    assert (network.input_shape, network.output_shape) == ((None, *OBSERVATION), (None, 6))
    assert (network.inputs[0].dtype, network.outputs[0].dtype) == ("uint8", "float32")
    norms = 2 * (7 * 7 * 64) + 2 * 512
    assert network.count_params() == 8_224 + 32_832 + 36_928 + (3_136 * 512 + 512) + (512 * 6 + 6) + norms
    policy = app.policy_of(network)
    values = policy(np.full((2, *OBSERVATION), 255, np.uint8))
    assert (values.shape, values.dtype) == ((2, 6), np.float32)
    assert np.isfinite(values).all()


# -------------------------------------------------------------------------------------------- real commands


# The real file as `python apps/dqn_breakout.py`, once for each command, with evaluations as short as the toy's.
PROGRAM = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
from apps.parts.dqn_breakout import report
from tests.apps.toys.dqn_breakout import short_scores
report.protocol_scores = short_scores
for command in sys.argv[1:]:
    sys.argv = [{str(APP)!r}, *command.split()]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        assert end.code == 0, end
"""


def start(folder: Path, *commands: str, **env: str) -> subprocess.Popen:
    """The app in a process of its own, in another working directory."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *commands], cwd=folder, env=os.environ | env, **pipes)


@pytest.mark.slow
def test_pqn_killed_and_resumed(tmp_path, shrunk, capsys):
    killed = start(tmp_path, f"train {TINY} --steps 480 --evaluate-every 160 --checkpoint-minutes 1e-6 --run run")
    folder, deadline_s = tmp_path / "run", time.monotonic() + 200
    while not (folder / "metrics.jsonl").exists() or len((folder / "metrics.jsonl").read_bytes().splitlines()) < 3:
        assert killed.poll() is None, killed.communicate()[1]
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    killed.kill()
    lines = killed.communicate()[1].splitlines()
    assert [line for line in lines if not re.match(r"Loading Keras \(|Training on |[\d,]+/480 ", line)] == []
    last = (folder / "metrics.jsonl").read_text(encoding="utf-8").count("\n") * 32
    names = [path.name for path in (folder / "checkpoints").iterdir() if not path.name.startswith(".")]
    saved = max(int(name.rsplit("-", 1)[1]) for name in names)
    assert saved >= last - 32, "at most one interval, here a rollout, is lost"

    assert main("train", "--resume", "--run", "run") == 0
    assert "Best evaluation: " in capsys.readouterr().out
    lines = records(folder)
    assert [line["step"] for line in lines] == list(range(32, 481, 32))
    assert [line["step"] for line in lines if "score" in line] == [160, 320, 480]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["algorithm"], config["steps"], config["environments"]) == ("pqn", 480, 4)


def test_dqn_trained_and_resumed(shrunk, capsys):
    assert main("train", *TINY.split(), *DQN, "--steps", 128, "--evaluate-every", 64, "--run", "run") == 0
    assert "--model run" in capsys.readouterr().out
    lines = records(Path("run"))
    assert [line["step"] for line in lines] == list(range(32, 129, 32))
    assert lines[0]["loss"] == 0 < lines[-1]["loss"], "it plays, then learns"
    assert main("train", "--resume", "--run", "run") == 0
    assert records(Path("run")) == lines, "a finished run has nothing more to learn"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_the_same_commands_on_jax(tmp_path):
    commands = f"train {TINY} --steps 64 --run run", "--model run -o film.webp --epsilon 0.5"
    env = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK_JAX}
    stdout, stderr = start(tmp_path, *commands, **env).communicate(timeout=300)
    assert "Film of the game of seed 1" in stdout, stderr
    assert "Loading Keras (jax)" in stderr
    assert [line["step"] for line in records(tmp_path / "run")] == [32, 64]
    assert (tmp_path / "film.webp").stat().st_size > 1_000


def metrics(folder: Path) -> list[dict]:
    """What the learning has to say: neither the time that it took, nor a mean over no games."""
    return [{k: v for k, v in line.items() if k != "time_s" and v is not None} for line in records(folder)]


def test_the_same_seed_gives_the_same_training(tmp_path, shrunk, run, trained):
    for seed in (1, 2):
        assert main("train", *run.words, "--run", tmp_path / str(seed), "--seed", seed) == 0
    first, same, other = metrics(trained), metrics(tmp_path / "1"), metrics(tmp_path / "2")
    assert first[0].keys() >= {"step", "loss", "value"}
    for ours, theirs in zip(first, same, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-6)
    assert first[0]["value"] != pytest.approx(other[0]["value"], rel=1e-3)


def test_init_starts_from_given_weights(shrunk, trained, monkeypatch):
    began_with, start_from = [], saved_models.start_from

    def spy(network, path, **meaning) -> None:
        start_from(network, path, **meaning)
        began_with.extend(np.asarray(weight) for weight in network.weights)

    monkeypatch.setattr(saved_models, "start_from", spy)
    assert main("train", *TINY.split(), "--steps", 32, "--run", "run", "--init", trained, "--seed", 3) == 0
    for ours, theirs in zip(began_with, saved_models.load(trained)[0].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_checkpoint_holds_network_and_optimizer(trained):
    newest = Checkpoints(trained / "checkpoints", {}).latest()
    variables = json.loads((newest / "state.json").read_text(encoding="utf-8"))["variables"]
    assert {key.split("/")[0] for key in variables} == {"network", "optimizer"}


@pytest.mark.parametrize(("average", "saved"), [(1, "latest"), (10**9, "first")])
def test_what_is_saved_is_an_average_over_agent_steps(tmp_path, shrunk, average, saved):
    settings = [*TINY.split(), "--steps", 64, "--average", average, "--learning-rate", 50]
    assert main("train", *settings, "--run", tmp_path / "run") == 0
    newest = Checkpoints(tmp_path / "run" / "checkpoints", {}).latest()
    latest = np.load(newest / "arrays.npz")["network/0"]
    ours = saved_models.load(tmp_path / "run")[0].get_weights()[0]
    assert np.allclose(ours, latest, atol=1e-3) == (saved == "latest")


# ------------------------------------------------------------------------------------------ play and evaluate


def test_play_films_the_best_of_some_games(tmp_path, capsys, models, monkeypatch):
    monkeypatch.setitem(sys.modules, "tkinter", None)  # without --watch nobody needs it
    words = ["--model", models / "serves", "--sticky", 0.25, "--epsilon", 0.3, "--episodes"]
    assert main(*words, 2) == 0
    said = capsys.readouterr().out
    games = [line for line in said.splitlines() if ", seed " in line]
    scores = [int(line.split(": ")[1].split()[0]) for line in games]
    assert len(scores) == 2
    assert f"Film of the game of seed {1 + int(np.argmax(scores))}, at 1 times its speed" in said
    with Image.open(tmp_path / "outputs" / "dqn_breakout" / "breakout.webp") as film:
        assert film.format == "WEBP"
        assert film.size == (520, 420)
    monkeypatch.setattr(app, "film_game", lambda *_: 1)
    assert main(*words, 1) == 0
    assert games[0] in capsys.readouterr().out, "the same seed plays the same game"


def test_play_another_game(tmp_path, capsys, models, monkeypatch):
    monkeypatch.setattr(app, "record_game", partial(record_game, max_steps=60))
    assert main("--game", "space_invaders", "--model", models / "six_actions", "-o", "film.webp") == 0
    said = capsys.readouterr().out
    assert "in 60 steps (cut off after 5 minutes of play)" in said
    assert "random play 148.0, a human 1668.7, DQN-Nature 1976.0" in said


def test_evaluate_prints_both_protocols(capsys, models):
    words = ["evaluate", "--model", models / "serves", "--games", 2]
    assert main(*words) == 0
    said = capsys.readouterr().out
    table = [line for line in said.splitlines() if line.startswith(("Nature", "Sticky"))]
    assert [line.split()[0] for line in table] == ["Nature", "Sticky"]
    for line in table:
        mean, std, median, highest, human = line.split(")")[-1].split()
        assert 0 <= float(median) <= float(highest)
        assert float(std) >= 0
        assert human == f"{(float(mean) - 1.7) / (30.5 - 1.7):.0%}"
    scores = protocol_scores(lambda o: np.tile(np.eye(4)[1], (len(o), 1)), "breakout", NATURE, 2, 1000)
    assert float(table[0].split(")")[1].split()[0]) == scores.mean(), "the seed decides"


# ---------------------------------------------------------------------------------------------- wrong inputs


@pytest.fixture
def no_work(monkeypatch, no_long_work):
    """Such an input is answered before the game, too."""
    monkeypatch.setattr(app, "record_game", no_long_work)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--game breakuot", "no Atari game called 'breakuot'. Did you mean breakout"),
        ("train --game spaceinvaders", "Did you mean space_invaders"),
        ("evaluate --game Breakout", "Did you mean breakout"),
        ("--game pong", "No model for pong is shipped: train one with .*train --game pong"),
        ("evaluate --game pong", "No model for pong"),
        ("--model nowhere/model.keras", "there is no model nowhere"),
        ("evaluate --model nowhere.keras", "there is no model nowhere.keras"),
        ("--episodes 1000000000", "--episodes"),
        ("--seed 99999999999999999999", "--seed"),
        ("evaluate --games 1000000", "--games"),
        ("train --environments 1000000", "--environments"),
        ("train --environments 4096 --rollout 65536", "--environments"),
        ("train --batch 100", "--batch 100 must divide"),
        ("train --replay 0", "--replay is 0"),
        ("train --replay 1000000000000", "--replay"),
        ("train --algorithm dqn --replay 10000 --warm-up 20000", "--warm-up"),
        ("train --algorithm dqn --replay 20001 --warm-up 20000", "--warm-up"),
        ("train --algorithm dqn --replay 128 --warm-up 128", "--replay|--warm-up"),
        ("train --algorithm dqn --warm-up 128", "--warm-up"),
        ("train --warm-up -1", "--warm-up is -1"),
        ("-o film.mp4", "film.mp4"),
        ("train --run file/run", "file"),
        ("train --run file", "file"),
    ],
)
def test_a_wrong_input_is_one_sentence_at_once(tmp_path, capsys, no_work, words, said):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert re.search(said, sentence(capsys, *words.split()))
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [tmp_path / "file"], "nothing half done is left behind"


@pytest.mark.parametrize("verb", [[], ["evaluate"]])
def test_a_wrong_model_is_one_sentence(capsys, models, verb):
    said = r"is not a network for breakout: it maps .*\(None, 6\), and this game needs .*\(None, 4\)"
    assert re.search(said, sentence(capsys, *verb, "--model", models / "six_actions"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a window needs no DISPLAY")
def test_watch_without_a_display(capsys, models, monkeypatch, tmp_path):
    monkeypatch.delenv("DISPLAY", raising=False)
    said = sentence(capsys, "--watch", "--model", models / "serves")
    assert re.search(r"--watch (found no display|needs Tk).*; without --watch", said)
    assert not list(tmp_path.rglob("*.webp"))


def full_disk(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_while_filming(tmp_path, capsys, models, monkeypatch):
    monkeypatch.setattr(_WebP, "write", full_disk)
    words = ["--model", models / "serves", "-o", "film.webp", "--epsilon", 0.5]
    assert main(*words) == 2
    last = capsys.readouterr().err.splitlines()[-1].strip()
    assert last == "error: no space is left on the disk: free some and run it again."
    assert list(tmp_path.iterdir()) == [], "no part of a film"


def test_a_full_disk_while_training(tmp_path, capsys, shrunk, monkeypatch):
    monkeypatch.setattr(checkpoints.np, "savez", full_disk)
    assert main("train", *TINY.split(), "--steps", 64, "--run", "run") == 2
    assert "error: The disk is full" in capsys.readouterr().err.splitlines()[-1]
    monkeypatch.undo()
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


# --------------------------------------------------------------------------------------------- the shipped models


@pytest.mark.parametrize(("game", "max_steps", "at_least"), [("breakout", 700, 15.0), ("space_invaders", 700, 250.0)])
def test_a_shipped_model_plays_well_above_random(game, max_steps, at_least):
    assert (saved_models.MODELS / f"dqn_{game}" / "model.keras").stat().st_size < 8 * 2**20
    network = app.load_network(game, None)
    assert network.inputs[0].dtype == "uint8"
    policy = app.policy_of(network)
    scores = protocol_scores(policy, game, replace(NATURE, max_steps=max_steps), 4, seed=77)
    assert scores.mean() > at_least, "random play has 1.7 and 148 at the end of a game"
