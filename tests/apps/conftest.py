"""Fixtures of the apps' tests."""

from __future__ import annotations

import pytest

from shared import saved_models
from shared.training import runtime


@pytest.fixture
def no_long_work(monkeypatch, request):
    """A wrong input is answered before anything slow: Keras, the training."""

    def too_late(*arguments):
        raise AssertionError("the long work has begun")

    for module, name in ((runtime, "import_keras"), (saved_models, "import_keras"), (request.module.app, "fit")):
        monkeypatch.setattr(module, name, too_late)
    return too_late
