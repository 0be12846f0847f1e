"""What the benchmark of transfer is made of."""

from __future__ import annotations

import numpy as np

from benchmarks.transfer import mi_fgsm


def test_momentum_keeps_the_direction_and_epsilon_the_size():
    photos = np.full((2, 4, 4, 3), 100, np.uint8)
    photos[1] = 254
    calls = []

    def gradient_of(at):
        calls.append(at.copy())
        return np.ones_like(at) if len(calls) < 6 else -np.ones_like(at)

    found = mi_fgsm(gradient_of, photos, 8 / 255, steps=10)
    assert len(calls) == 10
    assert (found[0] == 107).all(), "five steps up, four more while momentum fades, and one without any"
    assert (found[1] <= 255).all()
