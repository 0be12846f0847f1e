"""The command line as a person meets it: a small fake app, run in a subprocess."""

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared import cli
from shared.console import JsonKeys, finish_batch, for_each, held_stderr, print_answers
from shared.errors import UserError, in_range, suggest
from shared.files import output_path, sweep, write_atomically

ROOT = Path(__file__).resolve().parents[2]
APP = '''"""Colour old photographs.

A second paragraph, which --help leaves out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from shared import cli
from shared.files import output_path, write_atomically
from shared.settings import Range, Settings
from shared.training.runtime import import_keras


@dataclass
class Demo:
    photo: tyro.conf.Positional[Path | None] = None
    """The black-and-white photo to colour."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where the colour photo goes."""


@dataclass
class Train(Settings):
    # not help
    learning_rate: Annotated[float, Range(1e-9, 1)] = 1e-3
    """Step size of Adam."""
    fail: str = ""
    """How to fail."""


def demo(config: Demo) -> None:
    path = output_path(config.output, "fake", "new.png")
    if config.photo:
        config.photo.read_bytes()
    with write_atomically(path) as temporary:
        temporary.write_text("colour")
    print(path)


def train(config: Train) -> None:
    """Train from scratch.

    At length."""
    if config.fail == "bug":
        raise ZeroDivisionError("a bug")
    if config.fail == "sleep":
        try:
            print("ready", flush=True)
            time.sleep(30)
        finally:
            print("cleaned up")
    if config.fail == "keras":
        keras = import_keras()
        layer = keras.layers.Dense(2)
        print(keras.Sequential([layer])(keras.ops.ones((1, 3))).shape)


def evaluate(config: Train) -> None:
    """Recompute every number on the model card."""


if __name__ == "__main__":
    cli.run(__doc__, demo, {"train": train, "evaluate": evaluate})
'''


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def environment(**extra):
    drop = {"KERAS_BACKEND", "ARCADE_DEBUG", "TF_CPP_MIN_LOG_LEVEL"}
    return {k: v for k, v in os.environ.items() if k not in drop} | {"PYTHONPATH": str(ROOT)} | extra


def app(folder, *words, stdout=subprocess.PIPE, **extra):
    command = [sys.executable, "app.py", *words]
    return subprocess.run(
        command, check=False, cwd=folder, env=environment(**extra), stdout=stdout, stderr=subprocess.PIPE, text=True
    )


def assert_sentence(result, *parts):
    assert result.returncode == 2, result
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in result.stderr


def test_help_is_quick_and_lists_the_verbs(folder):
    start = time.monotonic()
    result = app(folder, "--help")
    assert time.monotonic() - start < 5  # 0.3 s on an idle machine: Keras alone would take longer than this when busy
    assert result.returncode == 0
    for part in ("Colour old photographs.", "train     Train from", "evaluate  Recompute", "PHOTO", "black-and-white"):
        assert part in result.stdout
    assert "second paragraph" not in result.stdout
    assert "None}" not in result.stdout


def test_the_version_is_the_changelogs_newest(folder):
    result = app(folder, "--version")
    assert result.returncode == 0
    newest = re.search(r"^## (\d+\.\d+\.\d+) - ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert result.stdout.startswith(f"Keras Arcade {newest[1]}, with keras 3.")


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = "import sys, shared.cli, shared.saved_models; print({'keras', 'numpy', 'tyro', 'h5py'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_help_of_a_verb(folder):
    result = app(folder, "train", "--help")
    assert result.returncode == 0
    assert "Step size of Adam." in result.stdout
    assert "not help" not in result.stdout


def test_demo_takes_positionals_and_never_overwrites_what_nobody_named(folder):
    (folder / "photo.jpg").write_bytes(b"")
    assert app(folder, "photo.jpg", "-o", "new.png").stdout == "new.png\n"
    assert app(folder, "photo.jpg", "-o", "new.png").stdout == "new.png\n"
    names = [app(folder).stdout.strip() for _ in range(3)]
    assert names == [str(Path("outputs", "fake", name)) for name in ("new.png", "new-2.png", "new-3.png")]
    assert sorted(p.name for p in folder.iterdir()) == ["app.py", "new.png", "outputs", "photo.jpg"]


def test_wrong_flags_are_answered_with_what_was_meant(folder):
    assert_sentence(app(folder, "--outptu", "x.png"), "--outptu", "--output")
    assert_sentence(app(folder, "train", "--learning-rte", "1"), "--learning-rate")
    assert_sentence(app(folder, "train", "--learning-rate", "fast"), "--learning-rate")
    assert_sentence(app(folder, "train", "--learning-rate", "-1"), "error: --learning-rate is -1, and must")


def test_a_mistyped_verb_is_suggested(folder):
    assert_sentence(app(folder, "trian"), "error: trian: no such file", "Did you mean `python app.py train`?")


def test_unwritable_places_are_found_before_the_work(folder):
    assert_sentence(app(folder, "-o", "app.py/below/new.png"), "cannot write app.py/below/new.png", "a file stands")
    assert_sentence(app(folder, "-o", os.devnull), "not an ordinary file")
    assert (folder / "app.py").read_text() == APP


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["--help"], []])
def test_disk_full_on_stdout(folder, words):
    with open("/dev/full", "w") as full:
        assert_sentence(app(folder, *words, stdout=full), "error: no space is left")


def test_a_closed_pipe_is_quiet(folder):
    read, write = os.pipe()
    os.close(read)
    result = app(folder, "--help", stdout=write)
    os.close(write)
    assert (result.returncode, result.stderr) == (cli.BROKEN_PIPE, "")


def test_bugs_show_a_traceback_and_debug_shows_all(folder):
    assert "ZeroDivisionError: a bug" in app(folder, "train", "--fail", "bug").stderr
    result = app(folder, "train", "--learning-rate", "0", ARCADE_DEBUG="1")
    assert result.returncode == 2
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("sent", "code", "said"), [(signal.SIGINT, 130, b"Interrupted.\n"), (signal.SIGTERM, 143, b"")]
)
def test_being_stopped_cleans_up(folder, sent, code, said):
    command = [sys.executable, "app.py", "train", "--fail", "sleep"]
    with subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        assert p.stdout.readline() == b"ready\n"
        p.send_signal(sent)
        stdout, stderr = p.communicate(timeout=30)
    assert (p.returncode, stdout, stderr) == (code, b"cleaned up\n", said)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_keras_prints_one_line_and_nothing_else(folder, backend):
    pytest.importorskip(backend)
    result = app(folder, "train", "--fail", "keras", KERAS_BACKEND=backend)
    assert result.returncode == 0, result.stderr
    assert result.stderr == f"Loading Keras ({backend}) ...\n"
    assert "(1, 2)" in result.stdout or "[1, 2]" in result.stdout


def test_unknown_and_missing_backends(folder):
    assert_sentence(app(folder, "train", "--fail", "keras", KERAS_BACKEND="tensorfow"), "Did you mean tensorflow?")
    (folder / "find.py").write_text(
        "import importlib.util as u; find = u.find_spec; u.find_spec = lambda n: None if n == 'jax' else find(n)\n"
        + APP
    )
    (folder / "app.py").write_text((folder / "find.py").read_text().replace("from __future__ import annotations", ""))
    result = app(folder, "train", "--fail", "keras", KERAS_BACKEND="jax")
    assert_sentence(result, "jax is not installed", "pip install -r requirements-jax.txt")


# ------------------------------------------------------------------------------------------------ In-process


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (OSError(errno.ENOSPC, "full"), "no space is left"),
        (PermissionError(errno.EACCES, "no", "a.png"), "a.png: permission denied"),
        (OSError(errno.EROFS, "no", "a.png"), "a.png: the disk is read-only"),
        (FileNotFoundError(errno.ENOENT, "no", b"a.png"), "a.png: no such file"),
        (UserError("words fail."), "words fail."),
    ],
)
def test_errors_become_sentences(error, part, capsys):
    def fail():
        raise error

    assert cli._exit_code(fail) == 2
    assert part in capsys.readouterr().err


def test_an_oserror_without_a_path_is_a_bug():
    def fail():
        raise FileNotFoundError(errno.ENOENT, "which one?")

    with pytest.raises(FileNotFoundError):
        cli._exit_code(fail)


def test_validators():
    assert in_range("rate", 0.5, 0, 1) == 0.5
    for wrong in (-1, 1.001, float("nan")):
        with pytest.raises(UserError, match="rate is .*, and must be from 0 to 1\\.$"):
            in_range("rate", wrong, 0, 1)
    with pytest.raises(UserError, match="^Photos is 12,345, and must be from 1e-9 to 0.5.$"):
        in_range("Photos", 12_345, 1e-9, 0.5)
    assert suggest("dqn_pog", ["dqn_pong", "char_rnn"]) == " Did you mean dqn_pong?"
    assert suggest("zebra", ["char_rnn"]) == ""


def test_one_of_several_may_fail(capsys):
    done = []

    def work(n: int) -> None:
        if n == 2:
            raise UserError("two is wrong.")
        done.append(n)

    assert for_each([1, 2, 3], work) == ["2"]
    assert (done, capsys.readouterr().err) == ([1, 3], "two is wrong.\n")
    with pytest.raises(UserError, match="two"):
        for_each([2], work)


def test_a_batch_ends_with_the_next_step_or_with_those_that_failed(capsys):
    finish_batch([], 3, "cannot be read", "another photo")
    assert capsys.readouterr().err == "Try next: another photo\n"
    with pytest.raises(UserError, match=r"^2 of 3 photos cannot be read: a\.png, b\.png\.$"):
        finish_batch(["a.png", "b.png"], 3, "cannot be read", "another photo")
    assert capsys.readouterr().err == ""


def test_answers_are_printed_to_read_or_as_json(capsys):
    answers = [[("espresso", 0.71239), ("cup", 0.1)], []]
    given = [Path("in/a.png"), Path("b.png")], answers, JsonKeys("guesses", "label", "confidence")
    print_answers(*given, as_json=False)
    assert capsys.readouterr().out == "a.png\n  71.2%  espresso\n  10.0%  cup\nb.png\n"
    print_answers(*given, as_json=True)
    guesses = [{"label": "espresso", "confidence": 0.7124}, {"label": "cup", "confidence": 0.1}]
    printed = json.loads(capsys.readouterr().out)
    assert printed == [{"photo": "in/a.png", "guesses": guesses}, {"photo": "b.png", "guesses": []}]


def test_output_path_in_a_named_folder(tmp_path):
    assert output_path(tmp_path, "app", "a.png") == tmp_path / "a.png"
    (tmp_path / "a.png").touch()
    assert output_path(tmp_path, "app", "a.png") == tmp_path / "a-2.png"


def test_write_atomically_leaves_nothing_half_written(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), write_atomically(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["a.txt"])
    with write_atomically(path) as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".txt")
        temporary.write_text("new")
    assert (path.read_text(), os.listdir(tmp_path)) == ("new", ["a.txt"])


def test_what_a_killed_process_left_half_written_is_swept_and_nothing_else(tmp_path):
    (tmp_path / "sheets").mkdir()
    for name in ("model.keras", "sheets/000.jpg"):
        with write_atomically(tmp_path / name) as temporary:
            temporary.write_bytes(b"whole")
        temporary.touch()
    (tmp_path / ".git-blame-ignore").touch()
    (tmp_path / "notes-01234567.txt").touch()
    sweep(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"model.keras", "sheets/000.jpg", ".git-blame-ignore", "notes-01234567.txt"}


def test_write_atomically_goes_through_links_and_refuses_devices(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with write_atomically(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    with pytest.raises(UserError), write_atomically(os.devnull):
        pass
    assert not Path(os.devnull).is_file()


def test_held_stderr_is_replayed_only_for_bugs(capfd):
    with held_stderr():
        os.write(2, b"noise\n")
    with pytest.raises(UserError), held_stderr():
        os.write(2, b"noise\n")
        raise UserError("a sentence")
    assert capfd.readouterr().err == ""
    with pytest.raises(ZeroDivisionError), held_stderr():
        os.write(2, b"why\n")
        raise ZeroDivisionError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "why\nafter\n"


def test_held_stderr_without_a_stderr():
    code = (
        "import os; os.close(2); from shared.console import held_stderr, loading\n"
        "with held_stderr(): loading('x'); print('fine')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=False, env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert (result.returncode, result.stdout) == (0, "fine\n")


def test_held_stderr_when_sys_stderr_is_not_a_file(monkeypatch, capfd):
    for stderr in (None, io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stderr)
        with held_stderr():
            os.write(2, b"noise\n")
        os.write(2, b"said\n")
    assert capfd.readouterr().err == "said\nsaid\n"
