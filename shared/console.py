"""What a person reads while an app works: lines on stderr, and batches of inputs of which one may fail."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from shared.errors import UserError

Thing = TypeVar("Thing")


def for_each(things: Sequence[Thing], work: Callable[[Thing], Any]) -> list[str]:
    """Call `work` with each; the UserError of one among several is told, and the others go on. Returns those failed."""
    failed = []
    for thing in things:
        try:
            work(thing)
        except UserError as error:
            if len(things) == 1:
                raise
            say(f"{error}")
            failed.append(f"{thing}")
    return failed


def say(text: str, end: str = "\n") -> None:
    """Print on stderr at once; silently do without where there is no stderr."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(text, end=end, file=sys.stderr, flush=True)


def at_terminal() -> bool:
    """Whether a person watches stderr, so that a line may be drawn over."""
    return sys.stderr is not None and sys.stderr.isatty()


def loading(what: str) -> None:
    """Say that something slow has begun: `loading("the captions")` prints "Loading the captions ..."."""
    say(f"Loading {what} ...")


@contextlib.contextmanager
def held_stderr() -> Iterator[None]:
    """Hold back what anyone, C++ included, writes to file descriptor 2; replay it only if a bug's exception escapes."""
    say("", end="")  # flush
    try:
        real = os.dup(2)
    except OSError:  # stderr is closed: nothing to hold
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception as error:
            os.dup2(real, 2)
            if not isinstance(error, UserError):
                held.seek(0)
                os.write(2, held.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
