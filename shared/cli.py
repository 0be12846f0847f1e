"""Verbs, flags, errors and output files: everything between the keyboard and an app's own code.

Importing this module costs milliseconds, so that `--help` answers at once: tyro is imported when a command is parsed,
Keras when an app asks for it with `import_keras()`.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib.util
import json
import os
import secrets
import signal
import sys
import tempfile
import threading
import traceback
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TypeVar

Command = Callable[[Any], None]  # takes one dataclass, named in its annotation
Number = TypeVar("Number", int, float)
Thing = TypeVar("Thing")

WRONG_INPUT = 2
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143  # what a shell reports after SIGINT, SIGPIPE and SIGTERM


class UserError(Exception):
    """One sentence for the person at the keyboard: what is wrong and what to do. Exit code 2."""


# ------------------------------------------------------------------------------------------------- Commands


def run(doc: str | None, demo: Command, verbs: Mapping[str, Command], argv: Sequence[str] | None = None) -> NoReturn:
    """Run an app's command line and exit: `cli.run(__doc__, demo, {"train": train, "evaluate": evaluate})`.

    A first word in `verbs` chooses that function; anything else is the demo's arguments. Each function takes one
    dataclass, found in its annotation: the fields are the flags, the string under a field is its help.

    Exit codes: 0 done; 2 wrong input, in one sentence on stderr; 130 interrupted, 143 terminated: either way nothing
    half-written is left. Any other exception is a bug and
    shows its traceback; ARCADE_DEBUG=1 shows one for wrong input too.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # by itself it would skip every `finally`
    words = list(sys.argv[1:] if argv is None else argv)
    prog = f"python {sys.argv[0]}"
    code = _exit_code(lambda: _dispatch(doc, demo, verbs, words, prog))
    near = difflib.get_close_matches(words[0], list(verbs), 1, 0.7) if words and words[0] not in verbs else []
    if code == WRONG_INPUT and near:
        say(f"Did you mean `{prog} {near[0]}`?")
    sys.exit(code)


def _dispatch(doc: str | None, demo: Command, verbs: Mapping[str, Command], words: list[str], prog: str) -> int:
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


def _parse(command: Command, words: list[str], prog: str, about: str) -> Any:
    import tyro

    config_type = next(iter(typing.get_type_hints(command).values()))
    style = (
        tyro.conf.FlagCreatePairsOff,  # --quick, and no --no-quick
        tyro.conf.DisallowNone,  # a path is PATH, not {None}|PATH
        tyro.conf.PositionalMetavarFromFieldName,  # PHOTO
        tyro.conf.HelptextFromCommentsOff,  # only the string under a field is its help
    )
    return tyro.cli(config_type, prog=prog, description=about, args=words, config=style)


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

_REASONS = {
    errno.ENOSPC: "no space is left on the disk: free some and run it again",
    errno.EDQUOT: "your disk quota is used up: free some space and run it again",
    errno.EACCES: "permission denied: choose a place that you may use",
    errno.EPERM: "operation not permitted: choose a place that you may use",
    errno.EROFS: "the disk is read-only: choose another place",
    errno.EISDIR: "this is a folder, and a file is needed",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST: "it exists already: choose another name",
    errno.ENOENT: "no such file or folder: check the spelling",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}


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
        if error.errno not in _REASONS or not (error.filename or error.errno in (errno.ENOSPC, errno.EDQUOT)):
            raise
        return _complain(f"error: {_sentence(error)}")


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


def _sentence(error: OSError) -> str:
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
    return f"{where}{_REASONS.get(error.errno or 0, error.strerror or str(error))}."


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


# --------------------------------------------------------------------------------------------------- Checks


def suggest(word: str, choices: Iterable[str]) -> str:
    """' Did you mean x or y?' to end a sentence with, or '' when nothing is near."""
    near = difflib.get_close_matches(word, list(choices), 3)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def positive(name: str, value: Number) -> Number:
    """Return `value`; UserError unless it is above zero (NaN is not)."""
    if not value > 0:
        raise UserError(f"{name} is {value}, and must be above zero.")
    return value


def in_range(name: str, value: Number, low: Number, high: Number) -> Number:
    """Return `value`; UserError unless `low <= value <= high` (NaN never is)."""
    if not low <= value <= high:
        raise UserError(f"{name} is {value}, and must be from {low} to {high}.")
    return value


def check(config: Any, names: str, low: float, high: float) -> None:
    """UserError unless each of a dataclass's fields, named with spaces between, is from `low` to `high`."""
    for name in names.split():
        in_range(f"--{name.replace('_', '-')}", getattr(config, name), low, high)


# ---------------------------------------------------------------------------------------------------- Files


def output_path(requested: Path | None, app: str, default_name: str) -> Path:
    """Where a result goes: checked for writing before the long work, its folder made.

    A file that the user named may be overwritten. Otherwise it is `default_name` in the folder that they named, or in
    outputs/APP/, with -2, -3, ... before the suffix so that nothing is overwritten.
    """
    if requested is not None and not requested.is_dir():
        path = requested
        _refuse_special(path)
    else:
        path = _unused((requested or Path("outputs") / app) / default_name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"cannot write {path}: {_sentence(error)}") from error
    return path


def _unused(path: Path) -> Path:
    names = (path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(2, sys.maxsize))
    return path if not os.path.lexists(path) else next(p for p in names if not os.path.lexists(p))


def _refuse_special(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not an ordinary file: choose another name to write to.")


@contextlib.contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name (same folder, same suffix) to write to; it becomes `path` only if all went well."""
    target = Path(os.path.realpath(path))  # through a symbolic link, not over it
    _refuse_special(target)
    temporary = target.with_name(f".{target.stem}-{secrets.token_hex(4)}{target.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


# ---------------------------------------------------------------------------------------------------- Keras

_PACKAGES = {"tensorflow": "requirements.txt", "jax": "requirements-jax.txt"}  # backend -> who installs its package


def backend_name() -> str:
    """The Keras backend that KERAS_BACKEND, or else keras.json, chooses, without importing Keras."""
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    try:
        chosen = json.loads((home / "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        chosen = None
    return os.environ.get("KERAS_BACKEND") or chosen or "tensorflow"


def import_keras() -> ModuleType:
    """Import Keras and wake its backend, once, saying so at once; what they print on stderr is held back.

    The one place where Keras is first imported. The backend's memory options are set here because they count only
    before its first operation, which also runs here: the backend's greeting ends with it. UserError for a backend
    that is unknown or not installed.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    backend = backend_name()
    if backend not in _PACKAGES:
        known = " or ".join(_PACKAGES)
        raise UserError(f"KERAS_BACKEND is {backend}, and must be {known}.{suggest(backend, _PACKAGES)}")
    for package, source in (("keras", "requirements.txt"), (backend, _PACKAGES[backend])):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"{package} is not installed: run `pip install -r {source}`.")
    loading(f"Keras ({backend})")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # leave the rest of the GPU's memory to others
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the same, for JAX
    with held_stderr():
        import keras

        keras.ops.add(1.0, 1.0)
    return keras


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
