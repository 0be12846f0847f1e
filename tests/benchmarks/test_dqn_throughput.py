"""The table says what was measured, and a wrong environment for the peers is answered with a sentence."""

import sys
from pathlib import Path

import pytest

from benchmarks import dqn_throughput as bench
from shared import cli


@pytest.mark.parametrize(
    ("environments", "batch", "expected"), [(1, 32, (4, 1)), (8, 32, (1, 2)), (128, 128, (1, 8)), (2, 128, (8, 1))]
)
def test_peers_learn_from_as_many_samples_a_step(environments, batch, expected):
    assert bench.schedule(bench.Measure("sb3", environments, batch)) == expected


def test_window_leaves_out_filling_and_settling(monkeypatch):
    now = iter([0.0, 5.0, 9.0, 10.0, 12.0])  # seconds
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(now))
    meter = bench.Meter(bench.Measure("dqn", batch=32, fill=100, settle=3.0, seconds=2.0))
    told = [meter.over(steps, updates) for steps, updates in ((50, 0), (100, 1), (500, 101), (550, 113), (620, 131))]
    assert told == [False, False, False, False, True]
    assert meter.result == {"steps_per_s": 40.0, "samples_per_step": 8.0, "window_s": 3.0}


def test_table_shows_medians_ratios_and_goals(capsys):
    rows = bench.table_rows()
    for number, row in enumerate(rows):
        speeds = (300.0, 300.0, 300.0) if number in (1, 4) else (50.0, 100.0, 900.0)
        known = {
            "samples_per_step": 8.0,
            "precision": "float32",
            "device": "a CPU, float32",
            "versions": {"keras": "3"},
        }
        row.results = [{"steps_per_s": speed, **known} for speed in speeds]
    bench.print_table(rows, bench.Compare(Path("python")), load=0.0)
    printed = capsys.readouterr().out
    assert "(50-900)" in printed
    assert (
        "stable-baselines3, DQN, batch 32: ours is 1.00x in float32 and 3.00x in auto; goal 2x: reached in auto."
        in printed
    )
    assert "Keras example's loop, batch 32: ours is 1.00x in float32 and 3.00x in auto; goal 10x: MISSED." in printed


def test_rows_are_compared_with_ours_of_the_same_batch():
    rows = bench.table_rows()
    for row in rows:
        for number, precision in zip(row.against or (), ("float32", "auto"), strict=bool(row.against)):
            ours = rows[number].setup
            assert (ours.what, ours.batch, ours.precision) == ("dqn", row.setup.batch, precision)
            if row.setup.what == "sb3":
                assert ours.environments == row.setup.environments


def test_a_python_that_is_none_is_a_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["dqn_throughput.py", "--threads", "1", "--peer-python", str(tmp_path / "python")])
    with pytest.raises(SystemExit, match="2"):
        cli.run(bench.__doc__, bench.compare, {"measure": bench.measure})
    assert "does not run: give a virtual environment's python." in capsys.readouterr().err
