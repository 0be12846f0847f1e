"""Training steps a second: ours beside the Keras example's way, the same network and batch size.

    python benchmarks/digits_speed.py

The Keras example "Simple MNIST convnet" trains with `model.fit` in float32 on arrays in memory, with Keras' Adam; here
it gets our network. Ours is apps/digits.py's own training: mixed precision where that is faster, batch normalisation
and Adam in one pass, a moving average of the weights, and drawings that are distorted anew while the network learns
from those before. Both in this process, in turns, after a warm-up; random digits. Beside other work the seconds of the
processor say more than those of the clock.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from apps import digits as app
from apps.parts.digits.mnist import Digits
from shared import cli
from shared.data.prefetch import prefetch
from shared.settings import Range, Settings
from shared.training import devices


@dataclass
class Speed(Settings):
    """Measure both."""

    steps: Annotated[int, Range(10, 100_000)] = 100
    """Batches in each turn."""
    turns: Annotated[int, Range(1, 100)] = 3
    """Turns of each."""
    network: str = "cnn"
    """As of apps/digits.py train."""


def measure(config: Speed) -> None:
    """Print digits a second."""
    import keras

    from shared.training.batch_norm import fused

    settings = app.Train(network=config.network)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    digits = Digits(rng.integers(0, 255, (20_000, 28, 28), np.uint8), rng.integers(0, 10, 20_000))
    with devices.setup(1, "auto") as device:
        ours, theirs = fused(app.network_of(settings, device.precision)), app.network_of(settings)
        ours.compile(
            app.adamw(10_000, settings.learning_rate, settings.weight_decay, settings.average), app.cross_entropy
        )
        theirs.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
        batches = iter(prefetch(app.batches(digits, settings, 0)))
        images, wanted = digits.images[..., None], np.eye(10, dtype=np.float32)[digits.labels]
        ways = {
            "ours": lambda n: ours.fit(batches, steps_per_epoch=n, verbose=0),
            "Keras' example": lambda n: theirs.fit(images[: 128 * n], wanted[: 128 * n], batch_size=128, verbose=0),
        }
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for turn in range(config.turns + 1):
            for name, run in ways.items():
                began, began_cpu = time.perf_counter(), time.process_time()
                run(config.steps if turn else 10)
                if turn:
                    seconds[name].append((time.perf_counter() - began, time.process_time() - began_cpu))
    report(seconds, 128 * config.steps)
    print(f"{device.description}, Keras {keras.__version__}")


def report(seconds: dict[str, list[tuple[float, float]]], count: int) -> None:
    """Print both ways' digits a second, by the clock and by the processor, and their ratios."""
    medians = []
    for name, found in seconds.items():
        paces = count / np.array(found)
        medians.append(np.median(paces, axis=0))
        clock, cpu = medians[-1]
        turns = ", ".join(f"{pace:,.0f}" for pace in paces[:, 0])
        print(f"{name}: {clock:,.0f} digits a second (median of {turns}), {cpu:,.0f} a second of one core")
    clock, cpu = medians[0] / medians[1]
    print(f"ratio {clock:.2f} by the clock, {cpu:.2f} by processor time")


if __name__ == "__main__":
    cli.run(__doc__, measure, {})
