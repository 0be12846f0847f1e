"""The optimizer's course, and what surrounds `fit`: averaged weights are judged, the best is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest

from shared.training import fit_loop
from shared.training.optimizers import adamw
from shared.training.runtime import import_keras


def test_adamw_climbs_then_falls_and_averages():
    import_keras()
    optimizer = adamw(1000, 2e-3, weight_decay=0.1, average=0.05)
    rates = [float(optimizer._learning_rate(step)) for step in (0, 50, 100, 550, 1000, 2000)]
    assert rates == pytest.approx([0, 1e-3, 2e-3, 1e-3, 0, 0], abs=1e-6)
    assert optimizer.ema_momentum == pytest.approx(0.98)
    assert adamw(3, 1e-3, average=0.03).ema_momentum == 0.0, "a run too short to average"


def line():
    """A network of one weight; SGD halves its distance to 1 with each batch of `ones`."""
    keras = import_keras()
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    network.compile(keras.optimizers.SGD(0.25, use_ema=True, ema_momentum=0.5), "mse")
    return network


def ones(epoch: int):
    while True:
        yield np.ones((4, 1), "float32"), np.ones((4, 1), "float32")


def test_averages_are_judged_and_the_best_is_kept(tmp_path):
    network, seen, kept = line(), [], []

    def judge() -> float:
        seen.append(float(np.asarray(network.get_weights()[0]).item()))
        return [0.5, 0.7, 0.4][len(seen) - 1]

    best = fit_loop.fit(network, ones, tmp_path, epochs=3, steps=2, judge=judge, keep=lambda *k: kept.append(k))
    assert best == 0.4
    assert kept == [(1, 0.5), (3, 0.4)]
    latest, average, expected = 0.0, None, []
    for step in range(6):
        latest = (latest + 1) / 2
        average = latest if average is None else (average + latest) / 2
        if step % 2:
            expected.append(average)
    assert seen == pytest.approx(expected)
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(r["step"], r["val_loss"]) for r in records if "val_loss" in r] == [(2, 0.5), (4, 0.7), (6, 0.4)]
    assert (tmp_path / "curve.png").stat().st_size > 1000


def test_resume_knows_the_best_so_far(tmp_path):
    fit_loop.fit(line(), ones, tmp_path, epochs=1, steps=2, judge=lambda: 0.5, keep=lambda *k: None)
    kept = []
    more = {"judge": lambda: 0.6, "keep": lambda *k: kept.append(k), "resume": True}
    assert fit_loop.fit(line(), ones, tmp_path, epochs=2, steps=2, **more) == 0.5
    assert kept == []
    assert fit_loop.fit(line(), ones, tmp_path, epochs=1, steps=2, judge=lambda: 0.7, keep=lambda *k: None) == 0.7, (
        "anew"
    )


def test_of_a_score_more_is_better(tmp_path):
    kept, given = [], iter([5.0, 4.0, 7.0])
    course = {"judge": lambda: next(given), "keep": lambda *k: kept.append(k), "score": "cider"}
    assert fit_loop.fit(line(), ones, tmp_path, epochs=3, steps=2, **course) == 7.0
    assert kept == [(1, 5.0), (3, 7.0)]
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [r["cider"] for r in records if "cider" in r] == [5.0, 4.0, 7.0]
    given = iter([6.0])
    assert fit_loop.fit(line(), ones, tmp_path, epochs=4, steps=2, resume=True, **course) == 7.0
    assert len(kept) == 2
