"""Both rows learn from the same features, and the table compares them."""

import json
import os

import numpy as np
import pytest

from apps import image_captioner as app
from benchmarks import captioner_training as bench
from shared import cli
from tests.scenarios.image_captioner import tiny_encoder

pytestmark = pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="the example is TensorFlow's")


def ran(*words) -> int:
    with pytest.raises(SystemExit) as exit:
        cli.run(bench.__doc__, bench.compare, {"measure": bench.measure}, [str(word) for word in words])
    return exit.value.code


@pytest.fixture
def album(tmp_path, monkeypatch):
    """A few photos, each with one caption; the encoder is a tiny one, and so are both networks."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app, "photo_encoder", tiny_encoder)
    monkeypatch.setattr(bench, "WIDTH", 16)
    monkeypatch.setattr(bench, "TIMED", 2)
    lines = []
    for n, split in enumerate(["train"] * 8 + ["test"] * 4):
        colour = ("red", "blue")[n % 2]
        Image.new("RGB", (32, 32), colour).save(tmp_path / f"{n:02}.png")
        lines.append(f"{n:02}.png,it is all {colour} here\n")
        with open(tmp_path / f"Flickr_8k.{split}Images.txt", "a") as file:
            file.write(f"{n:02}.png\n")
    (tmp_path / "captions.txt").write_text("".join(lines * 5))
    return tmp_path


def test_both_learn_and_write(album, capsys):
    rows = []
    for what in ("example", "ours"):
        words = ["measure", "--data", album, "--features", "features.npy", "--what", what, "--minutes", 0.15]
        assert ran(*words) == 0
        rows.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert np.load(album / "features.npy", mmap_mode="r").shape == (8, 2, 16, 6)
    assert set(rows[0]["results"]) == {"its loop"}
    assert set(rows[1]["results"]) == {"beams 1", "beams 3"}
    for row in rows:
        assert row["epochs"] > 1
        assert row["parameters"] > 1000
        for found in row["results"].values():
            assert found["BLEU-1"] > 70, "two sentences are soon learned"
            assert found["captions_per_s"] > 0
    bench.print_table(rows)
    out = capsys.readouterr().out
    assert "ours, beams 1: CIDEr " in out
    assert "goal 10x" in out


def test_ratios_are_of_the_examples_row(capsys):
    def row(what, **ways):
        results = {way: {"BLEU-4": 1.0, "CIDEr": cider, "captions_per_s": pace} for way, (cider, pace) in ways.items()}
        return {"what": what, "parameters": 1, "epochs": 1.0, "device": "here", "results": results}

    bench.print_table([row("example", **{"its loop": (20.0, 2.0)}), row("ours", **{"beams 1": (30.0, 100.0)})])
    out = capsys.readouterr().out
    assert "ours, beams 1: CIDEr 1.50x, goal 1.2x; captions a second 50.0x, goal 10x" in out


def test_wrong_input_is_a_sentence(album, capsys, monkeypatch):
    assert ran("--data", "nowhere") == 2
    assert "there is no folder nowhere" in capsys.readouterr().err
    assert ran("--data", album, "--minutes", 0) == 2
    assert "--minutes is 0" in capsys.readouterr().err
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert ran("--data", album) == 2
    assert "run this with KERAS_BACKEND=tensorflow" in capsys.readouterr().err
