"""The plain L2 network is trained as ours was, and evaluated beside it."""

import json

import numpy as np
import pytest

from apps import colorizer as app
from benchmarks import colorizer_l2 as bench
from shared import cli, saved_models
from tests.scenarios.colorizer import tiny_encoder, tiny_network


def ran(*words) -> int:
    with pytest.raises(SystemExit) as exit:
        cli.run(bench.__doc__, bench.compare, {}, [str(word) for word in words])
    return exit.value.code


@pytest.fixture
def ours(tmp_path, monkeypatch):
    """A finished run of the app, and photos, in an empty folder; the encoder is a tiny one."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app, "encoder", tiny_encoder)
    monkeypatch.setattr(app, "RESOLUTION", 32)
    (tmp_path / "album").mkdir()
    rng = np.random.default_rng(0)
    for n in range(60):
        colour = rng.integers(0, 256, (3, 3, 3), np.uint8)
        Image.fromarray(colour).resize((48, 48)).save(tmp_path / "album" / f"{n}.png")
    bins = app.ColourBins.of(np.zeros((1, 2)), 0.5, 0.2)
    settings = {"data": "album", "size": 32, "batch": 8, "learning_rate": 0.003, "epochs": 7, "from_scratch": True}
    saved_models.save(tiny_network(len(bins.centres)), tmp_path / "ours", settings | bins.record())
    (tmp_path / "ours" / "metrics.jsonl").write_text('{"step": 1, "time_s": 1.0}\n{"step": 2, "time_s": 90.0}\n')
    return tmp_path / "ours"


def test_the_settings_and_the_time_are_those_of_ours(ours):
    settings, minutes = bench.settings_of(bench.Compare(ours=ours))
    assert minutes == 1.5
    assert (settings.batch, settings.learning_rate, settings.data) == (8, 0.003, "album")
    assert settings.run == bench.Compare().l2
    assert bench.settings_of(bench.Compare(ours=ours, minutes=2.0))[1] == 2.0


def test_it_trains_once_and_prints_both(ours, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "epochs_in", lambda *_: 2)
    monkeypatch.setattr(saved_models, "MODELS", tmp_path / "empty")
    words = ["--ours", "ours", "--l2", "l2", "--test", "album", "--split", "test", "--limit", 4]
    assert ran(*words) == 0
    out = capsys.readouterr().out
    assert [line.split("  ")[0] for line in out.splitlines()[1:5]] == ["grey", "plain L2", "ours", "original"]
    record = json.loads((tmp_path / "l2" / "config.json").read_text(encoding="utf-8"))
    assert (record["method"], record["epochs"], record["learning_rate"]) == ("L2", 2, 0.003)
    monkeypatch.setattr(bench, "train_peer", lambda *_: pytest.fail("it is there already"))
    assert ran(*words) == 0
    assert len(list((tmp_path / "outputs" / "colorizer_l2").iterdir())) == 2, "no sheet is overwritten"


def test_no_run_is_a_sentence(tmp_path, monkeypatch, ours, capsys):
    (ours / "metrics.jsonl").unlink()
    assert ran("--ours", "ours", "--test", "album", "--split", "test") == 2
    assert "ours is not the folder of a finished run" in capsys.readouterr().err
