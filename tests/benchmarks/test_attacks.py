"""The table says what was measured, and a wrong environment for the peers is answered with a sentence."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import attacks as bench
from shared import cli
from shared.training.runtime import import_keras


def rows_with(speeds: dict[str, list[float]], successes: dict[str, float]) -> list[bench.Row]:
    rows = bench.table_rows()
    for row in rows:
        known = {"success": successes[row.who], "photos": 9, "farthest": 2.0, "versions": {"keras": "3"}}
        row.results = [{"photos_per_s": speed, **known} for speed in speeds[row.who]]
    return rows


def test_table_shows_medians_ratios_and_goals(capsys):
    speeds = {"Keras Arcade": [30.0, 10.0, 90.0], "Foolbox": [10.0, 1.0, 15.0], "ART": [29.0, 29.0, 29.0]}
    rows = rows_with(speeds, {"Keras Arcade": 91.0, "Foolbox": 90.5, "ART": 89.0})
    bench.print_table(rows, bench.Compare("photos", Path("python")), load=0.0)
    out = capsys.readouterr().out
    assert "(10.0-90.0)" in out
    assert "fgsm, Foolbox: 3.00x as fast, goal 1.5x: reached; success rates 0.5 points apart, goal 1: reached." in out
    assert "pgd, ART: 1.03x as fast, goal 1.5x: MISSED; success rates 2.0 points apart, goal 1: MISSED." in out
    assert out.count("network in a tf.function: ") == 4


def test_each_peer_is_compared_with_ours_of_the_same_attack():
    rows = bench.table_rows()
    for row in rows:
        assert (bench.beside(row, rows).who, bench.beside(row, rows).attack) == ("Keras Arcade", row.attack)
    assert len({(row.label, row.attack) for row in rows}) == len(rows) == 10


def test_our_row_is_the_apps_attack():
    keras = import_keras()
    network = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    photos = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.float32)
    for attack in ("fgsm", "pgd"):
        setup = bench.Measure(Path(), attack=attack, batch=5, epsilon=3.0)
        found = bench.ours(network, setup)(photos, np.array([0, 1, 2, 0, 1]))
        assert np.abs(found - photos).max() == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--peer-python", "nowhere/python"], "does not run: give a virtual environment's python."),
        (["--peer-python", "python", "--epsilon", "0"], "--epsilon is 0"),
        (["--peer-python", "python", "--rounds", "0"], "--rounds is 0"),
    ],
)
def test_wrong_input_is_a_sentence(tmp_path, capsys, words, said):
    with pytest.raises(SystemExit, match="2"):
        cli.run(
            bench.__doc__,
            bench.compare,
            {"measure": bench.measure},
            ["--data", str(tmp_path), "--threads", "1", *words],
        )
    assert said in capsys.readouterr().err
