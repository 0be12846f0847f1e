"""Tables: what is read, what is refused in one sentence, and that no row's answer comes from itself."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from apps import tables as app
from apps.parts.tables import comparison
from apps.parts.tables.preparing import Preprocessing, problem_of
from shared.data.tables import Table, read_table
from shared.errors import UserError
from shared.training.runtime import import_keras
from tests.apps.command import Command

COMMAND = Command("tables")

ROWS = [f"{n},{n % 7},{'yes' if n % 2 else 'no'}" for n in range(40)]
GOOD = "\n".join(["a,b,c", *ROWS])


def changed(place: int, row: str) -> str:
    return "\n".join(["a,b,c", *ROWS[:place], row, *ROWS[place + 1 :]])


BROKEN = {
    "empty": (b"", "is empty"),
    "blank lines": (b"\n\n  \n", "is empty"),
    "names alone": (b"a,b,c\n", "no rows below"),
    "names and blanks": (b"a,b,c\n\n\n", "no rows below"),
    "one column": ("\n".join(["a", *map(str, range(40))]), "has one column"),
    "no separator": ("one two three\n" * 30, "has one column"),
    "one row": (b"a,b,c\n1,2,yes\n", "1 rows with an answer"),
    "few rows": ("\n".join(["a,b,c", *ROWS[:19]]), "19 rows with an answer"),
    "short row": (changed(9, "9,2"), "3 cells in its first row and 2 in row 11"),
    "long row": (changed(9, "9,2,no,4"), "4 in row 11"),
    "long first row": ("\n".join(["a,b,c,d", *ROWS]), "4 cells in its first row and 3 in row 2"),
    "a word among numbers": (changed(9, "nine,2,no"), "'nine' among the numbers of a"),
    "a unit": (changed(9, "9 kg,2,no"), "'9 kg' among the numbers"),
    "an underscore": (changed(9, "1_0,2,no"), "'1_0' among the numbers"),
    "a spreadsheet's error": (changed(9, "#DIV/0!,2,no"), "'#DIV/0!' among the numbers"),
    "two commas": (changed(9, '"1,0,0",2,no'), "'1,0,0' among the numbers"),
    "infinity": (changed(9, "inf,2,no"), "a number without end in a"),
    "minus infinity": (changed(9, "-Infinity,2,no"), "a number without end in a"),
    "overflow": (changed(9, "1e999,2,no"), "a number without end in a"),
    "too large": (changed(9, "1e200,2,no"), "beyond 1e30 in a"),
    "one class": (GOOD.replace("yes", "no"), "one value of c only"),
    "one number": ("\n".join(["a,b,c", *(f"{n},1,5" for n in range(40))]), "one value of c only"),
    "a rare class": (changed(9, "9,2,perhaps"), "1 rows of c perhaps"),
    "each its own class": ("\n".join(["a,b,c", *(f"{n},1,name{n}" for n in range(40))]), "40 different words"),
    "no answers": ("\n".join(["a,b,c", *(f"{n},1," for n in range(40))]), "0 rows with an answer"),
    "answers are question marks": ("\n".join(["a,b,c", *(f"{n},1,?" for n in range(40))]), "0 rows with an answer"),
    "few answers": ("\n".join(["a,b,c", *ROWS[:5], *(f"{n},1,NA" for n in range(40))]), "5 rows with an answer"),
    "nothing to tell by": ("\n".join(["a,b,c", *(f"1,2,{'yn'[n % 2]}" for n in range(40))]), "no column beside c"),
    "gaps alone": ("\n".join(["a,b,c", *(f",,{'yn'[n % 2]}" for n in range(40))]), "no column beside c"),
    "a column of names": ("\n".join(["a,c", *(f"x{n},{'yn'[n % 2]}" for n in range(60))]), "no column beside c"),
    "a name twice": (GOOD.replace("a,b,c", "a,a,c"), "several columns 'a'"),
    "a name missing": (GOOD.replace("a,b,c", "a,,c"), "no name above column 2"),
    "Excel": (b"PK\x03\x04" + bytes(60), "an Excel file or a zip"),
    "gzip": (b"\x1f\x8b" + bytes(60), "a gzip file"),
    "Parquet": (b"PAR1" + bytes(60), "a Parquet file"),
    "zero bytes": (b"a,b\0c\n" * 30, "holds zero bytes"),
    "half of UTF-16": (b"\xff\xfea\0,\0b", "damaged UTF-16"),
    "HTML": (b"<!DOCTYPE html><html><body>404, not found</body></html>", "looks like HTML"),
    "JSON": (b'{"a": 1, "b": 2}', "looks like HTML, XML or JSON"),
    "an open quote": ('a,b,c\n1,"' + "x" * 140_000, "a quote that is not closed"),
    "too wide": ("\n".join([",".join(map(str, range(2_001)))] * 30), "2,001 columns"),
    "too long": ("a,b\n" + "1,2\n" * 1_000_000, "1,000,001 rows"),
}


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_table_is_one_sentence(kind, tmp_path):
    content, said = BROKEN[kind]
    with pytest.raises(UserError) as error:
        app.problem_in(write(tmp_path / "t.csv", content), None)
    sentence = str(error.value)
    assert said in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_there_are_forty_of_them():
    assert len(BROKEN) >= 40


@pytest.mark.parametrize(
    ("words", "said"), [("--target d", "no column 'd'"), ("--folds 21", "--folds"), ("--units 0", "--units")]
)
def test_wrong_flags(words, said, elsewhere, no_long_work, capsys):
    assert said in COMMAND.sentence(capsys, write(Path("t.csv"), GOOD), *words.split())


def test_ten_million_rows_are_refused_unread(tmp_path):
    with (tmp_path / "t.csv").open("wb") as file:
        file.truncate(300 << 20)
    with pytest.raises(UserError, match="larger than 256 MiB"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_separators_and_encodings(separator, encoding, tmp_path):
    text = GOOD.replace("a,b,c", "Größe,b,c").replace(",", separator)
    table = read_table(write(tmp_path / "t.csv", text.encode(encoding)))
    assert table.columns == ("Größe", "b", "c")
    assert len(table.cells) == 40


def test_decimal_commas_and_gaps_and_no_names(tmp_path):
    table = read_table(write(tmp_path / "t.csv", "\n".join(f"{n},5;?;{n % 2}" if n else ";3;1" for n in range(30))))
    problem = problem_of(table, None)
    assert problem.target == "column 3"
    assert problem.classes == ("0", "1")
    np.testing.assert_array_equal(problem.columns["column 1"][1:], np.arange(1, 30) + 0.5)
    assert np.isnan(problem.columns["column 1"][0])


def made(rows: int = 120, classes: bool = True) -> Table:
    """A number and a word that tell the answer, a number that does not, and gaps."""
    rng = np.random.default_rng(3)
    x, word, noise = rng.normal(size=rows), rng.choice(["low", "high"], rows), rng.normal(size=rows)
    value = x + 1.5 * (word == "high") + rng.normal(size=rows) * 0.2
    answers = np.where(value > 0.7, "ill", "well") if classes else value
    cells = [
        [f"{a:.4f}" if n % 9 else "", w, f"{b:.4f}", f"{c}"]
        for n, (a, w, b, c) in enumerate(zip(x, word, noise, answers, strict=True))
    ]
    return Table("made", ("x", "word", "noise", "answer"), np.array(cells, object))


def test_what_is_fitted_sees_the_training_rows_alone():
    """A leak is planted in the rows left out: nothing of a fold, but what these rows themselves say, may change."""
    problem = problem_of(made(), None)
    learned, left_out = np.arange(100), np.arange(100, 120)
    before = comparison.fold_of(problem, learned, left_out)
    problem.columns["x"][left_out] = 1e6
    problem.columns["word"][left_out] = "a word that tells the answer"
    after = comparison.fold_of(problem, learned, left_out)
    assert before.preprocessing.recipes == after.preprocessing.recipes
    np.testing.assert_array_equal(before.x[learned], after.x[learned])
    assert not after.x[left_out][:, 1:3].any(), "an unknown word is none of the known ones"


def test_answers_that_are_chance_stay_chance():
    import_keras()
    problem = problem_of(made(200), None)
    np.random.default_rng(0).shuffle(problem.answers)
    found = app.compared(app.Diagnose(epochs=5, folds=5, members=2), problem)
    assert all(0.35 < areas.mean() < 0.65 for areas in found.areas.values())


def test_all_folds_at_once_are_each_fold_alone():
    import_keras()
    problem = problem_of(made(100), None)
    folds = comparison.folds_of(problem, 4, 1)
    x, wanted = comparison.stacked(folds, 1, "learned", 75, folds[0].x.shape[1])
    config = app.Diagnose(weight_decay=0.01)
    together = app.draw_weights(4, [x.shape[2], 5, 2], 1)
    alone = [type(w)(np.asarray(w)[2:3], dtype="float32") for w in together]
    for weights, part in ((together, slice(None)), (alone, slice(2, 3))):
        update, _ = app.compiled_update(weights, config)
        batch = [array[part].transpose(1, 0, 2)[:, None] for array in (x, wanted)]  # (rows, 1, copies, ...)
        for _ in range(3):
            update(*map(comparison.tensor, batch))
    for several, one in zip(together, alone, strict=True):
        np.testing.assert_allclose(np.asarray(several)[2:3], np.asarray(one), atol=1e-5)


@pytest.mark.parametrize("classes", [True, False])
def test_the_network_learns_and_the_sheet_is_drawn(classes, tmp_path, elsewhere, capsys):
    table = made(classes=classes)
    with open("t.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([table.columns, *table.cells])
    said = COMMAND.text_of(
        capsys,
        "t.csv",
        "-o",
        "sheet.png",
        *["--folds", "3", "--members", "2", "--epochs", "40", "--learning-rate", ".02"],
    )
    score = float(next(line for line in said.splitlines() if line.startswith("network")).split()[1])
    assert score > 0.7  # each ninth x is a gap, and with it a ninth of what x could tell
    assert "noise" in said or "chance" in said
    assert Path("sheet.png").read_bytes().startswith(b"\x89PNG")


def test_a_trained_network_answers_as_it_did_in_training(trained, elsewhere, capsys):
    COMMAND.text_of(capsys, "--model", trained, "-o", "answers.csv")
    with open("answers.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    shares = np.array([[float(row[f"probability of {name}"]) for name in ("benign", "malignant")] for row in rows])
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=2e-4)
    assert np.mean([row["diagnosis"] == row["diagnosis (answer)"] for row in rows]) > 0.9


def test_a_table_without_a_column_that_was_learned(trained, elsewhere, capsys):
    assert "has no column" in COMMAND.sentence(capsys, write(Path("t.csv"), GOOD), "--model", trained)


def test_a_fold_knows_only_its_words():
    columns = {"word": np.array(["a", "b", "c"], object)}
    prepared = Preprocessing.fit(columns, np.array([0, 1]))
    np.testing.assert_array_equal(prepared(columns), [[1, 0], [0, 1], [0, 0]])


def test_the_tab_compares_what_is_uploaded(tmp_path, monkeypatch):
    gradio = pytest.importorskip("gradio")
    from apps.parts.tables import tab

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with gradio.Blocks():
        tab.show()
    sheet, said = tab.compare(str(write(tmp_path / "t.csv", GOOD)), "", 4, 2)
    assert Path(sheet).is_file()
    assert "t.csv: 40 rows, 2 columns, c: 2 classes" in said
    with pytest.raises(gradio.Error, match="has one column"):
        tab.compare(str(write(tmp_path / "t.csv", "one\ntwo")), "", 4, 2)
