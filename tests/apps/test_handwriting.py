"""Handwriting: its lines, sources and hands, the pen, what it draws, and what it refuses."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from apps import handwriting as app
from apps.parts.handwriting import hands, sheets, sources
from apps.parts.handwriting.folders import read_folder
from apps.parts.handwriting.inputs import LONGEST, lines_of, spelled
from apps.parts.handwriting.lines import STEP, Lines, Sample, baseline_of, small_height_of, steps_of
from shared.errors import UserError
from tests.apps.command import Command
from tests.apps.toys.handwriting import drawn

COMMAND = Command("handwriting")
main, sentence = COMMAND.main, COMMAND.sentence


@pytest.fixture(scope="module")
def pen(trained):
    return app.load(trained)


def sample(word="ill", writer=1, slant=0.0):
    return Sample(drawn(word, slant).astype(np.float32), word, writer)


# --------------------------------------------------------------------------------------------------------- Lines


def test_letters_stand_on_the_base_line():
    points = drawn("ilu").astype(np.float32) + np.float32([0, 500, 0])
    assert (baseline_of(points), small_height_of(points)) == (500, 70)


def test_steps_lead_back_to_the_points():
    points = drawn("lull").astype(np.float32)
    steps = steps_of(points, np.random.default_rng(0))
    np.testing.assert_allclose(np.cumsum(steps[:, :2] * STEP, axis=0), points[:, :2], atol=0.51)
    np.testing.assert_array_equal(steps[:, 2], points[:, 2])


def test_an_epoch_has_every_word_once_in_lines_of_one_writer():
    samples = [sample("i" * (n + 1), writer) for n in range(9) for writer in (1, 2)]
    found = Lines(samples, " ilu")
    batches = list(found.batches(2, epoch=0, seed=0, nobody=0.0))
    assert sum(batch.targets[..., 4].sum() for batch in batches) == found.points == sum(len(s.points) for s in samples)
    assert sum((batch.text == 3).sum() for batch in batches) == 2 * 45, "i is the second of the characters"
    assert {int(writer) for batch in batches for writer in batch.writers} == {1, 2}
    again = next(found.batches(2, epoch=0, seed=0, nobody=0.0))
    np.testing.assert_array_equal(batches[0].targets, again.targets)
    first = batches[0]
    follows = first.targets[:, 1:, 4] > 0
    np.testing.assert_array_equal(first.steps[:, 1:][follows], first.targets[:, :-1, :3][follows])


def test_a_long_text_is_cut_and_does_not_end():
    long = Sample(np.tile(sample("u").points, (200, 1)), "u", 1)
    [batch] = Lines([long], " u").batches(1, 0, 0, 0.0)
    assert batch.targets[0, :, 4].all()
    assert not batch.targets[0, :, 3].any()


# ------------------------------------------------------------------------------------------------------- Sources


def test_no_writer_is_in_two_splits(tmp_path):
    from tests.apps.toys.handwriting import bars

    _, file = bars(tmp_path / "data")
    writers = [{each.writer for each in sources.read(str(file), split)} for split in sources.SPLITS]
    assert all(writers)
    assert sum(map(len, writers)) == len(set.union(*writers)) == 6


def test_of_one_writer_no_sample_is_in_two_splits(tmp_path):
    for n in range(30):
        shown = {"text": "i" * (n + 1), "strokes": [[[60 * m, 0], [60 * m, 35]] for m in range(n + 1)]}
        (tmp_path / f"{n}.json").write_text(json.dumps(shown), encoding="utf-8")
    texts = [{each.text for each in sources.read(str(tmp_path), split)} for split in sources.SPLITS]
    assert all(texts)
    assert sum(map(len, texts)) == len(set.union(*texts)) == 30


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"points": np.zeros((2, 3))}, "needs points, offsets and text"),
        ({"points": np.zeros((2, 3)), "offsets": np.array([0, 9]), "text": np.array(["a"])}, "where each text's"),
        ({"points": np.zeros((2, 3)), "offsets": np.array([0, 2]), "text": np.array(["a"])}, "who wrote each text"),
        ({"points": np.full((2, 3), np.nan), "offsets": np.array([0, 2]), "text": np.array(["a"])}, "are numbers"),
        ({"points": np.array([{}], object), "offsets": np.array([0, 1]), "text": np.array(["a"])}, "can be read"),
    ],
)
def test_a_file_that_is_none_is_a_sentence(tmp_path, arrays, said):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=said):
        sources.read(str(tmp_path / "bad.npz"), "train")


def test_folders_of_three_forms(tmp_path):
    strokes = [[[0, 0], [0, 35]], [[40, 0], [40, 35]]]
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.json").write_text(json.dumps({"text": "ii", "strokes": strokes}), encoding="utf-8")
    (own / "b.svg").write_text('<svg><path d="M 0 0 L 0 35"/><polyline points="40,0 40,35"/></svg>', encoding="utf-8")
    (own / "b.txt").write_text("ii\n", encoding="utf-8")
    (own / "c.svg").write_text("<!DOCTYPE x><svg/>", encoding="utf-8")
    (own / "c.txt").write_text("ii\n", encoding="utf-8")
    (own / "d.dat").write_text(
        '.SEGMENT WORD 0-2 ? "ii"\n.PEN_DOWN\n0 35\n0 0\n.PEN_UP\n.PEN_DOWN\n40 35\n40 0\n', encoding="utf-8"
    )
    found = read_folder(own)
    assert [each.text for each in found] == ["ii"] * 3
    for each in found:
        np.testing.assert_allclose(each.points[:, :2] - each.points[0, :2], [[0, 0], [0, 70], [80, 0], [80, 70]])
    iam = tmp_path / "iam"
    for folder in ("lineStrokes/a01/a01-000", "ascii/a01/a01-000"):
        (iam / folder).mkdir(parents=True)
    (iam / "ascii/a01/a01-000/a01-000u.txt").write_text("OCR:\n\nxx\n\nCSR:\n\nA line\n", encoding="utf-8")
    points = '<Stroke><Point x="1" y="2"/><Point x="1" y="40"/></Stroke>'
    xml = f"<W><StrokeSet>{points}</StrokeSet></W>"
    (iam / "lineStrokes/a01/a01-000/a01-000u-01.xml").write_text(xml, encoding="utf-8")
    assert [each.text for each in read_folder(iam)] == ["A line"]


# --------------------------------------------------------------------------------------------------------- Hands


def test_a_hand_is_the_mean_of_five_writers_or_more():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.eye(3) * 10, [9, 7, 2], axis=0)
    vectors = groups + rng.normal(size=groups.shape) * 0.1
    found = hands.blended(vectors, np.full(len(vectors), 30), most=10)
    assert len(found) <= len(vectors) // hands.LEAST_WRITERS
    distances = np.linalg.norm(found[:, None] - vectors, axis=-1)
    assert distances.min() > 1e-3, "no hand is a writer's"


# ------------------------------------------------------------------------------------------------- Writing, drawing


def test_a_seed_writes_the_same_whatever_else_is_written(pen):
    alone = app.written(pen, ["ill"], [0], 1.0, 5)[0][0]
    beside = app.written(pen, ["ill", "ull"], [0], 1.0, 5)[0][0]
    np.testing.assert_allclose(alone.points, beside.points, atol=0.05)
    other = app.written(pen, ["ill"], [0], 1.0, 6)[0][0]
    assert alone.points.shape != other.points.shape or not np.allclose(alone.points, other.points)
    assert alone.window.shape == (len(alone.points), 4)
    assert alone.points[-1, 2] == 1


def test_the_svg_has_every_stroke_and_escapes_the_text(pen):
    page = sheets.page_of(app.written(pen, ["ill"], [0], 1.0, 1))
    root = ElementTree.fromstring(sheets.svg(page, "</title><script>\x00 & more"))
    assert root.find("{*}title").text == "</title><script> & more"
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == len(page.strokes)
    height, width, _ = sheets.picture(page).shape
    places = np.concatenate(page.strokes) * sheets.SCALE
    assert (places >= 0).all()
    assert (places <= [width + 1, height + 1]).all()


def test_a_film_ends_as_the_picture(pen):
    page = sheets.page_of(app.written(pen, ["ill"], [0], 1.0, 1))
    *_, last = sheets.frames(page)
    ink, film = (np.mean(picture < 128) for picture in (sheets.picture(page), last))
    assert ink == pytest.approx(film, rel=0.3)


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.webp", "a.gif"])
def test_the_forms_of_the_result(trained, elsewhere, name):
    main("ill", "--hands", 1, "--model", trained, "-o", name)
    if name != "a.svg":
        with Image.open(name) as image:
            assert image.width > 50


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([" "], "the text is empty"),
        (["i" * (LONGEST + 1)], "give a shorter one"),
        (["🎉"], "knows no '🎉'"),
        (["שלום"], "there is nothing to write"),
        (["ill", "--hand", 99], "--hand is 99"),
        (["ill", "-o", "a.txt"], "picture format"),
        (["ill " * 80, "--line", 10, "--hands", 1, "-o", "a.webp"], "a film has at most 30 lines"),
    ],
)
def test_bad_input_is_a_sentence(trained, elsewhere, capsys, words, said):
    assert said in sentence(capsys, *words, "--model", trained)


def test_unknown_characters_are_named():
    assert spelled("ill é🎉\x07", " eil") == ("ill e", "'é' as 'e', '🎉' as nothing, '\\x07' as nothing")
    assert lines_of("a bb\nccc " + "d" * 70, 5)[:3] == ["a bb", "ccc d", "ddddd"]
