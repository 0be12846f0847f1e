"""The writing app: its network and windows, its commands as a person types them, its sentences."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from apps import char_rnn as app
from apps.parts.char_rnn.texts import split
from apps.parts.char_rnn.writer import Writer, joined
from shared import saved_models
from shared.data.alphabet import Alphabet
from shared.training.runtime import import_keras
from tests.apps.command import Command, scores
from tests.parity_worker import build

ROOT = Path(__file__).parents[2]
APP = ROOT / "apps" / "char_rnn.py"

TINY = ["--units", "24", "--embedding", "8", "--batch", "8", "--window", "32", "--average", "0.2"]

COMMAND = Command("char_rnn")
main, text_of, sentence = COMMAND.main, COMMAND.text_of, COMMAND.sentence


def start(folder: Path, *words, stdin=subprocess.DEVNULL) -> subprocess.Popen:
    """The app in a process of its own, in another working directory."""
    environment = {**os.environ, "PYTHONUTF8": "1"}
    command = [sys.executable, str(APP), *map(str, words)]
    pipes = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    return subprocess.Popen(command, cwd=folder, env=environment, **pipes)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Outputs go to the current directory: let that not be the repository. Nothing is piped in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app.terminal, "read_pipe", lambda: "")


@pytest.fixture(scope="module")
def play(run) -> Path:
    """The text that it learned from."""
    return run.data


# ---------------------------------------------------------------------------------------------- network and data


def test_both_forms_of_the_network_are_one():
    import_keras()
    config = app.Train(layers=2, units=8, embedding=6)
    training, shipped = build(app.char_model(5, config, batch=2)), app.char_model(5, config)
    shipped.set_weights([variable.numpy() for variable in training.trainable_variables])
    ids = np.random.default_rng(0).integers(0, 5, (2, 40)).astype("int32")
    whole = np.asarray(shipped(ids))
    assert (whole.shape, whole.dtype) == ((2, 40, 5), np.float32)
    parts = [np.asarray(training(part)) for part in np.split(ids, 4, axis=1)]  # its states go on
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(shipped(ids)), whole)  # and those of the shipped one do not


def test_the_default_network_is_small_enough():
    import_keras()
    network = app.char_model(65, app.Train())
    assert network.count_params() <= 4_000_000


def test_windows_go_on_where_they_ended_and_miss_nothing():
    ids, config = np.arange(1000, dtype=np.int32), app.Train(batch=4, window=16, seed=3)
    batches = app.windows(ids, config, epoch=0)
    epochs = [[next(batches) for _ in range(1000 // 64)] for _ in range(2)]
    for rows, following in epochs[0]:
        assert rows.shape == following.shape == (4, 16)
        assert rows.dtype == np.int32
        np.testing.assert_array_equal(following, (rows + 1) % 1000)
    for (_, ended), (rows, _) in zip(epochs[0], epochs[0][1:], strict=False):
        np.testing.assert_array_equal(rows[:, 0], ended[:, -1])
    assert len(np.unique([rows for rows, _ in epochs[0]])) == 960
    assert (epochs[0][0][0] != epochs[1][0][0]).any(), "each epoch cuts elsewhere"
    again = next(app.windows(ids, config, epoch=1))
    np.testing.assert_array_equal(again[0], epochs[1][0][0])  # a resumed run reads what the whole one would have


def test_windows_of_a_text_that_just_fits():
    ids = np.arange(64, dtype=np.int32)
    rows, following = next(app.windows(ids, app.Train(batch=4, window=16), epoch=0))
    np.testing.assert_array_equal(following, (rows + 1) % 64)


@pytest.mark.slow
def test_both_backends_train_alike(results):
    tensorflow, jax = results("char_rnn_trains")
    for name in ("loss", "states", "weights"):
        np.testing.assert_allclose(tensorflow[name], jax[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert np.abs(tensorflow["states"]).min() > 0


# ------------------------------------------------------------------------------------------------------ training


def test_a_run_learns_and_leaves_a_model_that_plain_keras_loads(trained, play):
    losses = scores(trained)
    assert len(losses) == 4
    assert losses[-1] < losses[0] - 0.5
    text = play.read_text(encoding="utf-8")
    config = json.loads((trained / "config.json").read_text(encoding="utf-8"))
    assert config["vocabulary"] == "".join(sorted(set(text)))
    assert config["val_loss"] == pytest.approx(min(losses), rel=1e-4)
    assert (config["units"], config["epoch"]) == (24, 4)
    keras = import_keras()
    model = keras.saving.load_model(trained / "model.keras", safe_mode=True)
    assert model.inputs[0].dtype == "int32"
    assert (model.input_shape, model.output_shape) == ((None, None), (None, None, len(config["vocabulary"])))


def test_the_saved_network_is_the_one_that_was_judged(trained, play):
    network, alphabet = app.load(trained)
    ids = alphabet.encode(split(play.read_text(encoding="utf-8"))[1])
    loss = app.compile_block_losses(network)(ids).mean()
    assert loss == pytest.approx(min(scores(trained)), abs=0.03)  # bfloat16


def test_init_goes_on_from_a_model(tmp_path, play, trained, capsys):
    words = ["train", "--data", play, *TINY, "--run", "more", "--init", trained]
    assert main(*words, "--epochs", 1, "--learning-rate", 1e-6) == 0
    assert scores(tmp_path / "more")[0] == pytest.approx(min(scores(trained)), abs=0.03)


def test_a_text_of_thousands_of_symbols(tmp_path, capsys):
    symbols = "".join(chr(0x4E00 + i) for i in range(3000))
    rng = np.random.default_rng(0)
    text = "".join(symbols[i] for i in rng.permutation(np.resize(np.arange(3000), 9000)))
    (tmp_path / "long.txt").write_text(f"\u3000{text}\n", encoding="utf-8")
    assert main("train", "--data", "long.txt", "--run", "run", *TINY, "--epochs", 1) == 0
    capsys.readouterr()
    written = text_of(capsys, "--model", "run", "--length", 70, "--prompt", text[:5])
    assert written.startswith(text[:5])
    assert set(written) <= set(text) | {"\n", "\u3000"}


def test_a_short_text_gets_a_smaller_batch(tmp_path, play, capsys):
    (tmp_path / "short.txt").write_text(play.read_text(encoding="utf-8")[:200], encoding="utf-8")
    assert main("train", "--data", "short.txt", "--run", "run", *TINY, "--epochs", 1) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))["batch"] == 180 // 32


# ------------------------------------------------------------------------------------------------------- writing


def test_a_seed_writes_the_same_text_again(trained, capsys):
    words = ["--model", trained, "--length", 150]
    first = text_of(capsys, *words, "--seed", 5)
    assert len(first) == 150 + 1
    assert text_of(capsys, *words, "--seed", 5) == first
    assert text_of(capsys, *words, "--seed", 6) != first
    assert text_of(capsys, *words) != text_of(capsys, *words), "without a seed, another text every time"


def test_the_most_likely_text_needs_no_seed(trained, capsys):
    words = ["--model", trained, "--length", 100, "--prompt", "ROMEO:"]
    greedy = text_of(capsys, *words, "--top-k", 1)
    assert greedy.startswith("ROMEO:")
    assert text_of(capsys, *words, "--top-k", 1, "--temperature", 50) == greedy
    assert text_of(capsys, *words, "--temperature", 0.001) == greedy
    assert text_of(capsys, *words, "--temperature", 50) != greedy


def test_samples_and_a_file(trained, tmp_path, capsys):
    words = ["--model", trained, "--length", 80, "--seed", 1]
    out = text_of(capsys, *words, "--samples", 3, "-o", "verse.txt")
    texts = out.removesuffix("\n").split("\n" + "-" * 60 + "\n")
    assert [len(text) for text in texts] == [80] * 3
    assert len(set(texts)) == 3
    assert text_of(capsys, *words) == texts[0] + "\n"
    assert (tmp_path / "verse.txt").read_text(encoding="utf-8") == "\n".join(texts) + "\n"
    assert [path.name for path in tmp_path.iterdir()] == ["verse.txt"]


def test_confidence_is_a_colour_of_each_character(trained, capsys):
    words = ["--model", trained, "--length", 60, "--seed", 2]
    out = text_of(capsys, *words, "--show-confidence")
    colours, plain = re.findall(r"\x1b\[38;5;(\d+)m", out), re.sub(r"\x1b\[[\d;]*m", "", out)
    assert plain == text_of(capsys, *words)
    assert len(colours) == 60
    assert len(set(colours)) > 3
    assert out.endswith("\x1b[0m\n")


def test_what_the_network_cannot_read_is_told(trained, capsys):
    words = ["--model", trained, "--length", 10, "--seed", 1]
    assert main(*words, "--prompt", "R\u00d3MEO 9") == 0
    out, err = capsys.readouterr()
    assert out.startswith("ROMEO ")
    assert "it reads '\u00d3' as 'O', '9' as nothing." in err
    assert main(*words, "--prompt", "123") == 0
    assert len(capsys.readouterr().out) == 11, "nothing is left of the prompt: it begins as without one"


def test_a_long_prompt_is_read_from_its_end(trained, capsys):
    prompt = "night " * 1000 + "ROMEO:"
    out = text_of(capsys, "--model", trained, "--length", 5, "--prompt", prompt)
    assert out[:2000] == prompt[-2000:]
    assert len(out) == 2006


def test_a_piped_prompt(trained, capsys, monkeypatch):
    monkeypatch.setattr(app.terminal, "read_pipe", lambda: "JULIET:")
    words = ["--model", trained, "--length", 20]
    assert text_of(capsys, *words).startswith("JULIET:")
    assert text_of(capsys, *words, "--prompt", "NURSE").startswith("NURSE")


def test_evaluate_gives_every_number(trained, play, capsys):
    out = text_of(capsys, "evaluate", "--model", trained, "--data", play, "--blocks", 70)
    rows = {line[:36].strip(): [float(x) for x in line[36:].split()] for line in out.splitlines()[2:4]}
    blocks, stream = rows["70 random blocks of 256"], rows["one pass, state kept"]
    for nats, bits, perplexity in (blocks, stream):
        assert bits == pytest.approx(nats / np.log(2), abs=2e-4)
        assert perplexity == pytest.approx(np.exp(nats), abs=2e-3)
    assert stream[0] == pytest.approx(min(scores(trained)), abs=0.3)
    network, alphabet = app.load(trained)
    ids = alphabet.encode(split(play.read_text(encoding="utf-8"))[1])
    logits = np.asarray(network(ids[None, :-1]), "float64")[0]
    nats = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(ids) - 1), ids[1:]]
    assert stream[0] == pytest.approx(nats.mean(), abs=1e-4)
    assert re.search(r"words that occur in that text: \d+\.\d% \(of the words in the last tenth: 99\.\d%\)", out)
    assert re.search(r"longest passage copied from it: \d+ characters, ['\"]", out)


# ------------------------------------------------------------------------------------- as processes of their own


@pytest.mark.slow
def test_a_prompt_comes_through_a_real_pipe_and_ctrl_c_leaves_the_terminal_sane(tmp_path, trained):
    words = ["--model", trained, "--length", 1_000_000, "--show-confidence"]
    process = start(tmp_path, *words, stdin=subprocess.PIPE)
    process.stdin.write("JULIET:\n")
    process.stdin.close()
    process.stdin = None
    begun = os.read(process.stdout.fileno(), 1 << 16).decode()  # comes before the text is finished
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.sub(r"\x1b\[[\d;]*m", "", begun + out).startswith("JULIET:")
    assert (begun + out).endswith("\x1b[0m\n")
    assert "Traceback" not in err
    assert err.endswith("Interrupted.\n")


# -------------------------------------------------------------------------------------------------- wrong inputs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--length 99999999999", "--length"),
        ("evaluate --data nowhere.txt", "nowhere.txt"),
        ("evaluate --model nowhere --data good.txt", "there is no model nowhere"),
        ("train --data nowhere.txt", "nowhere.txt"),
        ("train --data folder", "folder is not a file"),
        ("train --data file", "file is empty"),
        ("train --data binary", "binary is not plain text"),
        ("train --data latin", "latin is not UTF-8"),
        ("train --data short.txt", "short.txt is shorter than a window of 128 characters"),
        ("train --data short.txt --window 2", "short.txt is shorter"),
        ("train --data good.txt --run file", "file"),
    ],
)
def test_a_wrong_input_is_one_sentence_at_once(tmp_path, capsys, no_long_work, words, said):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "latin").write_bytes("na\u00efve".encode("latin-1") * 100)
    (tmp_path / "short.txt").write_text("To be, or not", encoding="utf-8")
    (tmp_path / "good.txt").write_text("To be, or not to be: " * 100, encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    assert re.search(said, sentence(capsys, *words.split()))
    assert sorted(tmp_path.rglob("*")) == before, "nothing half done is left behind"


def test_models_that_are_not_this_apps(tmp_path, capsys, trained, play):
    keras = import_keras()
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    saved_models.save(other, tmp_path / "other", {"vocabulary": "abcd"})
    assert "is not a network that this app trained" in sentence(capsys, "--model", "other")
    (tmp_path / "alone.keras").write_bytes((trained / "model.keras").read_bytes())
    assert "vocabulary in config.json" in sentence(capsys, "--model", "alone.keras")


def test_texts_that_the_network_does_not_fit(tmp_path, capsys, trained, play):
    (tmp_path / "other.txt").write_text("Kein gro\u00dfer Text. " * 100, encoding="utf-8")
    for _ in range(2):
        assert main("train", "--data", "other.txt", "--run", "run", *TINY, "--init", trained) == 2
        assert "writes other symbols than other.txt has" in capsys.readouterr().err.splitlines()[-1]
        assert main("train", "--data", play, "--run", "run", *TINY, "--layers", 1, "--init", trained) == 2
        assert "another shape" in capsys.readouterr().err.splitlines()[-1]
    assert "the model was trained without" in sentence(
        capsys, "evaluate", "--model", trained, "--data", "other.txt", "--blocks", 1
    )


# --------------------------------------------------------------------------------------------- the shipped model


def test_the_shipped_model_is_small_and_knows_shakespeare():
    network, alphabet = app.load(None)
    assert network.count_params() <= 4_000_000
    assert sum(path.stat().st_size for path in (saved_models.MODELS / "char_rnn").iterdir()) <= 8 * 2**20
    assert len(alphabet) == 65
    verse = "\nROMEO:\nGood morrow to thee, gentle Capulet.\n"
    _, scores = joined(Writer(network).write(alphabet.encode(verse), 0, np.random.default_rng(0)))
    assert -scores.mean() < 2.0
    strange = np.random.default_rng(0).permutation(Alphabet(alphabet.symbols).encode(verse))
    _, scores = joined(Writer(network).write(strange, 0, np.random.default_rng(0)))
    assert -scores.mean() > 3.0
