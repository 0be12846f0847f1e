"""What every test may count on."""

from __future__ import annotations

import signal

import pytest

from tests import parity_worker

# A shell's background job begins with Ctrl-C ignored, and its children inherit that: CI may well be one.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that ask for both backends' results come last: those are computed beside the others."""
    items.sort(key=_asks_for_results)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start computing them, if it is not a single file that is tested."""
    asking = {item.path for item in session.items if _asks_for_results(item)}
    if len(asking) > 1 and not session.config.option.collectonly:
        parity_worker.start()


def pytest_sessionfinish() -> None:
    """Do not wait for what nobody asks for."""
    parity_worker.stop()


def _asks_for_results(item: pytest.Item) -> bool:
    return getattr(getattr(item, "module", None), "results", None) is parity_worker.results
