"""A polite end: Ctrl-C asks a training to stop, and it stops when all is saved."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from shared.training import processes


class Interruption:
    """What `interruptible` yields: whether somebody wants the training to stop, and the way out."""

    stop_requested = False

    def leave(self) -> NoReturn:
        """Exit with code 130, telling how to go on; call it when everything is saved that will be."""
        words = [word for word in sys.argv if word != "--resume"]
        command = shlex.join(["python", *words, "--resume"])
        print(f"Stopped. To go on from the last checkpoint:\n  {command}", file=sys.stderr)
        processes.leave(130)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn the first Ctrl-C or SIGTERM into a polite request, `.stop_requested`; the second one aborts as always."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield interruption
        return

    def on_signal(number: int, frame: object) -> None:
        if processes.here()[0] > 0:
            return  # the first of several saves and leaves, and ends the others
        if interruption.stop_requested:
            raise KeyboardInterrupt
        interruption.stop_requested = True
        with suppress(RuntimeError):  # the signal came in the middle of another print
            print("\nStopping after this step, to save; Ctrl-C again stops at once.", file=sys.stderr)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
