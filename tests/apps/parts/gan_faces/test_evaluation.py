"""The numbers of the card and of a validation: distances between sets, copies and repetitions, what goes wrong."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from apps.parts.gan_faces import distances
from apps.parts.gan_faces.evaluation import Validator, compare, diagnosis, report_copies
from shared import saved_models


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_every_two_sets_are_compared(capsys):
    sets = {"these": np.full((4, 2, 2, 3), 7, np.uint8), "those": np.zeros((5, 2, 2, 3), np.uint8)}
    sets["others"] = sets["those"] + np.arange(5, dtype=np.uint8)[:, None, None, None]
    seen = compare(("FD-x", "KD-x"), lambda images: images[:, 0, 0].astype(np.float32), sets)
    np.testing.assert_array_equal(seen["these"], 7)
    out, err = capsys.readouterr()
    head, *rows = out.splitlines()
    assert head.split() == ["FD-x", "KD-x"]
    assert [row[:52].strip() for row in rows] == [
        "4 these and 5 those",
        "4 these and 5 others",
        "5 those and 5 others",
    ]
    assert float(rows[0][52:].split()[0]) == pytest.approx(3 * 49)
    assert "14 images" in err


def test_copies_and_repetitions_are_said(capsys):
    training, test = normal(300, 8), normal(100, 8, seed=1)
    closest = report_copies(training[50:150], training, test)
    np.testing.assert_array_equal(closest, np.arange(50, 150))
    out = capsys.readouterr().out
    assert "the nearest training photo is 0.000 away from a generated face" in out
    assert float(re.search(r"([\d.]+) from a test photo", out)[1]) > 1
    report_copies(np.ones((20, 8)), training, test)
    assert "the mean distance between two generated faces is 0.0% of that" in capsys.readouterr().out


def test_a_validation_is_minus_the_kernel_distance(monkeypatch, capsys):
    monkeypatch.setattr(saved_models, "MODELS", Path("nowhere"))
    rng = np.random.default_rng(0)
    real, fake = (rng.integers(0, high, (20, 64, 64, 3), np.uint8) for high in (256, 100))
    validator = Validator(real)
    logs = [{"critic_accuracy": 1.0, "loss": 2.0}, {"critic_accuracy": 0.5}]
    assert validator.means_of(logs) == {"critic_accuracy": 0.75, "loss": 2.0}
    features = distances.random_features(64)
    expected, _ = distances.kernel_distance(features(fake), features(real))
    assert validator.score(fake) == pytest.approx(-expected)
    assert validator.kind == "random"
    said = capsys.readouterr().err
    assert f"KD-random {expected:.4f}; variety " in said
    assert "critic right in 75%" in said


def test_what_goes_wrong_is_said():
    assert diagnosis(0.9, 0.8) == ""
    assert "mode collapse: the generated images vary 20%" in diagnosis(0.2, 0.8)
    assert "the critic is right in 99.8%" in diagnosis(0.9, 0.998)
