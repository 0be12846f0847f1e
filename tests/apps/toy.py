"""Every app on toy data and with a toy network, so that a training takes seconds: what they differ in."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.apps.command import Command


@dataclass(frozen=True)
class Toy:
    """The facts about an app that the tests of all apps need; tests/apps/toys/NAME.py has its own."""

    data: Callable[[Path], list]
    "Writes data into a new folder, and gives the words of the command that name them."
    train: str
    "The settings of a training that learns something."
    demo: str
    "The settings of a short demo with the network that was trained, which writes to `output`."
    output: str
    "A name that a result of the demo may have."
    shrink: Callable[[pytest.MonkeyPatch], None] = lambda patch: None
    "Puts something small in the place of what takes long."
    repeats: bool = True
    "A training that was resumed has the numbers that it would have had."
    needs_model: bool = True
    "The demo without arguments asks for a model in saved_models."


def toy_of(name: str) -> Toy:
    return importlib.import_module(f"tests.apps.toys.{name}").TOY


@dataclass(frozen=True)
class Run:
    """A training that has ended. Nobody may change it."""

    folder: Path
    words: list
    "Of the command, but for --run."
    out: str
    err: str

    @property
    def data(self) -> Path:
        return self.folder.with_name("data")


def trained(name: str, folder: Path) -> Run:
    """Train the app's toy in a new folder."""
    toy = toy_of(name)
    words = [*toy.data(folder / "data"), *toy.train.split()]
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(folder)
        toy.shrink(patch)
        code = Command(name).main("train", *words, "--run", folder / "run")
    assert code == 0, err.getvalue()
    return Run(folder / "run", words, out.getvalue(), err.getvalue())
