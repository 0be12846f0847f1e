"""The pages for people: links lead somewhere, cells for a notebook run, names in the text are in the code, commands are
ones that the apps take, and what README repeats of the cards is what they say."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTES = {"lecture.md", "security.md", "training_at_scale.md"}  # about no app, or about all
PAGES = [path for path in sorted(ROOT.glob("docs/*.md")) if path.name not in NOTES | {"README.md"}]
CARDS = sorted(ROOT.glob("saved_models/*/README.md"))
EVERY = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *CARDS, ROOT / "benchmarks/README.md"]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def figures(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:[.,]\d+)*", text))


def results() -> list[list[str]]:
    """The rows of README's table of results: app, command, measured, published, training, model, licence."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Results\n")[1].split("\n## ")[0]
    return [line[2:-2].split(" | ") for line in section.splitlines() if line.startswith("| ")][2:]


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_relative_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text) + re.findall(r'src="([^"]+)"', text)
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_commands_are_ones_that_the_apps_take(page):
    text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))  # a command may go on in the next line
    of_all = (ROOT / "shared/settings.py").read_text(encoding="utf-8")
    for script, words in re.findall(r"python ((?:apps|benchmarks)/\w+\.py)([^`\n]*)", text):
        code = (ROOT / script).read_text(encoding="utf-8") + of_all
        for flag in re.findall(r" --([a-z][a-z0-9-]*)", words.split("#")[0]):
            assert flag == "help" or re.search(rf'\b{flag.replace("-", "_")}:|"--{flag}"', code), f"{script} --{flag}"


@pytest.mark.parametrize("row", results(), ids=lambda row: row[1])
def test_a_row_of_results_is_what_the_card_says(row):
    _, command, measured, published, training, model, licence = row
    folder = (ROOT / re.search(r"\((saved_models/\w+/README\.md)\)", model)[1]).parent
    card = " ".join((folder / "README.md").read_text(encoding="utf-8").split())
    assert figures(f"{measured} {published} {training}") - figures(card) == set()
    assert f"`python apps/{command.strip('`')}`" in card, "the card says what the command prints"
    assert f"{(folder / 'model.keras').stat().st_size / 2**20:.1f} MiB" in model
    assert licence in card.split("## Licence")[1]


def test_every_model_has_a_row_of_results():
    linked = {found for row in results() for found in re.findall(r"\((saved_models/\w+/README\.md)\)", row[5])}
    assert linked == {name_of(model.with_name("README.md")) for model in ROOT.glob("saved_models/*/model.keras")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_cell_for_a_notebook_runs(page, tmp_path, monkeypatch, capsys):
    cells = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(cells) == 1
    monkeypatch.chdir(ROOT)
    (tmp_path / "cell.py").write_text(cells[0], encoding="utf-8")
    runpy.run_path(str(tmp_path / "cell.py"))
    assert capsys.readouterr().out.strip(), "it shows nothing"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_names_in_the_table_of_the_code_are_in_the_code(page):
    rows = re.findall(r"^\| (`.*?) \| .* \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    words = [word for row in rows for word in re.findall(r"`([^`]+)`", row)]
    files = [ROOT / word for word in re.findall(r"`([\w/]+\.py)`", page.read_text(encoding="utf-8"))]
    code = "".join(path.read_text(encoding="utf-8") for path in files)
    assert words
    assert [word for word in words if not word.endswith(".py") and not re.search(rf"\b{word}\b", code)] == []


def test_the_names_that_contributing_lists_are_in_shared():
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("| for | there is |")[1].split("\n## ")[0]
    code = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("shared/**/*.py"))
    names = re.findall(r"`(?:\w+\.)?(\w+)`", table)
    assert len(names) > 20
    assert [name for name in names if not re.search(rf"^(?:def|class) {name}\b", code, re.MULTILINE)] == []


def test_every_app_has_a_page_and_every_page_is_in_the_list():
    assert [page.stem for page in PAGES] == [app.stem for app in sorted(ROOT.glob("apps/[!_]*.py"))]
    listed = re.findall(r"\((\w+\.md)\)", (ROOT / "docs/README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(NOTES.union(page.name for page in PAGES))
