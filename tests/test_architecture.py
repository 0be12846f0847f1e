"""The tree is the architecture: who imports whom, what has two users, how long a page is, what is declared."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE_LINES, FUNCTION_LINES = 400, 40

COMING: dict[str, str] = {}
"""Files of shared/ that one app uses today, and why another one will: empty when the planned apps are there."""

TOO_LONG: set[str] = set()
"""Pages and functions that are too long today: no new ones, please, and soon none."""

NAMES = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn", "xdist": "pytest-xdist"}
"""What is installed under another name than it is imported by."""


# -------------------------------------------------------------------------------------------------- Who imports whom


def module_of(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


FILES = [path.relative_to(ROOT).as_posix() for folder in ("apps", "shared") for path in ROOT.glob(f"{folder}/**/*.py")]
PATHS = {module_of(path): path for path in FILES}
PAGES = sorted(path for path in FILES if re.fullmatch(r"apps/(?!__init__)\w+\.py", path))


@functools.cache
def tree_of(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def names_imported(tree: ast.Module) -> set[str]:
    """Every dotted name that is imported, inside functions too: `from a import b` may be the module a.b."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@functools.cache
def imports(path: str) -> frozenset[str]:
    """The files of apps/ and shared/ that this one imports."""
    return frozenset(PATHS[name] for name in names_imported(tree_of(path)) if name in PATHS)


@functools.cache
def reached(path: str) -> set[str]:
    """The files that this one imports, and those that they import, and so on."""
    found, waiting = set(), [path]
    while waiting:
        new = imports(waiting.pop()) - found
        found |= new
        waiting += new
    return found


def owner(path: str) -> str | None:
    """The page that a page or a part belongs to, by name; None for shared/."""
    found = re.match(r"apps/(?:parts/)?(\w+)", path)
    return found[1] if found and found[1] not in ("__init__", "parts") else None


def test_a_page_and_its_parts_import_nothing_of_another_page():
    strange = {(path, other) for path in FILES for other in imports(path) if owner(path) and owner(other)}
    assert {(path, other) for path, other in strange if owner(path) != owner(other)} == set()


def test_shared_knows_no_app():
    shared = [path for path in FILES if path.startswith("shared/")]
    known = {
        path: {name for name in names_imported(tree_of(path)) if name.split(".")[0] in ("apps", "parts")}
        for path in shared
    }
    assert {path: names for path, names in known.items() if names} == {}


def test_data_knows_no_layers():
    data = [path for path in FILES if path.startswith("shared/data/")]
    assert {path for path in data if any(other.startswith("shared/layers/") for other in reached(path))} == set()


def users(path: str) -> set[str]:
    """The apps that reach a file, by themselves or through shared/. (The gallery shows them all: that is no use.)"""
    return {owner(app) for app in FILES if owner(app) not in (None, "gallery") and path in reached(app)}


def test_what_is_shared_has_two_users():
    asked = [path for path in FILES if re.match(r"shared/(?!layers/|training/)", path) and tree_of(path).body[1:]]
    alone = {path: sorted(users(path)) for path in asked if len(users(path)) < 2}
    assert {path: apps for path, apps in alone.items() if path not in COMING} == {}, (
        "a page's own belongs in apps/parts"
    )
    assert set(COMING) - set(alone) == set(), "the list has names that it needs no more"


@pytest.mark.parametrize("line", ["import parts", "import parts.char_rnn.writer", "from parts.char_rnn import writer"])
@pytest.mark.parametrize("file", ["apps/new.py", "apps/parts/new/tab.py", "shared/new.py"])
def test_ruff_refuses_a_second_copy_of_the_parts(line, file):
    """apps/ is on the path when a page runs: `import parts` would find every class once more, as another one."""
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", "--stdin-filename", file, "-"]
    said = subprocess.run(ruff, cwd=ROOT, input=f"{line}\n", capture_output=True, text=True)
    assert (said.returncode, "from apps.parts" in said.stdout) == (1, True), said


# ------------------------------------------------------------------------------------------------------ How long it is


def functions(path: str) -> dict[str, int]:
    """Every function's lines, by "file:name"."""
    found = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {f"{path}:{node.name}": node.end_lineno - node.lineno + 1 for node in found}


def test_a_page_is_read_in_one_sitting():
    pages = {page for page in PAGES if len((ROOT / page).read_text(encoding="utf-8").splitlines()) > PAGE_LINES}
    long = pages | {name for path in FILES for name, lines in functions(path).items() if lines > FUNCTION_LINES}
    assert long - TOO_LONG == set()
    assert TOO_LONG - long == set(), "the list has names that it needs no more"


# ---------------------------------------------------------------------------------------------------- What is declared


def declared(*files: str) -> set[str]:
    """The distributions that these requirements name."""
    text = "\n".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    return {name.lower().replace("_", "-") for name in re.findall(r"^([A-Za-z0-9][\w.-]*)", text, re.MULTILINE)}


@pytest.mark.parametrize(("folders", "tools"), [(("apps", "shared"), ()), (("tests",), ("requirements-dev.txt",))])
def test_everything_imported_is_declared(folders, tools):
    names = {
        name.split(".")[0]
        for folder in folders
        for path in ROOT.glob(f"{folder}/**/*.py")
        for name in names_imported(ast.parse(path.read_text(encoding="utf-8")))
    } - {*sys.stdlib_module_names, "apps", "shared", "tests", "benchmarks"}
    files = "requirements.txt", "requirements-jax.txt", "requirements-gallery.txt", "requirements-video.txt", *tools
    assert {NAMES.get(name, name).lower().replace("_", "-") for name in names} - declared(*files) == set()


def test_the_exact_set_has_everything_declared():
    files = [path.name for path in ROOT.glob("requirements*.txt") if path.name != "requirements-bench.txt"]
    assert declared(*files) - declared("constraints.txt") == set()
