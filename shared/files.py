"""Where results go: output paths, files that appear complete or not at all, downloads."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import UserError, sentence_of


def output_path(requested: Path | None, app: str, default_name: str) -> Path:
    """Where a result goes: checked for writing before the long work, its folder made.

    A file that the user named may be overwritten. Otherwise the result goes to `default_name` in the folder that they
    named or in outputs/APP/, with -2, -3, ... before the suffix, so that nothing is overwritten.
    """
    requested = requested and requested.expanduser()
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
        raise UserError(f"cannot write {path}: {sentence_of(error)}") from error
    return path


def _unused(path: Path) -> Path:
    names = (path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(2, sys.maxsize))
    return path if not os.path.lexists(path) else next(p for p in names if not os.path.lexists(p))


def _refuse_special(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not an ordinary file: choose another name to write to.")


@contextlib.contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name (same folder, same suffix) to write to; the file is renamed to `path` only if all went well."""
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


def sweep(folder: Path) -> None:
    """Delete what `write_atomically` has left in a folder, and in those in it, when a process was killed in the middle.

    Only for a folder that nobody else writes to, such as that of a run.
    """
    for path in (*folder.glob(".*"), *folder.glob("*/.*")):
        if re.fullmatch(r"\..*-[0-9a-f]{8}(\.\w+)?", path.name) and path.is_file() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.unlink()


@contextmanager
def downloading(what: str) -> Iterator[None]:
    """A block in which Keras downloads `what`; UserError if that fails."""
    try:
        yield
    except Exception as error:  # Keras raises a bare Exception when a download fails, ValueError for a wrong checksum
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{what} must be downloaded once, and that failed ({reason}): connect to the network and run it again."
        ) from error
