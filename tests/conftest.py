"""What every test may count on."""

from __future__ import annotations

import functools
import os
import random
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests import parity_worker
from tests.apps import toy
from tests.apps.command import APPS

if "PYTEST_XDIST_WORKER" in os.environ:  # two processes on two cores: more threads would wait for each other
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

# A shell's background job begins with Ctrl-C ignored, and its children inherit that: CI may well be one.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """A folder for what the processes of both backends say, unless this is a worker, which has inherited it."""
    if not hasattr(config, "workerinput"):
        config.add_cleanup(parity_worker.share_a_folder().cleanup)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two for many tests (each takes over 0.75 GB), none for one file's."""
    files = [word for word in config.args if ".py" in word]
    return 0 if len(files) == len(config.args) == 1 else 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What both backends compute is asked for last: that goes on meanwhile."""
    items.sort(key=asks_for_results)


def asks_for_results(item: pytest.Item) -> bool:
    return not {"results", "here"}.isdisjoint(item.fixturenames)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to compute it; where there are workers, the first of them does."""
    first = getattr(session.config, "workerinput", {"workerid": "gw0"})["workerid"] == "gw0"
    if first and not session.config.option.collectonly:
        parity_worker.start({item.path for item in session.items if asks_for_results(item)})


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One worker gets all tests of an app: they share trainings. (--dist loadgroup does nothing under pytest 9.2.)"""
    from xdist.scheduler import LoadScopeScheduling

    class ByApp(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByApp(config, log)


def group_of(nodeid: str) -> str:
    """The app that a test is about, or else its file."""
    file = nodeid.split("::")[0]
    found = re.search(r"apps/(?:test_|parts/)(\w+)", file) or re.search(
        r"contract.*\[.*?(" + "|".join(APPS) + ")", nodeid
    )
    return found[1] if found else file


@pytest.fixture(autouse=True)
def same_weights_every_time() -> None:
    """Keras draws the seeds of layers that are given none from Python's generator."""
    random.seed(0)


@pytest.fixture(params=parity_worker.BACKENDS)
def backend(request) -> str:
    return request.param


@pytest.fixture
def here(backend) -> Callable[[str], Any]:
    """`here(scenario)`: what it gave on this backend."""
    return lambda name: parity_worker.result(backend, name)


@pytest.fixture
def results() -> Callable[[str], list]:
    """`results(scenario)`: what it gave on TensorFlow and on JAX."""
    return lambda name: [parity_worker.result(backend, name) for backend in parity_worker.BACKENDS]


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory):
    """`toy_run(name)`: a training of that app's toy, the same one for all who ask."""
    return functools.cache(lambda name: toy.trained(name, tmp_path_factory.mktemp(name)))
