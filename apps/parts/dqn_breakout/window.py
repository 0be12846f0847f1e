"""A window that shows frames as they are made, for `--watch`. It uses Tk, which comes with most Pythons."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

import numpy as np

from shared.errors import UserError


class Window:
    """A context manager; `show` does nothing after the user has closed the window.

    Args:
        title: in the window's frame.

    Raises:
        UserError: there is no display or no Tk.
    """

    def __init__(self, title: str) -> None:
        self._root: Any = _open(title)
        self._due_s = time.monotonic()

    def __enter__(self) -> Window:
        return self

    def show(self, frame: np.ndarray, seconds: float) -> None:
        """Show a uint8 frame (height, width, 3) until `seconds` after the one before it."""
        if self._root is None:
            return
        import tkinter

        from PIL import Image, ImageTk

        time.sleep(max(self._due_s - time.monotonic(), 0))
        self._due_s = max(self._due_s, time.monotonic() - seconds) + seconds
        try:
            self._root.picture = ImageTk.PhotoImage(Image.fromarray(frame), master=self._root)  # Tk keeps no reference
            self._root.label.configure(image=self._root.picture)
            self._root.update()
        except tkinter.TclError:  # closed by the user: the work goes on without it
            self._root = None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._root is not None:
            import tkinter

            with suppress(tkinter.TclError):  # closed by the user since the last frame
                self._root.destroy()


def _open(title: str) -> Any:
    try:
        import tkinter
    except ImportError as error:
        hint = " (on Debian and Ubuntu: apt install python3-tk)" if sys.platform == "linux" else ""
        raise UserError(
            f"--watch needs Tk, and this Python has none{hint}; without --watch the film shows the same."
        ) from error
    try:
        root: Any = tkinter.Tk()
    except tkinter.TclError as error:
        raise UserError(f"--watch found no display ({error}); without --watch the film shows the same.") from error
    root.title(title)
    root.label = tkinter.Label(root, borderwidth=0)
    root.label.pack()
    return root
