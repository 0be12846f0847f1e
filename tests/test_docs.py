"""The pages for people: links lead somewhere, cells for a notebook run, and names in the text are in the code."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [path for path in sorted(ROOT.glob("docs/*.md")) if path.name != "README.md"]
CARDS = sorted(ROOT.glob("saved_models/*/README.md"))


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *CARDS, ROOT / "benchmarks/README.md"], ids=str
)
def test_relative_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


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


def test_every_page_is_in_the_list():
    listed = re.findall(r"\((\w+\.md)\)", (ROOT / "docs/README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [page.name for page in PAGES]
