"""How fast deep Q-learning trains here, beside two things one would use instead; agent steps per second on CPU cores.

    python benchmarks/dqn_throughput.py --peer-python .venv-bench/bin/python

One machine, one run, one process at a time: each row is measured in a fresh process, in rounds, so that a slow minute
of the machine falls on all of them. A step counts everything that training does: emulator, acting, replay, updates.
The peers are stable-baselines3's DQN (PyTorch) and a loop written as in Keras' own Breakout example (code examples,
"Deep Q-Learning for Atari Breakout"): one Python environment, `model.predict` for the targets, uncompiled gradients.
They run in a virtual environment of their own; README.md beside this file says how to make it.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from shared import cli
from shared.console import say
from shared.errors import UserError, in_range
from shared.files import output_path, write_atomically
from shared.settings import Precision, Range, Settings
from shared.training.runtime import import_keras

GAME, ATARI_ID = "breakout", "BreakoutNoFrameskip-v4"
SAMPLES_PER_STEP = 8  # transitions learned from per agent step (Mnih et al. 2015: 32 every 4 steps)
CAPACITY, TARGET_EVERY, EPSILON = 100_000, 8_000, 0.01
GOALS = {"sb3": 2.0, "keras-example": 10.0}  # how many times as fast ours should be
OURS = ("keras", "tensorflow", "tensorflow-cpu", "jax", "ale-py", "numpy")
PEERS = ("stable-baselines3", "torch", "keras", "tensorflow", "tensorflow-cpu", "gymnasium", "ale-py", "numpy")


# ------------------------------------------------------------------------------------------------ Configuration


@dataclass
class Measure(Settings):
    """Measure one row in this process, and print it as one line of JSON."""

    what: Literal["dqn", "pqn", "sb3", "keras-example"] = "dqn"
    """dqn and pqn are ours; sb3 and keras-example are the peers."""
    environments: Annotated[int, Range(1, 65_536)] = 8
    """Games played side by side."""
    batch: Annotated[int, Range(1, 65_536)] = 32
    """Transitions in one update."""
    precision: Precision = "float32"
    """Of our network; the peers know float32 only."""
    threads: Annotated[int, Range(1, 1024)] = 2
    """CPU cores that the process may use, and threads of every pool in it."""
    fill: Annotated[int, Range(100, CAPACITY)] = 3_000
    """Agent steps played before learning begins."""
    settle: Annotated[float, Range(0, 36_000)] = 2.0
    """Seconds of learning before the window."""
    seconds: Annotated[float, Range(1e-9, 36_000)] = 6.0
    """Length of the window; it ends with the round of play and learning that is going on."""


@dataclass
class Compare(Settings):
    """Measure all rows and print the table."""

    peer_python: Path
    """Python of the virtual environment made from requirements-bench.txt."""
    threads: Annotated[int, Range(1, 1024)] = 2
    """CPU cores and threads, the same for every row."""
    rounds: Annotated[int, Range(1, 100)] = 2
    """Measurements of each row; the table has their median."""
    seconds: Annotated[float, Range(1e-9, 36_000)] = 6.0
    """Length of one measurement's window, after warming up."""
    fill: Annotated[int, Range(100, CAPACITY)] = 3_000
    """Agent steps in the replay memory before learning begins."""
    json: Path | None = None
    """Also write everything measured to this file."""


@dataclass
class Row:
    """A line of the table."""

    label: str
    setup: Measure
    against: tuple[int, int] | None = None
    """Ours at the same batch: numbers of the rows in float32 and in auto."""
    results: list[dict[str, Any]] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Agent steps per second: the median over the rounds."""
        return median(result["steps_per_s"] for result in self.results)


def table_rows() -> list[Row]:
    """What is compared, fresh: nothing measured yet."""
    return [
        Row("Keras Arcade, dqn", Measure("dqn", 8, 32)),
        Row("Keras Arcade, dqn", Measure("dqn", 8, 32, "auto")),
        Row("stable-baselines3, DQN", Measure("sb3", 8, 32), against=(0, 1)),
        Row("Keras Arcade, dqn", Measure("dqn", 128, 32)),  # as many games as `train` plays: the loop knows but one
        Row("Keras Arcade, dqn", Measure("dqn", 128, 32, "auto")),
        Row("Keras example's loop", Measure("keras-example", 1, 32), against=(3, 4)),
        Row("Keras Arcade, dqn", Measure("dqn", 128, 128)),
        Row("Keras Arcade, dqn", Measure("dqn", 128, 128, "auto")),
        Row("stable-baselines3, DQN", Measure("sb3", 128, 128), against=(6, 7)),
        Row("Keras Arcade, pqn, defaults", Measure("pqn", 128, 128, "auto")),
    ]


# -------------------------------------------------------------------------------------------------- One measurement


class Meter:
    """Counts the agent steps and updates of a window that begins when learning has settled."""

    def __init__(self, setup: Measure) -> None:
        self._setup = setup
        self._fill = 0 if setup.what == "pqn" else setup.fill  # pqn has no memory to fill
        self._settled_s = float("inf")
        self._begun: tuple[float, int, int] | None = None
        self.result: dict[str, float] = {}

    def over(self, steps: int, updates: int) -> bool:
        """Told how far training is, between two rounds of play and learning; True when the window is over."""
        now = time.perf_counter()
        if steps >= self._fill and self._settled_s == float("inf"):
            self._settled_s = now + self._setup.settle
        elif self._begun is None and now >= self._settled_s:
            self._begun = now, steps, updates
        elif self._begun and now - self._begun[0] >= self._setup.seconds:
            took, played, learned = now - self._begun[0], steps - self._begun[1], updates - self._begun[2]
            samples = learned * self._setup.batch / played
            self.result = {"steps_per_s": played / took, "samples_per_step": samples, "window_s": took}
        return bool(self.result)


def measure(setup: Measure) -> None:
    """Measure one row in this process, and print it as one line of JSON."""
    limit_threads(setup.threads)
    meter = Meter(setup)
    sides = {"dqn": measure_ours, "pqn": measure_ours, "sb3": measure_sb3, "keras-example": measure_keras_example}
    with redirect_stdout(sys.stderr):
        device = sides[setup.what](setup, meter)
    packages = OURS if setup.what in ("dqn", "pqn") else PEERS
    versions = {"python": platform.python_version()} | {name: installed(name) for name in packages if installed(name)}
    print(json.dumps(asdict(setup) | meter.result | device | {"versions": versions}))


def limit_threads(threads: int) -> None:
    """Keep this process to so many cores, and every thread pool to as many threads; call before any is made."""
    for pool in ("OMP", "MKL", "OPENBLAS", "TF_INTRAOP", "TF_INTEROP"):
        name = f"TF_NUM_{pool[3:]}_THREADS" if pool.startswith("TF_") else f"{pool}_NUM_THREADS"
        os.environ[name] = str(threads)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # CPU against CPU
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def installed(package: str) -> str:
    """Its version, or "" if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def measure_ours(setup: Measure, meter: Meter) -> dict[str, str]:
    """The app's own learner, with the network and the optimizer that its `train` makes."""
    from apps import dqn_breakout as app
    from shared.atari.games import Games
    from shared.training import devices
    from shared.training.optimizers import adam

    config = app.Train(algorithm=setup.what, environments=setup.environments, batch=setup.batch, exploration=1e-6)
    config = replace(config, replay=CAPACITY, replay_ratio=SAMPLES_PER_STEP, warm_up=setup.fill)
    config = replace(config, target_every=TARGET_EVERY, epsilon=EPSILON, targets="single")
    with devices.setup(config.seed, setup.precision) as device:
        games = Games(GAME, config.environments, seed=config.seed, threads=setup.threads)
        network, optimizer = app.q_network(games.actions), adam(epsilon=1e-5, global_clipnorm=10.0)
        optimizer.build(network.trainable_variables)
        learner = getattr(app, config.algorithm)(config, games, network, optimizer, 0)
        for steps, _ in learner:
            if meter.over(steps, int(optimizer.iterations)):
                return {"precision": device.precision, "device": device.description}
    raise AssertionError("a learner does not end by itself")


def measure_sb3(setup: Measure, meter: Meter) -> dict[str, str]:
    """stable-baselines3's DQN on its own Atari environments, as its documentation sets them up."""
    import ale_py
    import gymnasium
    import torch
    from stable_baselines3 import DQN
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from stable_baselines3.common.vec_env import VecFrameStack
    from torch import nn

    class Features(BaseFeaturesExtractor):
        """All of our network but the last layer, which DQN's policy adds; it scales the pixels itself, too."""

        def __init__(self, space: gymnasium.Space) -> None:
            super().__init__(space, 512)
            convolutions = ((4, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1))
            layers = [part for sizes in convolutions for part in (nn.Conv2d(*sizes), nn.ReLU())]
            head = (nn.Flatten(), nn.LayerNorm(3136), nn.Linear(3136, 512), nn.LayerNorm(512), nn.ReLU())
            self.layers = nn.Sequential(*layers, *head)

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            return self.layers(frames)

    class Watch(BaseCallback):
        def _on_rollout_start(self) -> None:
            meter.over(self.num_timesteps, self.model._n_updates)

        def _on_step(self) -> bool:
            return not meter.result

    torch.set_num_threads(setup.threads)
    torch.set_num_interop_threads(setup.threads)
    gymnasium.register_envs(ale_py)
    every, updates = schedule(setup)
    model = DQN(
        "CnnPolicy",
        VecFrameStack(make_atari_env(ATARI_ID, setup.environments, seed=1), n_stack=4),
        learning_rate=1e-4,
        buffer_size=CAPACITY,
        learning_starts=setup.fill,
        batch_size=setup.batch,
        train_freq=every,
        gradient_steps=updates,
        target_update_interval=TARGET_EVERY,
        exploration_initial_eps=EPSILON,
        exploration_final_eps=EPSILON,
        policy_kwargs={"features_extractor_class": Features, "net_arch": []},
        seed=1,
        device="cpu",
    )
    model.learn(10**9, callback=Watch(), log_interval=None)
    return {"precision": "float32"}


def schedule(setup: Measure) -> tuple[int, int]:
    """(steps of all environments, updates after them): the shortest round that learns SAMPLES_PER_STEP."""
    every = 1
    while every * setup.environments * SAMPLES_PER_STEP % setup.batch:
        every += 1
    return every, every * setup.environments * SAMPLES_PER_STEP // setup.batch


def measure_keras_example(setup: Measure, meter: Meter) -> dict[str, str]:
    """Our network in the Keras example's loop."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    keras = import_keras()
    from apps.dqn_breakout import q_network

    def model() -> Any:
        frames_first = [keras.Input((4, 84, 84), dtype="uint8"), keras.layers.Permute((2, 3, 1))]
        return keras.Sequential([*frames_first, q_network(4)])

    online, target = model(), model()
    learn = keras_example_update(online, target)
    history: tuple[list, ...] = ([], [], [], [], [])  # states, actions, rewards, next states, ends
    updates = 0
    for steps, transition in enumerate(keras_example_play(online, setup.fill), 1):
        for column, value in zip(history, transition, strict=True):
            column.append(value)
            del column[:-CAPACITY]
        if steps >= setup.fill and steps % (setup.batch // SAMPLES_PER_STEP) == 0:
            learn(history, setup.batch)
            updates += 1
            if meter.over(steps, updates):
                return {"precision": "float32"}
        if steps % TARGET_EVERY == 0:
            target.set_weights(online.get_weights())
    raise AssertionError("play does not end by itself")


def keras_example_play(online: Any, random_steps: int) -> Iterator[tuple]:
    """Play one Python environment for ever, at first at random."""
    import ale_py
    import gymnasium
    import numpy as np
    from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation
    from keras import ops

    gymnasium.register_envs(ale_py)
    environment = FrameStackObservation(AtariPreprocessing(gymnasium.make(ATARI_ID)), 4)
    rng = np.random.default_rng(1)
    state, steps = environment.reset(seed=1)[0], 0
    while True:
        if steps < random_steps or rng.random() < EPSILON:
            action = int(rng.integers(4))
        else:
            values = online(ops.expand_dims(ops.convert_to_tensor(state), 0), training=False)
            action = int(ops.argmax(values[0]))
        following, reward, over, cut, _ = environment.step(action)
        yield state, action, reward, following, float(over)
        state, steps = environment.reset()[0] if over or cut else following, steps + 1


def keras_example_update(online: Any, target: Any) -> Any:
    """The example's update: `predict` for the targets, then a gradient taken op by op."""
    import keras
    import numpy as np
    import tensorflow as tf
    from keras import ops

    optimizer, huber = keras.optimizers.Adam(2.5e-4, clipnorm=1.0), keras.losses.Huber()
    rng = np.random.default_rng(1)

    def learn(history: tuple[list, ...], batch: int) -> None:
        chosen = rng.integers(0, len(history[0]), batch)
        states, actions, rewards, following, ends = (np.array([column[i] for i in chosen]) for column in history)
        beyond = target.predict(following, verbose=0).max(axis=1)  # verbose=0: no progress bar, to the peer's favour
        wanted = ops.cast(rewards + 0.99 * beyond * (1 - ends), "float32")
        with tf.GradientTape() as tape:
            values = ops.sum(online(states) * ops.one_hot(actions, 4), axis=1)
            loss = huber(wanted, values)
        gradients = tape.gradient(loss, online.trainable_variables)
        optimizer.apply_gradients(zip(gradients, online.trainable_variables, strict=True))

    return learn


# ------------------------------------------------------------------------------------------------------- The table


def compare(config: Compare) -> None:
    """Measure all rows and print the table."""
    in_range("--threads", config.threads, 1, len(usable_cores()))
    check_peer(config.peer_python)
    path = output_path(config.json, "dqn_throughput", "dqn_throughput.json") if config.json else None
    load, rows, begun = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, table_rows(), time.monotonic()
    if load > 0.5:
        say(f"This machine is not idle (load {load:.1f}): every number will be too low, and the ratios doubtful.")
    for number in range(config.rounds):
        for row in rows[:: -1 if number % 2 else 1]:  # there and back: a drift of the machine evens out
            row.results.append(measured(row, config))
            place = f"round {number + 1}/{config.rounds}"
            say(f"{place}  {described(row):58}{row.results[-1]['steps_per_s']:8,.0f} steps/s")
    print_table(rows, config, load)
    say(f"All of it took {time.monotonic() - begun:.0f} s.")
    if path:
        with write_atomically(path) as temporary:
            record = {"config": asdict(config), "load": load, "rows": [asdict(row) for row in rows]}
            temporary.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")


def usable_cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def check_peer(python: Path) -> None:
    """UserError unless this is a Python that has what the peers need."""
    needed = ["stable_baselines3", "keras", "tensorflow", "gymnasium", "cv2", "ale_py", "tyro", "PIL"]
    code = f"import importlib.util as u; print(*(n for n in {needed} if u.find_spec(n) is None))"
    try:
        found = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"--peer-python {python} does not run: give a virtual environment's python.") from error
    if missing := found.stdout.split():
        raise UserError(
            f"{python} lacks {', '.join(missing)}: run `{python} -m pip install -r requirements-bench.txt`."
        )


def described(row: Row) -> str:
    setup = row.setup
    return f"{row.label}, {setup.environments} env, batch {setup.batch}, {setup.precision}"


def measured(row: Row, config: Compare) -> dict[str, Any]:
    """Measure a row once, in a fresh process."""
    python = config.peer_python if row.setup.what in ("sb3", "keras-example") else Path(sys.executable)
    setup = replace(row.setup, threads=config.threads, seconds=config.seconds, fill=config.fill)
    setup = replace(setup, settle=min(setup.settle, config.seconds))
    flags = [part for name, value in asdict(setup).items() for part in (f"--{name}", str(value))]
    command = [python, Path(__file__).resolve(), "measure", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        say(done.stderr)
        raise UserError(f"the measurement of {described(row)} failed; what it said is above.")
    return json.loads(done.stdout.splitlines()[-1])


def print_table(rows: list[Row], config: Compare, load: float) -> None:
    """The table, what is equal and what is not, and the two goals."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title="Agent steps per second in training, Breakout, CPU")
    for name in ("", "games", "batch", "precision", "samples/step", "steps/s", "(range)", "ours float32", "ours auto"):
        table.add_column(name, justify="left" if name in ("", "precision") else "right", no_wrap=True)
    for row in rows:
        speeds, last = [result["steps_per_s"] for result in row.results], row.results[-1]
        ratios = [f"{ratio:.2f}x" for ratio in faster(row, rows)]
        precision = last["precision"].removeprefix("mixed_")
        spread = f"({min(speeds):,.0f}-{max(speeds):,.0f})"
        cells = (row.setup.environments, row.setup.batch, precision, f"{last['samples_per_step']:.1f}")
        table.add_row(row.label, *map(str, cells), f"{row.speed:,.0f}", spread, *ratios)
    console = Console(width=140, highlight=False)
    console.print(table)
    for line in remarks(rows, config, load):
        console.print(line, soft_wrap=True)


def remarks(rows: list[Row], config: Compare, load: float) -> Iterator[str]:
    """What a reader needs to understand the table."""
    yield f"{rows[0].results[0]['device'].removesuffix(', float32')}; load average before the first row {load:.1f}."
    windows = f"median of {config.rounds} x {config.seconds:g} s"
    yield f"{config.threads} threads for every row, one row at a time, each in a fresh process; {windows}."
    for name, row in (("Ours", rows[0]), ("Peers", rows[2])):
        yield f"{name}: " + ", ".join(f"{package} {version}" for package, version in row.results[0]["versions"].items())
    yield (
        "Equal: network (Nature CNN with two layer norms), Adam, batch, samples learned per step, epsilon, target "
        f"network and targets (`--targets single`), replay of {CAPACITY:,} ({config.fill:,} in it when learning "
        "begins). Unequal: each has its own emulator wrappers, replay and loss; the example's loop plays one game, and "
        "ours beside it 128."
    )
    for row in rows:
        if ratios := faster(row, rows):
            goal = GOALS[row.setup.what]
            said = [f"{ratio:.2f}x in {name}" for name, ratio in zip(("float32", "auto"), ratios, strict=True)]
            reached = [name for name, ratio in zip(("float32", "auto"), ratios, strict=True) if ratio >= goal]
            verdict = f"reached in {' and '.join(reached)}" if reached else "MISSED"
            yield f"{row.label}, batch {row.setup.batch}: ours is {' and '.join(said)}; goal {goal:g}x: {verdict}."


def faster(row: Row, rows: list[Row]) -> list[float]:
    """How many times as fast as this peer ours is at the same batch, in float32 and in auto; empty for ours."""
    return [rows[number].speed / row.speed for number in row.against or ()]


if __name__ == "__main__":
    cli.run(__doc__, compare, {"measure": measure})
