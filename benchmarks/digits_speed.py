"""Training steps a second: ours beside the Keras example's way, the same network and batch size.

    python benchmarks/digits_speed.py

The Keras example "Simple MNIST convnet" trains with `model.fit` in float32 on arrays in memory, with Keras' Adam; here
it gets our network. Ours is apps/digits.py's own training: mixed precision where that is faster, Adam in one pass, a
moving average of the weights, and drawings that are distorted anew while the network learns from those before. Both in
this process, in turns, after a warm-up; random digits.
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

    settings = app.Train(network=config.network)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    digits = Digits(rng.integers(0, 255, (20_000, 28, 28), np.uint8), rng.integers(0, 10, 20_000))
    with devices.setup(1, "auto") as device:
        ours, theirs = app.network_of(settings, device.precision), app.network_of(settings)
        ours.compile(
            app.adamw(10_000, settings.learning_rate, settings.weight_decay, settings.average), app.cross_entropy
        )
        theirs.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
        batches = prefetch(app.batches(digits, settings, 0))
        images, wanted = digits.images[..., None], np.eye(10, dtype=np.float32)[digits.labels]
        ways = {
            "ours": lambda n: ours.fit(batches, steps_per_epoch=n, verbose=0),
            "Keras' example": lambda n: theirs.fit(images[: 128 * n], wanted[: 128 * n], batch_size=128, verbose=0),
        }
        paces: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(config.turns + 1):
            for name, run in ways.items():
                began_s = time.perf_counter()
                run(config.steps if turn else 10)
                if turn:
                    paces[name].append(128 * config.steps / (time.perf_counter() - began_s))
    for name, found in paces.items():
        turns = ", ".join(f"{pace:,.0f}" for pace in found)
        print(f"{name}: {np.median(found):,.0f} digits a second (median of {turns})")
    ratio = np.median(paces["ours"]) / np.median(paces["Keras' example"])
    print(f"ratio {ratio:.2f}, {device.description}, Keras {keras.__version__}")


if __name__ == "__main__":
    cli.run(__doc__, measure, {})
