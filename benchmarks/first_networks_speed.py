"""Ten networks at once beside ten runs, and beside Keras' `Sequential.fit`, for the same tiny network and data.

    python benchmarks/first_networks_speed.py

Two spirals, 20 + 20 tanh units, Adam at .01, batches of 32. A thousand epochs of 192 points are 6,000 updates; `fit`
shuffles the points, ours draws its batches at random. Start-up and the first call, which compiles, are left out.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps import first_networks as app
from apps.parts.first_networks.tasks import Task, spirals
from shared import cli
from shared.settings import Range, Settings
from shared.training.runtime import import_keras


@dataclass
class Config(Settings):
    """Compare."""

    epochs: Annotated[int, Range(1, 100_000)] = 1000
    """Passes over 192 points."""
    seeds: Annotated[int, Range(2, 1000)] = 10
    """Networks at once."""


def seconds_at_once(task: Task, seeds: int, updates: int) -> float:
    """Seconds that so many updates of so many networks take, after the first."""
    config = app.Learn(layers="20,20", rate=0.01, batch=32, seeds=seeds, updates=updates + 1)
    began_s = 0.0
    for step, _ in app.watched(task, config, 1):
        if step == 1:
            began_s = time.perf_counter()
    return time.perf_counter() - began_s


def seconds_of_fit(task: Task, epochs: int) -> float:
    """Seconds of `fit` for one network, after an epoch that compiles."""
    keras = import_keras()
    dense = keras.layers.Dense
    model = keras.Sequential([keras.Input((2,)), dense(20, "tanh"), dense(20, "tanh"), dense(2)])
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(task.inputs, task.targets, batch_size=32, epochs=1, verbose=0)
    began_s = time.perf_counter()
    model.fit(task.inputs, task.targets, batch_size=32, epochs=epochs, verbose=0)
    return time.perf_counter() - began_s


def compare(config: Config) -> None:
    """Print seconds of each, and the ratios."""
    import_keras()
    task = spirals(0.02, 1, count=192)
    updates = config.epochs * len(task.inputs) // 32
    once = seconds_at_once(task, config.seeds, updates)
    alone = [seconds_at_once(task, 1, updates) for _ in range(2)]
    fitted = seconds_of_fit(task, config.epochs)
    runs = config.seeds * float(np.mean(alone))
    print(f"{updates:,} updates, batch 32: {config.seeds} networks at once {once:.1f} s")
    print(f"one network {np.mean(alone):.1f} s, so {config.seeds} runs {runs:.1f} s: {runs / once:.1f} times as long")
    print(f"Sequential.fit, one network: {fitted:.1f} s, {fitted / float(np.mean(alone)):.1f} times as long as ours")


if __name__ == "__main__":
    cli.run(__doc__, compare, {})
