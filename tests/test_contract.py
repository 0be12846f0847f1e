"""What every app promises, asked of all alike: an app takes part with its page and its file in tests/apps/toys/."""

from __future__ import annotations

import dataclasses
import re
import signal
import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pytest

from shared import saved_models
from shared.training import run_log, runtime
from shared.training.runtime import import_keras
from tests.apps.command import APPS, ROOT, Command, records
from tests.apps.toy import toy_of

SLOW = {
    "keras",
    "tensorflow",
    "jax",
    "matplotlib",
    "skimage",
    "sklearn",
    "gradio",
    "gymnasium",
    "ale_py",
    "tensorflow_datasets",
}
TRAINING = [name for name in APPS if "train" in Command(name).verbs]
SHIPPED = sorted(path.parent.name for path in saved_models.MODELS.glob("*/model.keras"))


def settings_of(name: str) -> set[str]:
    """The settings of an app's training."""
    config_type = next(iter(typing.get_type_hints(Command(name).verbs["train"]).values()))
    return {field.name for field in dataclasses.fields(config_type)}


@pytest.fixture
def run(name, toy_run):
    """A training of the app's that has ended."""
    return toy_run(name)


@pytest.fixture
def command(name, tmp_path, monkeypatch) -> Command:
    """The app's command, in an empty folder; what takes long is small."""
    monkeypatch.chdir(tmp_path)
    if name in TRAINING:
        toy_of(name).shrink(monkeypatch)
    return Command(name)


@pytest.fixture
def no_long_work(command, monkeypatch):
    """A wrong input is answered before anything slow begins: Keras, the training."""

    def too_late(*arguments, **options):
        raise AssertionError("the long work has begun")

    for module, function in ((runtime, "import_keras"), (saved_models, "import_keras"), (command.app, "fit")):
        monkeypatch.setattr(module, function, too_late, raising=module is not command.app)


# --------------------------------------------------------------------------------------------------------------- Help

HELP = r"""
import runpy, sys
script, *verbs = sys.argv[1:]
for words in ([], *([verb] for verb in verbs)):
    sys.argv = [script, *words, "--help"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        print(f"\f{end.code}\f")
print(*sys.modules)
"""


@pytest.mark.parametrize("name", APPS)
def test_help_waits_for_nothing_and_tells_of_every_verb(name, command, tmp_path):
    words = [sys.executable, "-c", HELP, str(ROOT / "apps" / f"{name}.py"), *command.verbs]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
    overview, *parts = said.stdout.split("\f")
    modules = parts.pop()
    assert set(parts[::2]) == {"0"}
    assert SLOW & set(modules.split()) == set(), "--help answers in under a second"
    assert command.app.__doc__.split("\n\n")[0].split()[0] in overview
    assert [verb for verb in command.verbs if not re.search(rf"^\W*{verb} ", overview, re.MULTILINE)] == []
    assert ("first word" in overview) == bool(command.verbs)
    assert "--resume" in said.stdout or name not in TRAINING
    assert "--no-" not in said.stdout
    assert said.stderr == ""
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------- Wrong inputs


@pytest.mark.parametrize("words", ["--frobnicate", "train --frobnicate", "train --seed many", "train --precision int8"])
@pytest.mark.parametrize("name", TRAINING)
def test_what_cannot_be_parsed(name, command, no_long_work, capsys, words):
    assert command.main(*words.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert words.split()[-1].lstrip("-") in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--model nowhere", "there is no model nowhere"),
        ("--model folder", "folder holds no model.keras"),
        ("-o file/{output}", "cannot write file.{output}: "),
        ("train --resume --run nowhere", "nowhere holds no run to go on with"),
    ],
)
@pytest.mark.parametrize("name", TRAINING)
def test_a_wrong_input_is_one_sentence_at_once(name, command, no_long_work, capsys, tmp_path, words, said):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    output = toy_of(name).output
    assert re.search(said.format(output=output), command.sentence(capsys, *words.format(output=output).split()))
    left = [path.name for path in tmp_path.rglob("*") if path.relative_to(tmp_path).parts[0] != "outputs"]
    assert sorted(left) == ["file", "folder"], "nothing half done is left behind"
    assert [path for path in tmp_path.rglob("outputs/**/*") if path.is_file()] == []


@pytest.mark.parametrize("name", [name for name in TRAINING if toy_of(name).needs_model])
def test_without_a_model_in_the_box(name, command, no_long_work, capsys, monkeypatch):
    monkeypatch.setattr(saved_models, "MODELS", Path("nowhere"))
    assert re.search(r"(train|make) (one|it) with .*python apps/\w+\.py train", command.sentence(capsys))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory) -> Path:
    """A folder with a model that no app has trained."""
    keras = import_keras()
    folder = tmp_path_factory.mktemp("stranger")
    saved_models.save(keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)]), folder, {"vocabulary": "abcd"})
    return folder


@pytest.mark.parametrize("name", TRAINING)
def test_a_model_of_another_kind_is_one_sentence(name, command, stranger, capsys, tmp_path):
    assert str(stranger) in command.sentence(capsys, "--model", stranger, *toy_of(name).demo.split())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", [name for name in TRAINING if "init" in settings_of(name)])
def test_an_init_of_another_kind_is_one_sentence_and_begins_no_run(name, command, run, stranger, capsys):
    for _ in range(2):
        assert command.main("train", *run.words, "--run", "new", "--init", stranger) == 2
        assert str(stranger) in capsys.readouterr().err.splitlines()[-1], "and not that there is a run already"


# -------------------------------------------------------------------------------------------------- Where results go


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", TRAINING)
def test_what_nobody_named_is_never_overwritten(name, command, run, tmp_path, capsys):
    words = ["--model", run.folder, *toy_of(name).demo.split()]
    command.text_of(capsys, *words)
    first = contents(tmp_path)
    command.text_of(capsys, *words)
    both = contents(tmp_path)
    assert first.items() <= both.items()
    assert {path.replace("-2", "", 1) for path in set(both) - set(first)} == set(first)
    assert all(path.startswith(str(Path("outputs", name))) for path in both)


@pytest.mark.parametrize("name", TRAINING)
def test_what_somebody_named_is(name, command, run, tmp_path, capsys):
    output = tmp_path / toy_of(name).output
    output.write_text("old", encoding="utf-8")
    told = command.text_of(capsys, "--model", run.folder, *toy_of(name).demo.split(), "-o", output)
    assert all(path.name.startswith(output.stem) for path in tmp_path.iterdir()), "beside it, if there is more"
    assert output.read_bytes() != b"old"
    assert told


# ----------------------------------------------------------------------------------------------------------- Training


def is_anybodys(model, name: str) -> bool:
    """Whether plain Keras knows every layer, or the card says what to import first, and the numbers are float32."""
    flat = list(model._flatten_layers(include_self=False))
    card = ROOT / "saved_models" / name / "README.md"
    told = card.read_text(encoding="utf-8") if card.is_file() else ""
    own = {module for layer in flat if not (module := type(layer).__module__).startswith("keras.")}
    assert {module for module in own if f"`import {module}` first" not in told} == set(), "nobody needs this repository"
    assert {str(layer.compute_dtype) for layer in flat} == {"float32"}
    return getattr(model, "optimizer", None) is None


def sample(model) -> list[np.ndarray]:
    """Two of each input: pixels, ids or numbers."""
    rng = np.random.default_rng(0)
    shapes = [[2, *(size or 96 for size in given.shape[1:])] for given in model.inputs]
    highest = {"uint8": 256, "int32": 4}
    return [
        rng.integers(0, highest[given.dtype], shape).astype(given.dtype)
        if given.dtype in highest
        else rng.normal(size=shape).astype(given.dtype)
        for given, shape in zip(model.inputs, shapes, strict=True)
    ]


@pytest.mark.parametrize("name", TRAINING)
def test_a_finished_run_has_a_model_for_anybody(name, run):
    files = {path.name for path in run.folder.iterdir()}
    assert files >= {"model.keras", "config.json", "metrics.jsonl", "curve.png", "checkpoints"}
    assert [file for file in files if file.startswith(".")] == [], "nothing half-written"
    assert (run.folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert str(run.folder) in run.out, "it says where the model is"
    model = import_keras().saving.load_model(run.folder / "model.keras", safe_mode=True)
    assert is_anybodys(model, name)


@pytest.mark.parametrize("name", TRAINING)
def test_a_run_is_not_overwritten(name, command, run, capsys):
    before = contents(run.folder)
    assert "holds a run already: add --resume" in command.sentence(capsys, "train", *run.words, "--run", run.folder)
    assert contents(run.folder) == before


class Stops:
    """Presses Ctrl-C while certain lines of the record are written."""

    def __init__(self, monkeypatch, *lines: int):
        self.count, self.lines = 0, lines
        log = run_log.RunLog.log

        def counted(*arguments, **metrics):
            log(*arguments, **metrics)
            self.count += 1
            if self.count in self.lines:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(run_log.RunLog, "log", counted)


def learned(run: Path) -> dict[str, list[dict]]:
    """Every line of every record, but for the time that it took."""
    found = sorted(path.parent for path in run.rglob("metrics.jsonl"))
    return {
        str(folder.relative_to(run)): [{k: v for k, v in line.items() if k != "time_s"} for line in records(folder)]
        for folder in found
    }


def pictures(run: Path) -> dict[str, bytes]:
    """Samples and films; the curve has the time on it."""
    return {name: content for name, content in contents(run).items() if re.search(r"(?<!curve)\.(png|jpg|webp)$", name)}


def newest_checkpoint(run: Path) -> dict[str, np.ndarray]:
    with np.load(max((run / "checkpoints").iterdir()) / "arrays.npz") as arrays:
        return dict(arrays)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINING)
def test_interrupted_twice_and_resumed_equals_no_interruption(name, command, run, monkeypatch, capsys, tmp_path):
    whole, words = learned(run.folder), ["train", *run.words, "--run", "a run"]
    lines = sum(map(len, whole.values()))
    stops = Stops(monkeypatch, max(lines // 3, 1), lines - 1)
    monkeypatch.setattr(sys, "argv", [f"apps/{name}.py", *map(str, words)])
    assert command.main(*words) == 130
    told = rf"To go on from the last checkpoint:\n  python apps/{name}\.py train .* --run 'a run' --resume\n"
    assert re.search(told, capsys.readouterr().err)
    assert command.main("train", "--resume", "--run", "a run") == 130
    assert stops.count >= lines - 1, "both came"
    assert command.main("train", "--resume", "--run", "a run") == 0
    parts = learned(tmp_path / "a run")
    assert {way: [line["step"] for line in parts[way]] for way in parts} == {
        way: [line["step"] for line in whole[way]] for way in whole
    }
    if toy_of(name).repeats:
        assert parts == whole
        assert pictures(tmp_path / "a run") == pictures(run.folder)
        for folder in whole:
            one, other = newest_checkpoint(run.folder / folder), newest_checkpoint(tmp_path / "a run" / folder)
            assert set(one) == set(other)
            for array in one:
                np.testing.assert_array_equal(one[array], other[array], err_msg=array)
    assert {path.name for path in (tmp_path / "a run").iterdir()} == {path.name for path in run.folder.iterdir()}


# --------------------------------------------------------------------------------------------------- What is shipped


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_anybodys_and_gives_what_the_app_gets(name):
    model = import_keras().saving.load_model(saved_models.MODELS / name / "model.keras", safe_mode=True)
    assert is_anybodys(model, name)
    given, (ours, _) = sample(model), saved_models.load(name)
    given = given if len(given) > 1 else given[0]
    answers, same = (network(given) for network in (model, ours))
    for answer, other in zip(*(x if isinstance(x, (list, tuple)) else [x] for x in (answers, same)), strict=True):
        values = np.asarray(answer)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert np.ptp(values) > 0
        np.testing.assert_array_equal(np.asarray(other), values)


def test_all_shipped_models_are_small_enough_to_clone():
    assert SHIPPED
    assert sum(path.stat().st_size for path in saved_models.MODELS.rglob("*") if path.is_file()) < 72 * 2**20
