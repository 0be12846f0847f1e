"""Text from a pipe, and text to a terminal as it comes, in colours."""

from __future__ import annotations

import os
import select
import sys
import unicodedata
from collections.abc import Iterable

from shared.errors import UserError

_SURPRISE_TO_EXPECTED = (196, 202, 208, 214, 220, 226, 190, 154, 118, 82, 46)  # of xterm's 256 colours: red to green
RESET = "\x1b[0m"


def piped(wait_s: float = 0.5) -> str:
    """What a pipe or a redirected file has for us, without its last line's end; '' where there is no such thing.

    A pipe into which nobody writes for `wait_s` seconds is passed over, so that a program started by another one does
    not hang. UserError if what comes is not UTF-8.
    """
    try:
        if sys.stdin is None or sys.stdin.isatty():
            return ""
        if os.name != "nt" and not select.select([sys.stdin], [], [], wait_s)[0]:
            return ""
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise UserError("what the pipe sends is not UTF-8 text: convert it first.") from error
    except (OSError, ValueError, AttributeError):  # closed, or not a real file
        return ""


def show(pieces: Iterable[tuple[str, Iterable[float]]], colours: bool = False) -> str:
    """Print pieces of text as they come; return the text.

    A piece is a text with a number from 0 to 1 for each character, which is its colour if there are to be colours.
    However it ends, the colours are set back and the line is ended. Control characters but tab and newline are kept
    from the terminal.
    """
    shown = []
    try:
        for text, numbers in pieces:
            shown.append(text)
            characters = [_harmless(c) for c in text]
            if colours:
                characters = [_paint(c, number) for c, number in zip(characters, numbers, strict=True)]
            print("".join(characters), end="", flush=True)
    finally:
        print(RESET if colours else "", flush=True)
    return "".join(shown)


def scale() -> str:
    """The colours of `show` with what they mean, in a line."""
    steps = len(_SURPRISE_TO_EXPECTED) - 1
    return " ".join(_paint(f"{i / steps:.0%}", i / steps) for i in range(steps + 1)) + RESET


def _paint(text: str, number: float) -> str:
    colour = _SURPRISE_TO_EXPECTED[round(min(max(number, 0), 1) * (len(_SURPRISE_TO_EXPECTED) - 1))]
    return f"\x1b[38;5;{colour}m{text}"


def _harmless(character: str) -> str:
    control = unicodedata.category(character) == "Cc" and character not in "\n\t"
    return "\N{REPLACEMENT CHARACTER}" if control else character
