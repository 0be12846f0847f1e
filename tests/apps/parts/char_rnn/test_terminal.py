"""A prompt comes through a pipe or not at all; colours end where the text ends."""

from __future__ import annotations

import os
import sys
import time

import pytest

from apps.parts.char_rnn import terminal
from shared.errors import UserError


@pytest.fixture
def stdin(monkeypatch):
    """`stdin(bytes)` puts a pipe in place, closed after them; with None it stays open and silent."""
    files = []

    def pipe(content):
        reading, writing = os.pipe()
        if content is not None:
            os.write(writing, content)
            os.close(writing)
        files.append((os.fdopen(reading, encoding="utf-8"), None if content is not None else writing))
        monkeypatch.setattr(sys, "stdin", files[-1][0])

    yield pipe
    for file, writing in files:
        file.close()
        if writing is not None:
            os.close(writing)


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"ROMEO:\n", "ROMEO:"), (b"a\n\n", "a\n"), ("\u6771\u4eac".encode(), "\u6771\u4eac"), (b"", "")],
)
def test_what_a_pipe_sends(stdin, content, text):
    stdin(content)
    assert terminal.read_pipe() == text


def test_a_pipe_that_sends_nothing_is_not_waited_for(stdin):
    stdin(None)
    began_s = time.monotonic()
    assert terminal.read_pipe(wait_s=0.1) == ""
    assert time.monotonic() - began_s < 2


def test_a_pipe_of_other_bytes_is_refused(stdin):
    stdin(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        terminal.read_pipe()


def test_no_stdin_at_all(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert terminal.read_pipe() == ""


def test_text_is_printed_as_it_comes(capsys):
    def pieces():
        yield "Good ", [0.5] * 5
        assert capsys.readouterr().out == "Good "
        yield "night\t\x1b[2J\r\n", [0.1] * 12

    assert terminal.print_as_written(pieces()) == "Good night\t\x1b[2J\r\n"
    assert capsys.readouterr().out == "night\t\ufffd[2J\ufffd\n\n", "no command of the text's reaches the terminal"


def test_colours_go_from_orange_to_blue_and_back_to_the_terminals(capsys):
    terminal.print_as_written([("abc", [0.0, 1.0, 0.5])], in_colour=True)
    assert capsys.readouterr().out == "\x1b[38;5;208ma\x1b[0m\x1b[38;5;39mb\x1b[0m\x1b[38;5;231mc\x1b[0m\n"
    assert terminal.colour_legend().startswith("\x1b[38;5;208m0%\x1b[0m ")
    assert terminal.colour_legend().endswith("\x1b[38;5;39m100%\x1b[0m")


def test_an_interruption_leaves_no_colour_behind(capsys):
    def pieces():
        yield "To be", [0.9] * 5
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        terminal.print_as_written(pieces(), in_colour=True)
    assert capsys.readouterr().out.endswith("\x1b[0m\n")
