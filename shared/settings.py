"""What a command can be told: dataclasses whose fields are its flags, with their ranges; and the settings of a run."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from shared.errors import UserError, in_range
from shared.files import sweep, write_atomically
from shared.training import processes

Config = TypeVar("Config")
Run = TypeVar("Run", bound="Training")
DIGEST = "data_digest"  # in run.json
Precision = Literal["auto", "float32", "mixed_bfloat16"]


# ------------------------------------------------------------------------------------------- Fields and ranges


@dataclass(frozen=True)
class Range:
    """What a number may be, both ends included: `epochs: Annotated[int, Range(1, 10_000)] = 20`.

    None passes, and of a tuple each number is checked.
    """

    low: float
    """The smallest number."""
    high: float
    """The largest one."""
    multiple_of: int | None = None
    """What it must be a multiple of, too."""

    def check(self, name: str, number: float) -> None:
        """UserError unless the number, which a person knows as `name`, is one of these."""
        in_range(name, number, self.low, self.high)
        if self.multiple_of and number % self.multiple_of:
            raise UserError(f"{name} is {number:,}, and must be a multiple of {self.multiple_of}.")


Seed = Annotated[int, Range(0, 2**32 - 1)]


def flag(name: str) -> str:
    """The flag of a field: --learning-rate of learning_rate."""
    return f"--{name.replace('_', '-')}"


def check_ranges(config: Any) -> None:
    """UserError unless each number in a dataclass is within the Range that stands at its field (NaN never is)."""
    types = typing.get_type_hints(type(config), include_extras=True)
    for field in fields(config):
        value = getattr(config, field.name)
        for limits in getattr(types[field.name], "__metadata__", ()):
            if isinstance(limits, Range) and value is not None:
                for number in value if isinstance(value, tuple) else [value]:
                    limits.check(flag(field.name), number)


class Settings:
    """The base of every command's dataclass. Whoever makes one, no number in it is outside its Range."""

    given: frozenset[str]
    """The fields that the caller gave: with the usual value, too, a flag that was given is not one that is missing."""

    def __new__(cls, *values: Any, **given: Any) -> Self:
        self = super().__new__(cls)
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        self.given = frozenset(names[: len(values)]).union(given)
        return self

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(kw_only=True)
class Training(Settings):
    """The settings that all trainings have; each app's own derive from it."""

    QUICK: ClassVar[Mapping[str, Any]] = {}
    """What --quick sets, where nobody gave the flag."""

    run: Path
    """Folder for the model, the metrics, the curve and the checkpoints."""
    resume: bool = False
    """Continue the run in RUN, with the settings it was started with."""
    init: Path | None = None
    """Start from the weights of this model (a file or its folder)."""
    quick: bool = False
    """A short run that shows something after about 5 minutes on 2 cores; other flags still count."""
    seed: Annotated[int, Range(0, 2_000_000_000)] = 1
    """Seed of everything random: the weights, the order of the data, and what is drawn while it learns."""
    precision: Precision = "auto"
    """auto takes mixed_bfloat16 where the processor is fast at it."""
    replicas: Annotated[int, Range(1, 65_536)] = 1
    """GPUs (or other devices) of this host that share each batch."""

    def __post_init__(self) -> None:
        if self.quick:
            for name in self.QUICK.keys() - self.given:
                setattr(self, name, self.QUICK[name])
        super().__post_init__()
        if (batch := getattr(self, "batch", self.replicas)) % self.replicas:
            raise UserError(f"--batch {batch} must be a multiple of --replicas, {self.replicas}.")


# ------------------------------------------------------------------------------------------------ Runs on disk


def write(config: Any, path: Path, **more: str) -> None:
    """Write a dataclass of numbers, strings and paths to a JSON file, and more beside it, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(asdict(config) | more, indent=2, default=str) + "\n", encoding="utf-8")


def read(kind: type[Config], path: Path) -> Config:
    """Read what `write` wrote. UserError if it is missing, damaged, or of another version of the dataclass."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict):
            values.pop(DIGEST, None)
        names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        if not isinstance(values, dict) or set(values) - names:
            raise ValueError("it has settings that this version does not know")
        types = typing.get_type_hints(kind)
        return kind(**{name: _restored(name, value, types[name]) for name, value in values.items()})
    except FileNotFoundError as error:
        raise UserError(f"{path.parent} holds no run to go on with: train without --resume first.") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): train again without --resume.") from error


def _restored(name: str, value: Any, kind: Any) -> Any:
    """A value of JSON as its field's type has it: a path, a tuple; TypeError if it is of another one."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        fits = any(value == choice and type(value) is type(choice) for choice in inside)
    elif origin in (typing.Union, UnionType):
        if value is None and type(None) in inside:
            return None
        return _restored(name, value, next(each for each in inside if each is not type(None)))
    elif origin is tuple:
        if isinstance(value, list):
            return tuple(_restored(name, each, inside[0]) for each in value)
        fits = False
    elif kind is Path:
        if isinstance(value, str) and value:
            return Path(value)
        fits = False
    else:
        fits = type(value) is kind or (kind is float and type(value) is int)
    if not fits:
        raise TypeError(f"{name} is {value!r:.40}")
    return value


def resumed(config: Run) -> Run:
    """If the settings say `resume`, those that their `run` was begun with; else they themselves.

    UserError if there is no such run, or if a flag asks for something else than the run has. Only the data may be
    somewhere else by now.
    """
    config.run = folder = processes.own_folder(config.run)
    if not config.resume:
        return config
    begun = replace(read(type(config), folder / "run.json"), run=folder, resume=True)
    for name in sorted(config.given):
        asked, used = getattr(config, name), getattr(begun, name)
        if asked == used:
            continue
        if name != "data":
            begun_with = f"with {flag(name)} {used}, and not {asked}"
            if used is None or used is False:
                begun_with = f"without {flag(name)}"
            raise UserError(f"{folder} was begun {begun_with}: leave {flag(name)} out to go on with it.")
        begun = replace(begun, **{name: asked})
    return begun


def begin(config: Run, data: str | None = None) -> Run:
    """Record the settings of a new run in its folder, and return them.

    Args:
        config: the settings, after `resumed`.
        data: a digest of the data that it learns from, where they are the user's: it must be the same after a resume.

    Raises:
        UserError: the folder holds a run already, and nobody asked to resume it; or its data are others.
    """
    folder = config.run
    sweep(folder)
    record = folder / "run.json"
    if not config.resume:
        if (folder / "metrics.jsonl").exists():  # a record alone is of a run that ended before its first step
            raise UserError(f"{folder} holds a run already: add --resume to go on with it, or name another with --run.")
        write(config, record, **({DIGEST: data} if data else {}))
    elif data and json.loads(record.read_text(encoding="utf-8")).get(DIGEST, data) != data:
        raise UserError(f"{folder} was begun with other data: give them by --data, or begin another run with --run.")
    return config
