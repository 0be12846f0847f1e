"""The window of --watch: a sentence where none can open, and no trouble when the user closes it."""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from apps.parts.dqn_breakout import window
from apps.parts.dqn_breakout.window import Window
from shared.errors import UserError

FRAME = np.zeros((4, 6, 3), np.uint8)


class TclError(Exception):
    """As tkinter's."""


class Root:
    """As tkinter.Tk, as far as a window goes."""

    def __init__(self, closed_after: int = 1_000_000):
        self.label, self.updates, self.closed_after, self.destroyed = self, 0, closed_after, False

    def configure(self, image) -> None:
        self.image = image

    def update(self) -> None:
        self.updates += 1
        if self.updates > self.closed_after:
            raise TclError("can't invoke command: application has been destroyed")

    def destroy(self) -> None:
        if self.updates >= self.closed_after:
            raise TclError("can't invoke command: application has been destroyed")
        self.destroyed = True


def fake_tk(monkeypatch, root: Root) -> None:
    """A Tk for machines without display."""
    import PIL

    pictures = SimpleNamespace(PhotoImage=lambda image, master: np.asarray(image))
    monkeypatch.setitem(sys.modules, "tkinter", SimpleNamespace(TclError=TclError))
    monkeypatch.setitem(sys.modules, "PIL.ImageTk", pictures)
    monkeypatch.setattr(PIL, "ImageTk", pictures, raising=False)
    monkeypatch.setattr(window, "_open", lambda title: root)


def test_no_tk_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(UserError, match=r"--watch needs Tk, and this Python has none.*; without --watch"):
        Window("game")


def test_frames_are_shown_at_their_pace(monkeypatch):
    root = Root()
    fake_tk(monkeypatch, root)
    with Window("game") as window:
        start_s = time.monotonic()
        for shade in (0, 100, 200):
            window.show(FRAME + np.uint8(shade), 0.1)
            assert (root.image == shade).all()
        assert time.monotonic() - start_s > 0.19
    assert (root.updates, root.destroyed) == (3, True)


def test_lost_time_is_not_made_up_for(monkeypatch):
    fake_tk(monkeypatch, Root())
    with Window("game") as window:
        window.show(FRAME, 0.1)
        time.sleep(0.35)  # a slow stretch: the film does not race through what it missed
        window.show(FRAME, 0.1)
        window.show(FRAME, 0.1)
        start_s = time.monotonic()
        window.show(FRAME, 0.1)
        assert time.monotonic() - start_s > 0.05


@pytest.mark.parametrize("closed_after", [0, 1, 3], ids=["at once", "between two frames", "at the last frame"])
def test_the_user_may_close_it(monkeypatch, closed_after):
    root = Root(closed_after)
    fake_tk(monkeypatch, root)
    with Window("game") as window:
        for _ in range(3):
            window.show(FRAME, 0.0)
    assert root.updates <= closed_after + 1


@pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="needs a display")
def test_a_real_window():
    pytest.importorskip("tkinter")
    with Window("game") as window:
        window.show(FRAME, 0.0)
        assert (window._root.label.winfo_width(), window._root.label.winfo_height()) == FRAME.shape[1::-1]
