"""A run's settings on disk: the dataclass that was the command line, as JSON, and back."""

from __future__ import annotations

import json
import typing
from dataclasses import Field, asdict, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Protocol, TypeVar

from shared.errors import UserError
from shared.files import write_atomically

Config = TypeVar("Config")


class Training(Protocol):
    """What the settings of every training have."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    run: Path
    resume: bool


Run = TypeVar("Run", bound=Training)


def write(config: Any, path: Path) -> None:
    """Write a dataclass of numbers, strings and paths to a JSON file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(asdict(config), indent=2, default=str) + "\n", encoding="utf-8")


def read(kind: type[Config], path: Path) -> Config:
    """Read what `write` wrote. UserError if it is missing, damaged, or of another version of the dataclass."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        if not isinstance(values, dict) or set(values) - names:
            raise ValueError("it has settings that this version does not know")
    except FileNotFoundError as error:
        raise UserError(f"{path.parent} holds no run to go on with: train without --resume first.") from error
    except ValueError as error:
        raise UserError(f"{path} cannot be read ({error}): train again without --resume.") from error
    types = typing.get_type_hints(kind)
    return kind(**{name: Path(value) if _is_path(types[name]) and value else value for name, value in values.items()})


def _is_path(kind: Any) -> bool:
    return kind is Path or (typing.get_origin(kind) in (typing.Union, UnionType) and Path in typing.get_args(kind))


def resumed(config: Run) -> Run:
    """If the settings say `resume`, those that their `run` was begun with; else they themselves.

    UserError if there is no such run, or if a flag asks for something else than the run has. Only the data may be
    somewhere else by now.
    """
    if not config.resume:
        return config
    folder = config.run
    begun = replace(read(type(config), folder / "run.json"), run=folder, resume=True)
    for field in fields(begun):
        given, used = getattr(config, field.name), getattr(begun, field.name)
        if given in (used, field.default):  # a default is what nobody asked for
            continue
        if field.name != "data":
            flag = f"--{field.name.replace('_', '-')}"
            raise UserError(
                f"{folder} was begun with {flag} {used}, and not {given}: leave {flag} out to go on with it."
            )
        begun = replace(begun, data=given)
    return begun


def begin(config: Run) -> Run:
    """Record the settings of a new run in its folder, and return them.

    UserError if the folder holds a run already, and nobody asked to resume it.
    """
    folder = config.run
    if not config.resume:
        if (folder / "metrics.jsonl").exists():  # a record alone is of a run that ended before its first step
            raise UserError(f"{folder} holds a run already: add --resume to go on with it, or name another with --run.")
        write(config, folder / "run.json")
    return config
