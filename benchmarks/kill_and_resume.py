"""kill -9 at random moments of each app's training, then --resume: does it end as if nothing had happened?

    python benchmarks/kill_and_resume.py                   every app, 20 kills each: about half an hour on 2 cores
    python benchmarks/kill_and_resume.py --only char_rnn --kills 3

The trainings are the toys of the tests (tests/apps/toys/). One is left alone. The others are killed: every second one
at an operation on the file system, drawn from all that the whole training makes in its folder (open, rename, delete,
make a folder, flush: what is being flushed is cut first, as after a power cut), the others at a moment of time. Then
each goes on with --resume, until it ends; killed before there is anything to resume, it begins again, as it says.

It is the same if every line of every record, but for the time that it took, and every array of the newest checkpoint
are, and if no other files are left. Atari's emulators begin anew at a resume, so there the steps and the optimizer's
count must be the same.

TensorFlow takes seconds to import, so all this is done by forks of one process, which has imported it and has not
computed anything yet.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from shared import cli
from shared.console import say
from shared.errors import UserError
from shared.settings import Range, Seed, Settings
from tests.apps.command import APPS, Command, records
from tests.apps.toy import toy_of

TOYS = [path.stem for path in sorted(Path(__file__).resolve().parents[1].glob("tests/apps/toys/*.py"))]
OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "os.truncate"}
"""Python's audit events that are counted."""
PATIENCE_S = 900


@dataclass
class Kill(Settings):
    """Kill trainings, let them go on, and compare them with one that nobody killed."""

    kills: Annotated[int, Range(1, 10_000)] = 20
    """Of each app's training."""
    only: tuple[str, ...] = ()
    """Apps by name; by default all that train."""
    seed: Seed = 1
    """Seed of the moments."""


# ------------------------------------------------------------------------------------------------- A forked training


def forked(work: Callable[[], Any], log: Path, kill_after_s: float | None = None) -> int:
    """Do something in a fork, and give its exit code, -9 if it was killed; what it prints goes to a file."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        code = 70
        try:
            with open(log, "a") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            code = work() or 0
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    return _waited_for(process, kill_after_s)


def _waited_for(process: int, kill_after_s: float | None) -> int:
    end_s = time.monotonic() + (PATIENCE_S if kill_after_s is None else kill_after_s)
    while time.monotonic() < end_s:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def training(name: str, words: list[str], run: Path, more: tuple[str, ...] = ()) -> None:
    """An app's toy training, in a process of its own."""
    import pytest

    patch = pytest.MonkeyPatch()
    toy_of(name).shrink(patch)
    command = Command(name)
    cli.run(command.app.__doc__, command.demo, command.verbs, ["train", *words, "--run", str(run), *more])


class Operations:
    """Counts what is done to the file system inside of a folder, and kills this process at one of it."""

    def __init__(self, folder: Path, fatal: int | None, share: float = 0.5):
        self.folder, self.fatal, self.share, self.count = str(folder), fatal, share, 0
        sys.addaudithook(self._audit)
        self._fsync, os.fsync = os.fsync, self._flush

    def _audit(self, event: str, arguments: tuple) -> None:
        if event in OPERATIONS and self.folder in str(arguments[0]):
            self._next()

    def _flush(self, file: int) -> None:
        with contextlib.suppress(OSError):
            if self.folder in os.readlink(f"/proc/self/fd/{file}"):
                self._next(file)
        self._fsync(file)

    def _next(self, file: int | None = None) -> None:
        self.count += 1
        if self.count == self.fatal:
            if file is not None:
                with contextlib.suppress(OSError):  # a folder, or open for reading
                    os.ftruncate(file, int(os.fstat(file).st_size * self.share))
            os.kill(os.getpid(), signal.SIGKILL)


# ---------------------------------------------------------------------------------------------------------- What came


def outcome(run: Path, repeats: bool) -> dict[str, Any]:
    """What must be the same: records, checkpoints, names of files."""
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("metrics.jsonl")):
        lines = [{k: v for k, v in line.items() if k != "time_s"} for line in records(path.parent)]
        found[f"{path.relative_to(run)}"] = lines if repeats else [line["step"] for line in lines][-1:]
        newest = max((path.parent / "checkpoints").iterdir(), key=lambda folder: folder.name)
        with np.load(newest / "arrays.npz") as arrays:
            state = json.loads((newest / "state.json").read_text(encoding="utf-8"))
            kept = arrays if repeats else [key for key in arrays if "iteration" in state["variables"][key]["name"]]
            found |= {f"{path.parent.relative_to(run)} {key}": arrays[key].tobytes() for key in kept}
        found[f"{path.parent.relative_to(run)} ended at"] = state["step"]
    names = {f"{path.relative_to(run)}" for path in run.rglob("*") if "checkpoints" not in path.parts}
    found["names of files"] = sorted(names)
    found["half-written"] = [f"{path}" for path in run.rglob("*") if path.name.startswith(".")]
    return found


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [key for key in {**one, **other} if one.get(key) != other.get(key)]


@dataclass
class Whole:
    """The training that nobody killed."""

    words: list[str]
    outcome: dict[str, Any]
    seconds: float
    operations: int


def whole(name: str, folder: Path, log: Path) -> Whole:
    """Make the data, and train to the end."""
    told, run = folder / "words.json", folder / "whole"

    def prepare() -> None:
        told.write_text(json.dumps([*map(str, toy_of(name).data(folder / "data")), *toy_of(name).train.split()]))

    def train() -> None:
        operations = Operations(run, None)
        try:
            training(name, json.loads(told.read_text()), run)
        finally:
            told.with_name("count").write_text(str(operations.count))

    if forked(prepare, log):
        raise UserError(f"the data of {name} could not be made:\n{log.read_text()}")
    began_s = time.monotonic()
    if code := forked(train, log):
        raise UserError(f"{name} ended with {code}:\n{log.read_text()[-3000:]}")
    seconds = time.monotonic() - began_s
    count = int(told.with_name("count").read_text())
    return Whole(json.loads(told.read_text()), outcome(run, toy_of(name).repeats), seconds, count)


def killed_and_resumed(name: str, known: Whole, run: Path, number: int, rng: np.random.Generator, log: Path) -> str:
    """Kill one training and let it go on; "" if it came out the same, else what is different."""
    if number % 2 == 0:
        fatal, share = int(rng.integers(1, known.operations + 1)), float(rng.random())

        def doomed() -> None:
            Operations(run, fatal, share)
            training(name, known.words, run)

        code, when = forked(doomed, log), f"at operation {fatal} of {known.operations}"
    else:
        moment_s = float(rng.uniform(0, known.seconds))
        code, when = forked(lambda: training(name, known.words, run), log, moment_s), f"after {moment_s:.2f} s"
    if code not in (0, -signal.SIGKILL):
        return f"{when}: ended with {code} before that"
    code = forked(lambda: training(name, known.words, run, ("--resume",)), log)
    if code == cli.WRONG_INPUT and not (run / "run.json").exists():
        code = forked(lambda: training(name, known.words, run), log)
    if code:
        return f"{when}: --resume ended with {code}: {log.read_text().strip()[-300:]}"
    different = differences(known.outcome, outcome(run, toy_of(name).repeats))
    return f"{when}: other {', '.join(different[:5])}" if different else ""


# ------------------------------------------------------------------------------------------------------------ Report


def warmed_up() -> None:
    """Import what every fork needs, and compute nothing, as `import_keras` would: threads do not survive a fork."""
    for name in ("keras", "matplotlib.figure", "scipy.ndimage", "h5py", "PIL.Image"):
        importlib.import_module(name)


def run(config: Kill) -> None:
    """Kill trainings, let them go on, and compare them with one that nobody killed."""
    if unknown := set(config.only) - set(TOYS):
        raise UserError(f"{min(unknown)} has no toy: choose among {', '.join(TOYS)}.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    say("Loading Keras ...")
    warmed_up()
    names = [name for name in TOYS if name in APPS and (name in config.only or not config.only)]
    print(f"{'':20}{'kills':>8}{'the same':>10}{'s, whole':>10}{'operations':>12}", flush=True)
    faults = 0
    for number, name in enumerate(names):
        with tempfile.TemporaryDirectory() as scratch:
            folder, wrong = Path(scratch).resolve(), []
            os.chdir(folder)
            known = whole(name, folder, folder / "whole.log")
            for kill in range(config.kills):
                rng = np.random.default_rng([config.seed, number, kill])
                wrong.append(killed_and_resumed(name, known, folder / "run", kill, rng, folder / f"{kill}.log"))
                shutil.rmtree(folder / "run", ignore_errors=True)
            os.chdir("/")
        same = sum(not each for each in wrong)
        print(f"{name:20}{config.kills:8}{same:10}{known.seconds:10.1f}{known.operations:12}", flush=True)
        for each in filter(None, wrong):
            print(f"  {each}", flush=True)
        faults += config.kills - same
    if faults:
        sys.exit(1)


if __name__ == "__main__":
    cli.run(__doc__, run, {})
