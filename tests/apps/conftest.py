"""Fixtures of the apps' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared import saved_models
from shared.training import runtime
from tests.apps.toy import Run, toy_of


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Outputs go to the current directory: let that not be the repository."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def shrunk(elsewhere, request, monkeypatch):
    """What takes long is as small as in the toy of the module's app."""
    toy_of(request.module.COMMAND.name).shrink(monkeypatch)


@pytest.fixture(scope="module")
def run(toy_run, request) -> Run:
    """The training of that toy."""
    return toy_run(request.module.COMMAND.name)


@pytest.fixture(scope="module")
def trained(run) -> Path:
    """The folder with what it learned."""
    return run.folder


@pytest.fixture
def no_long_work(monkeypatch, request):
    """A wrong input is answered before anything slow: Keras, the training."""

    def too_late(*arguments):
        raise AssertionError("the long work has begun")

    for module, name in ((runtime, "import_keras"), (saved_models, "import_keras"), (request.module.app, "fit")):
        monkeypatch.setattr(module, name, too_late)
    return too_late
