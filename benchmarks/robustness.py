"""10,000 broken files through all that reads files, and 500 through each app's whole demo: what comes of them?

    python benchmarks/robustness.py                     about an hour on 2 cores
    python benchmarks/robustness.py --inputs 300 --demo-inputs 0      half a minute; the tests do this
    python benchmarks/robustness.py --only colorizer --first 17 --inputs 1    one input again, with its traceback

Good files are made here, and changed at random places (tests/robustness/mutations.py): the bytes of photos, texts,
captions, models, checkpoints, records of runs. All is done in one process, and depends on the seed alone. An input is
refused if it gets one sentence, and answered if it is read. A traceback is a fault of ours, and so is what is left
lying about: a file with a temporary name, or any at all beside an input that was refused.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from shared import cli
from shared.errors import UserError
from shared.settings import Range, Seed, Settings
from tests.apps.command import Command
from tests.robustness.mutations import mutated
from tests.robustness.readers import DEMOS, READERS, Demo


@dataclass
class Try(Settings):
    """Change files at random, let them be read, and print what came of it."""

    inputs: Annotated[int, Range(0, 10_000_000)] = 10_000
    """Changed files for the readers, all together."""
    demo_inputs: Annotated[int, Range(0, 1_000_000)] = 500
    """Changed files for the whole demo of each app."""
    only: tuple[str, ...] = ()
    """Readers and apps by name; by default all."""
    first: Annotated[int, Range(0, 10_000_000)] = 0
    """Number of the first input of each."""
    seed: Seed = 1
    """Seed of the changes."""


@dataclass
class Tally:
    """What came of the inputs of one reader."""

    refused: int = 0
    answered: int = 0
    seconds: float = 0.0
    slowest: tuple[float, int] = (0.0, 0)
    """Seconds and number of one input."""
    tracebacks: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return self.refused + self.answered + len(self.tracebacks)


# ------------------------------------------------------------------------------------------------------- One input


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


def attempt(tally: Tally, number: int, name: str, work: Callable[[], Any]) -> bool:
    """Do it, and count what came of it; whether it was answered."""
    began_s = time.perf_counter()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            work()
        tally.answered += 1
        return True
    except UserError:
        tally.refused += 1
        return False
    except (Exception, SystemExit):
        tally.tracebacks.append(f"input {number}, {name}: {traceback.format_exc()}")
        return False
    finally:
        took_s = time.perf_counter() - began_s
        tally.seconds += took_s
        tally.slowest = max(tally.slowest, (took_s, number))


def changed_files(good: Callable, config: Try, count: int, scratch: Path) -> Iterator[tuple[int, Path]]:
    """The number and the path of each changed file, among good ones in a folder that is as new."""
    source, place = scratch / "good", scratch / "place"
    source.mkdir()
    targets = [path.relative_to(source) for path in good(source)]
    for number in range(config.first, config.first + count):
        rng = np.random.default_rng([config.seed, number])
        target = targets[rng.integers(len(targets))]
        shutil.rmtree(place, ignore_errors=True)
        if len(files_in(source)) > 20:  # photos: the others do not matter
            (place / target).parent.mkdir(parents=True)
        else:
            shutil.copytree(source, place)
        (place / target).write_bytes(mutated((source / target).read_bytes(), target.name, rng))
        yield number, place / target


def through_reader(config: Try, name: str, count: int, scratch: Path) -> Tally:
    """Changed files through a reader."""
    tally, reader = Tally(), READERS[name]
    for number, file in changed_files(reader.good, config, count, scratch):
        before = files_in(scratch)
        attempt(tally, number, file.name, partial(reader.read, file))
        new = [path for path in files_in(scratch) - before if path.name.startswith(".")]
        tally.leftovers += [f"input {number}, {file.name}: {path.name}" for path in new]
    return tally


# ------------------------------------------------------------------------------------------------------ Whole demos


def through_demo(config: Try, name: str, count: int, scratch: Path) -> Tally:
    """Changed files through an app's demo, which begins in an empty folder each time."""
    tally, demo, results = Tally(), DEMOS[name], scratch / "results"
    command = Command(name)
    with loaded_once(command.app, demo):
        for number, file in changed_files(demo.good, config, count, scratch):
            shutil.rmtree(results, ignore_errors=True)
            results.mkdir()
            words = [str(word) for word in demo.words(file)]
            with contextlib.chdir(results):
                answered = attempt(tally, number, file.name, lambda words=words: _whole(command, words))
            left = [path for path in files_in(results) if not answered or path.name.startswith(".")]
            tally.leftovers += [f"input {number}, {file.name}: {path.name}" for path in left]
    return tally


def _whole(command: Command, words: list[str]) -> None:
    """The command from its words on; UserError if it refuses them."""
    try:
        cli.run(command.app.__doc__, command.demo, {}, words)
    except SystemExit as end:
        if end.code == cli.WRONG_INPUT:
            raise UserError from end
        if end.code:
            raise


@contextlib.contextmanager
def loaded_once(app: Any, demo: Demo) -> Iterator[None]:
    """The demo's loaders remember what they gave: 500 inputs are to be tried, and not one model loaded 500 times."""
    instead = {name: _remembered(getattr(app, name)) for name in demo.once} | demo.short(app)
    before = {name: getattr(app, name) for name in instead}
    try:
        vars(app).update(instead)
        yield
    finally:
        vars(app).update(before)


def _remembered(load: Callable) -> Callable:
    known: dict[str, Any] = {}

    def get(*given: Any, **named: Any) -> Any:
        key = "".join(_stable(value) for value in (*given, *named.values()))
        if key not in known:
            known[key] = load(*given, **named)
        return known[key]

    return get


def _stable(value: Any) -> str:
    """A key of what a loader is given: its type for settings, whose model is the shipped one, else the value."""
    return type(value).__name__ if hasattr(value, "__dataclass_fields__") else f"{type(value).__name__} {value!r:.60}"


# ------------------------------------------------------------------------------------------------------------ Report


def tried(config: Try) -> Iterator[tuple[str, Tally]]:
    """Each reader and each demo, with what came of its inputs."""
    asked = {name: reader.share for name, reader in READERS.items() if name in config.only or not config.only}
    for name, share in asked.items():
        count = config.inputs * share // sum(asked.values()) if config.inputs > len(asked) else config.inputs
        with tempfile.TemporaryDirectory() as scratch:
            yield name, through_reader(config, name, count, Path(scratch).resolve())
    for name in DEMOS if config.demo_inputs else ():
        if name in config.only or not config.only:
            with tempfile.TemporaryDirectory() as scratch:
                yield f"{name}.py", through_demo(config, name, config.demo_inputs, Path(scratch).resolve())


def report(name: str, tally: Tally) -> None:
    """Print a row of the table, and every fault."""
    counts = tally.tried, tally.refused, tally.answered, len(tally.tracebacks), len(tally.leftovers)
    row = "".join(f"{count:>12,}" for count in counts)
    print(f"{name:22}{row}{tally.seconds:9.0f}{tally.slowest[0]:9.2f} (input {tally.slowest[1]})", flush=True)
    for fault in dict.fromkeys(fault.rstrip() for fault in (*tally.tracebacks[:8], *tally.leftovers[:8])):
        print(fault if len(tally.tracebacks) < 4 else "\n".join([fault.split(":", 1)[0], *fault.splitlines()[-5:]]))


def run(config: Try) -> None:
    """Change files at random, let them be read, and print what came of it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    unknown = set(config.only) - {*READERS, *DEMOS}
    if unknown:
        raise UserError(f"there is no reader {min(unknown)}: choose among {', '.join((*READERS, *DEMOS))}.")
    heads = ("tried", "refused", "answered", "tracebacks", "leftovers")
    print(f"{'':22}" + "".join(f"{head:>12}" for head in heads) + f"{'s':>9}{'slowest':>9}")
    total = Tally()
    for name, tally in tried(config):
        report(name, tally)
        total.refused += tally.refused
        total.answered += tally.answered
        total.tracebacks += tally.tracebacks
        total.leftovers += tally.leftovers
        total.seconds += tally.seconds
        total.slowest = max(total.slowest, tally.slowest)
    total.tracebacks, total.leftovers, faults = total.tracebacks[:], total.leftovers[:], len(total.tracebacks)
    counts = total.tried, total.refused, total.answered, faults, len(total.leftovers)
    print(f"{'all':22}" + "".join(f"{count:>12,}" for count in counts) + f"{total.seconds:9.0f}")
    if total.tracebacks or total.leftovers:
        sys.exit(1)


if __name__ == "__main__":
    cli.run(__doc__, run, {})
