"""The translator: pairs and rows to learn from, its network, what it writes, its sentences."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from apps import translator as app
from apps.parts.translator import corpora, rows
from apps.parts.translator.answers import translated
from apps.parts.translator.inputs import given_lines
from apps.parts.translator.subwords import Subwords
from apps.parts.translator.writer import Translator, sentences_of
from shared.data.vocabulary import END, PAD, START
from shared.errors import UserError
from shared.training.runtime import import_keras
from tests.apps.command import Command

COMMAND = Command("translator")
main, text_of, sentence = COMMAND.main, COMMAND.text_of, COMMAND.sentence
SMALL = app.Train(units=16, hidden=16, heads=2, encoder_layers=1, layers=1)


@pytest.fixture(autouse=True)
def alone(elsewhere, monkeypatch):
    """In an empty folder, with nothing piped in."""
    monkeypatch.setattr(sys, "stdin", None)


@pytest.fixture(scope="module")
def translator(trained) -> Translator:
    """What the toy's training has saved."""
    return app.load(trained)


# --------------------------------------------------------------------------------------------------------- Pairs


def test_pairs_come_from_folders_tables_and_aligned_files(tmp_path):
    folder = tmp_path / "multi"
    folder.mkdir()
    for name, text in {
        "train.en": "A dog.\n",
        "train.de": "Ein Hund.\n",
        "val.en": "A cat.\n",
        "val.fr": "Un chat.\n",
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    assert corpora.read_pairs(str(folder), "train") == [("A dog.", "Ein Hund.", "de")]
    assert corpora.read_pairs(str(folder), "validation") == [("A cat.", "Un chat.", "fr")]
    table = tmp_path / "deu.txt"
    table.write_text("".join(f"Number {n}!\tNummer {n}!\tcredit\n" for n in range(400)), encoding="utf-8")
    parts = {split: corpora.read_pairs(str(table), split) for split in ("train", "validation", "test")}
    assert sum(map(len, parts.values())) == 400
    assert all(parts.values())
    assert set(parts["train"][0]) >= {"de"}
    assert corpora.read_pairs(f"ja={table}", "test")[0].language == "ja"
    (tmp_path / "a.en").write_text("One\n\nTwo\n", encoding="utf-8")
    (tmp_path / "a.de").write_text("Eins\n\nZwei\n", encoding="utf-8")
    aligned = [corpora.read_pairs(f"de={tmp_path / 'a.en'},{tmp_path / 'a.de'}", split) for split in parts]
    assert sorted(pair.other for found in aligned for pair in found) == ["Eins", "Zwei"]


def test_a_sentence_is_in_one_split_whatever_its_case_and_punctuation(tmp_path):
    table = tmp_path / "fra.txt"
    lines = [f"{text}\tLigne {n}\n" for n in range(300) for text in (f"Line {n}", f"LINE {n}!", f"line, {n} ...")]
    table.write_text("".join(lines), encoding="utf-8")
    seen = [
        {corpora.normalised(pair.english) for pair in corpora.read_pairs(str(table), split)}
        for split in ("train", "test")
    ]
    assert seen[0] & seen[1] == set()
    assert corpora.held_out_english(str(table)) >= seen[1]
    assert len(seen[0]) > 250


@pytest.mark.parametrize(
    ("files", "source", "said"),
    [
        ({"deu.txt": "no tab\n"}, "deu.txt", "deu.txt, line 1: a line must be English, a tab, and the other language"),
        ({"xyz.txt": "a\tb\n"}, "xyz.txt", "write --data LANGUAGE=xyz.txt"),
        ({"a.en": "1\n2\n", "a.de": "1\n"}, "de=a.en,a.de", "a.en has 2 lines and a.de has 1"),
        ({"deu.txt": "\0"}, "deu.txt", "deu.txt is not plain text"),
        ({}, "de=nowhere.tsv", "there is no file nowhere.tsv"),
        ({"readme": "x"}, ".", "has no train split: it needs train.en"),
    ],
)
def test_broken_pairs_are_a_sentence(tmp_path, files, source, said):
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r".") as error:
        corpora.read_pairs(source, "train")
    assert said in str(error.value)


# ---------------------------------------------------------------------------------------------------------- Rows


def test_an_epoch_has_every_pair_and_some_more_and_depends_on_its_number_alone():
    first = [([4, 9 + n, END], [START, 9 + n, END]) for n in range(40)]
    more = [([4, 99, END], [START, 99, END])] * 50
    steps = 48 // 8  # 40 pairs are five sixths, in batches of eight rows
    whole = list(itertools.islice(rows.batches(first, more, 1 / 6, 64, steps, 7, 1, 0), 2 * steps))
    again = list(itertools.islice(rows.batches(first, more, 1 / 6, 64, steps, 7, 1, 1), steps))
    for one, other in zip(whole[steps:], again, strict=True):
        np.testing.assert_array_equal(one[0][0], other[0][0])
    sources = np.concatenate([inputs[0] for inputs, _ in whole[:steps]])
    assert sorted(sources[:, 1]) == [*range(9, 49), *[99] * 8]
    (source, written), following = whole[0]
    assert source.shape == written.shape == following.shape == (8, 8)
    assert list(written[0][:3]) == [START, source[0, 1], PAD]
    assert list(following[0][:3]) == [source[0, 1], END, PAD]


def test_an_epoch_is_about_as_long_as_its_pairs():
    first = [([4] * 10, [4] * 12)] * 100  # rows of 12
    assert rows.steps_of(first, [], 0.5, 120) == 9  # 100 rows of 12, ten in a batch, and a margin
    assert rows.steps_of(first, first, 0.5, 120) == 19


# ------------------------------------------------------------------------------------------------------ Subwords


def test_every_letter_comes_back():
    texts = ["the dog runs", "ein Hund rennt", "le chien court"] * 20
    subwords = Subwords.of(texts, 300, ("de", "fr"))
    for text in ("the dog", "ein Känguru für 12,50 €", "東京 🎈 Привет"):
        assert subwords.text(subwords.target(text)[1:]) == text
    ids = subwords.source("the dog", "fr")
    assert ids[0] in subwords.never_written
    assert ids[-1] == END
    assert [word for word, _ in subwords.words(ids)] == ["the", "dog"]
    assert set(subwords.source("<fr> <de>", "fr")[1:]) & set(subwords.never_written) == set(), "nobody types a token"


# ------------------------------------------------------------------------------------------------------- Network


def test_padding_and_what_comes_later_change_nothing():
    import_keras()
    network = app.translation_network(40, SMALL)
    source, ids = np.array([[4, 11, 12, END]]), np.array([[START, 21, 22, 23]])
    logits = np.asarray(network([source, ids]))
    longer = np.asarray(network([np.pad(source, ((0, 0), (0, 3))), np.pad(ids, ((0, 0), (0, 2)))]))
    np.testing.assert_allclose(longer[:, :4], logits, atol=1e-5)
    other = np.asarray(network([source, np.array([[START, 21, 30, 31]])]))
    np.testing.assert_allclose(other[:, :2], logits[:, :2], atol=1e-5)
    assert np.abs(other[:, 2] - logits[:, 2]).max() > 1e-3
    french = np.asarray(network([np.array([[5, 11, 12, END]]), ids]))
    assert np.abs(french - logits).max() > 1e-3, "the first token asks for a language"


@pytest.mark.parametrize("architecture", ["transformer", "gru"])
def test_both_networks_learn_to_copy(architecture):
    keras = import_keras()
    keras.utils.set_random_seed(0)
    config = app.Train(architecture=architecture, units=32, hidden=32, heads=2, encoder_layers=1, layers=1, dropout=0.0)
    network = app.network_of(16, config)
    network.compile(keras.optimizers.Adam(0.01), app.smoothed_cross_entropy(0.0))
    rng = np.random.default_rng(0)
    words = rng.integers(6, 16, (256, 3))
    sources = np.pad(words, ((0, 0), (1, 1)), constant_values=((0, 0), (4, END)))
    written = np.pad(words, ((0, 0), (1, 0)), constant_values=START)
    following = np.pad(words, ((0, 0), (0, 1)), constant_values=END)
    network.fit([sources, written], following, batch_size=64, epochs=40, verbose=0)
    answer = np.asarray(network([sources[:50], written[:50]])).argmax(-1)
    assert (answer == following[:50]).mean() > 0.9


def test_the_likeliest_tokens_are_those_of_the_whole_network(translator):
    text = "a dog sits here."
    [[best]] = translator.translate([text], "de", beams=1)
    ids, sums = Translator._greedy(translator, rows.padded([translator.subwords.source(text, "de")], 16))
    assert tuple(ids[0, 0, :100]) == best.ids[:100], "it does not end them: the search must, at the last place"
    assert float(sums[0, 0]) == pytest.approx(best.log_probability, rel=0.05), "the same, but for that end"
    several = translator.translate([text, "a man runs.", text], "de", beams=1)
    assert [found[0].text for found in several][::2] == [best.text] * 2, "whatever else is in the batch"


def test_beams_find_nothing_worse(translator):
    found = translator.translate(["a boy runs here."], "fr", beams=4)[0]
    assert len({each.ids for each in found}) == 4
    ranks = [each.log_probability / len(each.ids) for each in found]
    assert ranks == sorted(ranks, reverse=True)


def test_attention_is_shared_out_over_the_words(translator):
    [[best, *_]] = translator.translate(["a dog runs."], "de")
    written, read, shares = translator.attention("a dog runs.", "de", best)
    assert read == ["a", "dog", "runs."]
    assert shares.shape == (len(written), 3)
    assert (shares >= 0).all()
    assert (shares.sum(axis=1) <= 1.001).all(), "the rest is for the language and the end"


@pytest.mark.parametrize("backend_result", ["greedy_translations"])
def test_both_backends_write_the_same(results, backend_result):
    tensorflow, jax = results(backend_result)
    assert tensorflow["ids"] == jax["ids"]
    np.testing.assert_allclose(tensorflow["sums"], jax["sums"], rtol=1e-4)


# --------------------------------------------------------------------------------------------------------- Texts


def test_a_text_is_cut_at_its_sentences():
    text = 'Mr. Smith came. "Hello!" He sat down at 7.30 p.m. and left\nA new line? J. R. Tolkien wrote it… Yes.'
    assert sentences_of(text) == [
        "Mr. Smith came.",
        '"Hello!"',
        "He sat down at 7.30 p.m. and left",
        "A new line?",
        "J. R. Tolkien wrote it…",
        "Yes.",
    ]


def test_nothing_of_a_long_text_is_lost(translator):
    text = " ".join(f"word{n}," if n % 9 == 0 else f"word{n}" for n in range(200)) + "x" * 700
    parts = translator.parts(text, "de")
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert max(len(translator.subwords.source(part, "de")) for part in parts) <= rows.LONGEST // 2
    assert len(translated(translator, ["a dog runs. " * 3, ""], ["de"], 1, 1)) == 2


def test_lines_come_through_a_pipe_as_they_are_written(monkeypatch, tmp_path):
    file = tmp_path / "piped"
    file.write_bytes("Eins\r\nÄrger".encode())
    with file.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert [line for chunk in given_lines((), None) for line in chunk] == ["Eins", "Ärger"]
    file.write_bytes(b"\xff\xfe\n")
    with file.open() as stream, pytest.raises(UserError, match="not UTF-8"):
        monkeypatch.setattr(sys, "stdin", stream)
        list(given_lines((), None))


# ------------------------------------------------------------------------------------------------------- Commands


def test_the_demo_prints_every_language(trained, capsys):
    told = text_of(capsys, "a dog runs.", "--model", trained, "--alternatives", 2)
    lines = told.splitlines()
    assert lines[0] == "a dog runs."
    assert lines[1].startswith("  de  ")
    assert lines[4].startswith("  fr  ")
    assert all(line.endswith(("%)", "unsure)")) for line in lines[1:])
    assert not Path("outputs/translator/attention.png").exists()
    found = json.loads(text_of(capsys, "a dog runs.", "", "--to", "fr", "--model", trained, "--json"))
    assert [answer["sentence"] for answer in found] == ["a dog runs.", ""]
    assert 0 < found[0]["translations"]["fr"][0]["score"] <= 1


def test_a_program_gets_the_translations_alone(trained, capsys, tmp_path):
    (tmp_path / "lines.txt").write_text("a dog runs.\n\na man sits.\n", encoding="utf-8")
    lines = text_of(capsys, "--file", tmp_path / "lines.txt", "--to", "de", "--model", trained).split("\n")
    assert len(lines) == 4, "a line for each line, and the end of the last"
    assert lines[1] == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([""], "there is nothing to translate"),
        (["a\0b"], "zero bytes"),
        (["x" * 100_001], "100,001 characters is too long"),
        (["a", "--alternatives", 4], "--alternatives is 4, and must be below --beams, 4"),
        (["--file", "nowhere.txt"], "There is no file"),
        (["train", "--data", "nowhere"], "There is no file or folder nowhere"),
        (["train", "--heads", 5], "--units is 192, and must be a multiple of --heads, 5"),
    ],
)
def test_a_wrong_input_is_one_sentence_at_once(words, said, capsys, no_long_work):
    assert said in sentence(capsys, *words)


def test_a_language_that_it_has_not_learned(trained, capsys):
    assert "--to is ko, and this network writes de, fr" in sentence(capsys, "a", "--to", "ko", "--model", trained)


def test_another_vocabulary_is_refused(trained, tmp_path, capsys):
    for name in ("model.keras", "config.json"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    assert "tokens.model is missing" in sentence(capsys, "a", "--model", tmp_path)
    (tmp_path / "tokens.model").write_bytes(b"another one")
    assert "is not the vocabulary that this network learned with" in sentence(capsys, "a", "--model", tmp_path)


def test_evaluate_gives_every_number(trained, run, capsys):
    told = text_of(capsys, "evaluate", "--data", run.data, "--model", trained, "--beams", 1, "--shown", 3)
    for line in (
        "en-de, 6 sentences, beams 1",
        "en-fr, 6 sentences",
        "nrefs:1|case:lc",
        "  chrF  [nrefs:1",
        "contracts, 10",
        "poems",
    ):
        assert line in told
    assert len([line for line in told.splitlines() if " | de: " in line]) == 3


def test_init_goes_on_from_a_model(trained, run, capsys, shrunk):
    assert main("train", *run.words, "--run", "more", "--init", trained) == 0
    assert Path("more/tokens.model").read_bytes() == (trained / "tokens.model").read_bytes()
    assert "give --to the same languages" in sentence(
        capsys, "train", *run.words, "--run", "x", "--init", trained, "--to", "de"
    )
