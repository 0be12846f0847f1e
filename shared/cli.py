"""Verbs, flags and errors: everything between the keyboard and an app's own code.

Importing this module costs milliseconds, so that `--help` answers at once: tyro is imported when a command is parsed,
Keras by `import_keras`, which an app reaches through `devices.setup` or `saved_models.load`.
"""

from __future__ import annotations

import difflib
import errno
import os
import signal
import sys
import threading
import traceback
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

from shared import VERSION
from shared.console import say
from shared.errors import REASONS, UserError, sentence_of
from shared.settings import flag
from shared.training import processes

Command = Callable[[Any], None]  # takes one dataclass, named in its annotation

LIBRARIES = ("keras", "tensorflow", "jax")  # what `--version` names
WRONG_INPUT = 2
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143  # what a shell reports after SIGINT, SIGPIPE and SIGTERM


# ------------------------------------------------------------------------------------------------- Commands


def run(doc: str | None, demo: Command, verbs: Mapping[str, Command], argv: Sequence[str] | None = None) -> NoReturn:
    """Run an app's command line and exit: `cli.run(__doc__, demo, {"train": train, "evaluate": evaluate})`.

    `--version` alone is answered, too.

    A first word in `verbs` chooses that function; anything else is the demo's arguments. Each function takes one
    dataclass, found in its annotation: the fields are the flags, the string under a field is its help.

    Exit codes: 0 done; 2 wrong input, in one sentence on stderr; 130 interrupted, 143 terminated: either way nothing
    half-written is left. Any other exception is a bug and
    shows its traceback; ARCADE_DEBUG=1 shows one for wrong input too.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # by itself it would skip every `finally`
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a letter that the terminal lacks ends no training
    words = list(sys.argv[1:] if argv is None else argv)
    prog = f"python {sys.argv[0]}"
    code = _exit_code(lambda: _dispatch(doc, demo, verbs, words, prog))
    near = difflib.get_close_matches(words[0], list(verbs), 1, 0.7) if words and words[0] not in verbs else []
    if code == WRONG_INPUT and near:
        say(f"Did you mean `{prog} {near[0]}`?")
    processes.leave(code)


def _dispatch(doc: str | None, demo: Command, verbs: Mapping[str, Command], words: list[str], prog: str) -> int:
    if words == ["--version"]:
        print(f"Keras Arcade {VERSION}, with {', '.join(map(_with_version, LIBRARIES))}")
        return 0
    command, about = demo, _overview(doc, verbs, prog)
    if words and words[0] in verbs:
        verb, *words = words
        command, about, prog = verbs[verb], _first_paragraph(verbs[verb].__doc__), f"{prog} {verb}"
    try:
        config = _parse(command, words, prog, about)
    except SystemExit as answered:  # by tyro: --help, or a wrong flag
        return int(answered.code or 0)
    command(config)
    return 0


def _with_version(library: str) -> str:
    """Its name and version, without importing it."""
    try:
        return f"{library} {metadata.version(library)}"
    except metadata.PackageNotFoundError:
        return f"no {library}"


def _parse(command: Command, words: list[str], prog: str, about: str) -> Any:
    import tyro

    config_type = next(iter(typing.get_type_hints(command).values()))
    style = (
        tyro.conf.FlagCreatePairsOff,  # --quick, and no --no-quick
        tyro.conf.DisallowNone,  # a path is PATH, not {None}|PATH
        tyro.conf.PositionalMetavarFromFieldName,  # PHOTO
        tyro.conf.HelptextFromCommentsOff,  # only the string under a field is its help
    )
    parsed = tyro.cli(config_type, prog=prog, description=about, args=words, config=style)
    return config_type(**_given(parsed, words))


def _given(parsed: Any, words: list[str]) -> dict[str, Any]:
    """The fields of a dataclass that a person gave, be it with the value that they have anyway."""
    flags = {word.split("=")[0].replace("_", "-") for word in words}
    values = {field.name: _at_home(getattr(parsed, field.name)) for field in fields(parsed)}
    usual = {field.name: field.default for field in fields(parsed)}
    return {name: value for name, value in values.items() if flag(name) in flags or value != usual[name]}


def _at_home(value: Any) -> Any:
    """A path with the home folder for ~, which a shell leaves in --run=~/here; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(map(_at_home, value))
    return value.expanduser() if isinstance(value, Path) else value


def _overview(doc: str | None, verbs: Mapping[str, Command], prog: str) -> str:
    if not verbs:
        return _first_paragraph(doc)
    width = max(map(len, verbs))
    lines = [f"  {name:{width}}  {_first_paragraph(f.__doc__).splitlines()[0]}" for name, f in verbs.items()]
    about = f"A first word chooses what to do (`{prog} WORD --help` tells more); without one, the demo runs:"
    return "\n".join([_first_paragraph(doc), "", about, *lines])


def _first_paragraph(doc: str | None) -> str:
    return (doc or "").strip().split("\n\n")[0] or "(no description)"


# --------------------------------------------------------------------------------------------------- Errors


def _exit_code(work: Callable[[], int]) -> int:
    try:
        code = work()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _complain("Interrupted.", INTERRUPTED)
    except UserError as error:
        return _complain(f"error: {error}")
    except BrokenPipeError:  # `| head` has seen enough
        return _complain("", BROKEN_PIPE)
    except OSError as error:
        if error.errno not in REASONS or not (error.filename or error.errno in (errno.ENOSPC, errno.EDQUOT)):
            raise
        return _complain(f"error: {sentence_of(error)}")


def _complain(text: str, code: int = WRONG_INPUT) -> int:
    if os.environ.get("ARCADE_DEBUG") == "1":
        traceback.print_exc()
    try:
        sys.stdout.flush()
    except OSError:  # nobody reads stdout any more: let Python's own flush at exit succeed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if text:
        say(text)
    return code
