"""An app's command in this process, where Keras is loaded already: what the tests of all apps ask of it."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shared import cli

ROOT = Path(__file__).parents[2]
APPS = sorted(path.stem for path in ROOT.glob("apps/*.py") if path.stem != "__init__")
HINTS = ("Loading ", "Training on ", "Skipped ", "Left out of ")  # how lines may begin that come before an error


class Command:
    """What `python apps/NAME.py WORDS` does."""

    def __init__(self, name: str):
        self.name, self.app = name, importlib.import_module(f"apps.{name}")

    @functools.cached_property
    def _last_line(self) -> ast.Call:
        """`cli.run(__doc__, demo, {"train": train, ...})`."""
        return ast.parse(inspect.getsource(self.app)).body[-1].body[-1].value

    @property
    def demo(self) -> Callable:
        """What runs without a verb, as it is now: a test may have put something in its place."""
        return getattr(self.app, self._last_line.args[1].id)

    @property
    def verbs(self) -> dict[str, Callable]:
        """What runs with a verb, by that verb."""
        found = self._last_line.args[2]
        return {key.value: getattr(self.app, value.id) for key, value in zip(found.keys, found.values, strict=True)}

    def main(self, *words: object) -> int:
        """Run it; the exit code."""
        with pytest.raises(SystemExit) as exit:
            cli.run(self.app.__doc__, self.demo, self.verbs, [str(word) for word in words])
        return exit.value.code

    def text_of(self, capsys, *words: object) -> str:
        """What it prints on stdout; it must succeed."""
        capsys.readouterr()
        code = self.main(*words)
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    def sentence(self, capsys, *words: object) -> str:
        """The one sentence that a wrong input gets, and nothing on stdout."""
        capsys.readouterr()
        code = self.main(*words)
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if not line.startswith(HINTS)]
        assert code == 2, err
        assert (len(lines), out) == (1, ""), err + out
        assert lines[0].startswith("error: ")
        return lines[0]


def records(run: Path) -> list[dict]:
    """The lines of a run's metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def scores(run: Path, name: str = "val_loss") -> list[float]:
    """Every validation of a run."""
    return [record[name] for record in records(run) if name in record]
