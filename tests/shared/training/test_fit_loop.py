"""Around `fit`: averages are validated, the best is saved, and a resumed training equals an uninterrupted one."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from shared.training import fit_loop
from shared.training.best import BestKeeper
from shared.training.checkpoints import Checkpoints
from shared.training.optimizers import adamw
from shared.training.run_log import RunLog
from shared.training.runtime import import_keras
from tests.shared.training.test_checkpoints import assert_same_state


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


def records(folder: Path, name: str) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line[name]) for line in lines if name in line]


def test_averages_are_validated_and_the_best_is_saved(tmp_path):
    network, seen, saved = line(), [], []

    def weight() -> float:
        return float(np.asarray(network.get_weights()[0]).item())

    def validate() -> float:
        seen.append(weight())
        return [0.5, 0.7, 0.4][len(seen) - 1]

    def save_best(epoch: int, loss: float) -> None:
        saved.append((epoch, loss, weight()))

    assert fit_loop.fit(network, ones, validate, save_best, tmp_path, epochs=3, steps=2) == 0.4
    latest, average, expected = 0.0, None, []
    for step in range(6):
        latest = (latest + 1) / 2
        average = latest if average is None else (average + latest) / 2
        if step % 2:
            expected.append(average)
    assert seen == pytest.approx(expected)
    assert saved == [(1, 0.5, seen[0]), (3, 0.4, seen[2])]
    assert records(tmp_path, "val_loss") == [(2, 0.5), (4, 0.7), (6, 0.4)]
    assert (tmp_path / "curve.png").stat().st_size > 1000
    again = line()
    Checkpoints(tmp_path / "checkpoints", {"model": again, "optimizer": _built(again)}).restore()
    assert float(np.asarray(again.get_weights()[0]).item()) == latest, "raw weights, not the averages"


def _built(network):
    network.optimizer.build(network.trainable_variables)
    return network.optimizer


def test_resume_knows_the_best_score_so_far(tmp_path):
    saved, scores = [], iter([5.0, 4.0, 7.0, 6.0, 3.0])

    def fit(epochs: int, resume: bool) -> float:
        validate, save_best = lambda: next(scores), lambda *best: saved.append(best)
        return fit_loop.fit(
            line(), ones, validate, save_best, tmp_path, epochs=epochs, steps=2, metric="cider", resume=resume
        )

    assert fit(3, resume=False) == 7.0
    assert records(tmp_path, "cider") == [(2, 5.0), (4, 4.0), (6, 7.0)]
    assert fit(4, resume=True) == 7.0
    assert saved == [(1, 5.0), (3, 7.0)]
    assert fit(1, resume=False) == 3.0, "anew"


# ------------------------------------------------------------------------------------------- stop and resume


class Killed(BaseException):
    """What `kill -9` is to a process."""


def train(folder: Path, seed: int, epochs: int = 4, resume: bool = False):
    """The network, and the best loss, of a training with dropout, BatchNorm and averages; the seed sets its weights."""
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(8, "relu"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.3, seed=seed)]
    network = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1)])
    network.compile(keras.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9), "mse", jit_compile=False)
    held_out = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")

    def batches(epoch: int):
        rng = np.random.default_rng(epoch)
        for _ in range(4):
            x = rng.normal(size=(8, 4)).astype("float32")
            yield x, x[:, :1]
        yield from batches(epoch + 1)

    def validate() -> float:
        return float(np.square(np.asarray(network(held_out))[:, 0] - held_out[:, 0]).mean())

    def save_best(epoch: int, loss: float) -> None:
        (folder / "model.txt").write_text(f"{epoch} {loss}")

    return network, fit_loop.fit(network, batches, validate, save_best, folder, epochs=epochs, steps=4, resume=resume)


def killed_in(monkeypatch, owner: type, name: str, epoch: int, *, before: bool) -> None:
    """From here on the process is killed as it begins, or ends, this method's call for this epoch (0: any)."""
    method = getattr(owner, name)

    def fatal(self, step, *rest):
        if before and step == epoch:
            raise Killed
        method(self, step, *rest)
        if step == epoch:
            raise Killed

    monkeypatch.setattr(owner, name, fatal)


def test_killed_again_and_again_a_training_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    whole, best = train(tmp_path / "whole", seed=1)
    parts = tmp_path / "parts"
    for seed, before in ((1, True), (2, False)):  # between validation and checkpoint, and right after the checkpoint
        with monkeypatch.context() as patched, pytest.raises(Killed):
            killed_in(patched, Checkpoints, "save", 2, before=before)
            train(parts, seed, resume=seed > 1)
    with monkeypatch.context() as patched, pytest.raises(SystemExit, match="130"):
        patched.setattr(fit_loop, "LOG_EVERY", 2)
        log = RunLog.log

        def interrupted(self, step: int, **metrics) -> None:
            log(self, step, **metrics)
            if step == 10:  # in the middle of the third epoch
                signal.raise_signal(signal.SIGINT)

        patched.setattr(RunLog, "log", interrupted)
        train(parts, seed=3, resume=True)
    assert records(parts, "loss")[-2][0] == 8
    again, best_again = train(parts, seed=4, resume=True)
    finished, best_of_finished = train(parts, seed=5, resume=True)
    for network in (again, finished):
        assert_same_state([whole, whole.optimizer], [network, network.optimizer])
    assert best == best_again == best_of_finished
    assert records(parts, "val_loss") == records(tmp_path / "whole", "val_loss")
    assert (parts / "model.txt").read_text() == (tmp_path / "whole" / "model.txt").read_text()


def test_a_single_epoch_killed_after_its_checkpoint_has_its_model_and_its_loss(tmp_path, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed_in(patched, BestKeeper, "checkpoint", 1, before=False)
        train(tmp_path, seed=1, epochs=1)
    _, best = train(tmp_path, seed=2, epochs=1, resume=True)
    assert (tmp_path / "model.txt").read_text() == f"1 {best}"
    assert 0 < best < 10


def test_the_running_loss_is_logged_every_few_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(fit_loop, "LOG_EVERY", 2)
    train(tmp_path, seed=1, epochs=2)
    logged = records(tmp_path, "loss")
    assert [step for step, _ in logged] == [2, 4, 4, 6, 8, 8]
    assert all(loss > 0 for _, loss in logged)


def test_two_replicas_learn_what_one_device_learns(here):
    one, two = (here("fit_on_two_replicas")[name] for name in ("one", "two"))
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-4)
    np.testing.assert_allclose(two["weights"], one["weights"], rtol=1e-3, atol=1e-4)
    assert not two["flag"], "such a network could not be opened on JAX"
