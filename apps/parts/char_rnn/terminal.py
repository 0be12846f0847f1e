"""A prompt from a pipe, and text on a terminal as it is written, in colours."""

from __future__ import annotations

import os
import select
import sys
import unicodedata
from collections.abc import Iterable

from shared.errors import UserError

SURPRISE_TO_EXPECTED = (208, 214, 220, 222, 230, 231, 195, 159, 117, 75, 39)
"""Of the 256 colours that terminals know by number: from orange for a probability of 0 to blue for 1.

Few people confuse these two; red and green many do.
"""


def read_pipe(wait_s: float = 0.5) -> str:
    """The text that a pipe or a redirected file holds, without its last line break; "" if there is neither.

    A pipe into which nobody writes for `wait_s` seconds counts as empty, so that a program started by another one does
    not wait for ever. UserError if the text is not UTF-8.
    """
    try:
        if sys.stdin is None or sys.stdin.isatty():
            return ""
        if os.name != "nt" and not select.select([sys.stdin], [], [], wait_s)[0]:
            return ""
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise UserError("the piped text is not UTF-8: convert it first.") from error
    except (OSError, ValueError, AttributeError):  # closed, or not a real file
        return ""


def print_as_written(pieces: Iterable[tuple[str, Iterable[float]]], in_colour: bool = False) -> str:
    """Print the pieces of a text as they come, and return the whole text.

    A piece is a string and the probability of each of its characters, which is its colour with `in_colour`. Each
    character ends its own colour, so that an interruption leaves the terminal as it was. Control characters other than
    tab and newline are replaced, so that no text can command the terminal.
    """
    written = []
    try:
        for text, probabilities in pieces:
            written.append(text)
            characters = [_without_control(character) for character in text]
            if in_colour:
                characters = [_coloured(*pair) for pair in zip(characters, probabilities, strict=True)]
            print("".join(characters), end="", flush=True)
    finally:
        print(flush=True)
    return "".join(written)


def colour_legend() -> str:
    """One line that shows which probability each colour stands for."""
    last = len(SURPRISE_TO_EXPECTED) - 1
    return " ".join(_coloured(f"{step / last:.0%}", step / last) for step in range(last + 1))


def _coloured(text: str, probability: float) -> str:
    from rich.color import ColorSystem
    from rich.style import Style

    step = round(min(max(probability, 0), 1) * (len(SURPRISE_TO_EXPECTED) - 1))
    style = Style(color=f"color({SURPRISE_TO_EXPECTED[step]})")
    return style.render(text, color_system=ColorSystem.EIGHT_BIT)


def _without_control(character: str) -> str:
    control = unicodedata.category(character) == "Cc" and character not in "\n\t"
    return "\N{REPLACEMENT CHARACTER}" if control else character
