"""What a person reads while an app works and when it ends: progress, answers, and which of many inputs failed."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from shared.errors import UserError

Thing = TypeVar("Thing")


def for_each(things: Sequence[Thing], work: Callable[[Thing], Any]) -> list[str]:
    """Call `work` with each of them, and return the names of those that failed.

    The UserError of one among several is said, and the others go on; the UserError of a single one is raised.
    """
    failed = []
    for thing in things:
        try:
            work(thing)
        except UserError as error:
            if len(things) == 1:
                raise
            say(f"{error}")
            failed.append(f"{thing}")
        except Exception as error:  # one's trouble, be it a fault of ours, is not that of the others
            if len(things) == 1 or os.environ.get("ARCADE_DEBUG") == "1":
                raise
            say(f"{thing}: this went wrong ({type(error).__name__}: {error}).")
            failed.append(f"{thing}")
    return failed


def finish_batch(failed: Sequence[str], photos: int, trouble: str, next_step: str) -> None:
    """End a batch of photos: say what to try next; or UserError, with the names of those that failed.

    Args:
        failed: names of the files that failed.
        photos: how many there were, those included.
        trouble: what is wrong with them, such as "cannot be read".
        next_step: what to try next.
    """
    if failed:
        raise UserError(f"{len(failed)} of {photos} photos {trouble}: {', '.join(failed)}.")
    say(f"Try next: {next_step}")


class JsonKeys(NamedTuple):
    """What answers are called in JSON: {"photo": "a.jpg", "guesses": [{"label": "cat", "confidence": 0.9}]}."""

    answers: str
    text: str
    share: str


def print_answers(
    files: Sequence[Path], answers: Sequence[Sequence[tuple[str, float]]], keys: JsonKeys, as_json: bool
) -> None:
    """Print the answers for each photo, (text, share from 0 to 1), the best first: as JSON, or to read."""
    if as_json:
        rows = [[{keys.text: text, keys.share: round(share, 4)} for text, share in found] for found in answers]
        photos = [{"photo": str(file), keys.answers: row} for file, row in zip(files, rows, strict=True)]
        print(json.dumps(photos, indent=2))
        return
    for file, found in zip(files, answers, strict=True):
        print(file.name, *(f"{share:7.1%}  {text}" for text, share in found), sep="\n")


def print_each(lines: Iterable[str]) -> None:
    """Print lines, each as soon as it is there."""
    for line in lines:
        print(line, flush=True)


def say(text: str, end: str = "\n") -> None:
    """Print on stderr at once, or nothing where there is no stderr."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(text, end=end, file=sys.stderr, flush=True)


def at_terminal() -> bool:
    """Whether stderr is a terminal, so that a line may be overwritten."""
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
