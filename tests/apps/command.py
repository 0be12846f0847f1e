"""An app's command in this process, where Keras is loaded already: what the tests of all apps ask of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from shared import cli

ROOT = Path(__file__).parents[2]
SLOW = {"keras", "tensorflow", "jax", "matplotlib", "skimage"}  # to import


@dataclass(frozen=True)
class Command:
    """What `python apps/X.py WORDS` does."""

    app: ModuleType
    demo: str
    "Name of the function that runs without a verb."
    hints: tuple[str, ...] = ("Loading ",)
    "How lines on stderr may begin that come before an error."

    def main(self, *words: object) -> int:
        """Run it; the exit code."""
        verbs = {name: getattr(self.app, name) for name in ("train", "evaluate") if hasattr(self.app, name)}
        with pytest.raises(SystemExit) as exit:
            cli.run(self.app.__doc__, getattr(self.app, self.demo), verbs, [str(word) for word in words])
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
        lines = [line for line in err.splitlines() if not line.startswith(self.hints)]
        assert code == 2, err
        assert (len(lines), out) == (1, ""), err + out
        assert lines[0].startswith("error: ")
        return lines[0]


def slow_imports(app: str, folder: Path) -> set[str]:
    """Which of the packages that take long importing the app imports."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import apps.{app}; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    return SLOW & set(said.stdout.split())
