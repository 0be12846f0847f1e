"""Names of what is recognised: which word stands for a class, what rows of sentences teach, what is counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from apps.parts.image_captioner import measures, naming
from shared.data.vocabulary import Vocabulary
from shared.decoding.captioner import BONUS, RIGHT, SURE, Caption, Captioner
from shared.decoding.recognised import CLASSIFIED, NAMES, told
from shared.errors import UserError
from shared.training.runtime import import_keras
from tests.scenarios.image_captioner import tiny_network


def test_the_word_for_a_class():
    labels = ["tabby", "cellular_telephone", "soup bowl", "sundial", "traffic light"]
    names = {
        "n1": ["tabby", "tabby cat", "cat", "feline"],
        "n2": ["cellular telephone", "cell phone", "telephone"],
        "n3": ["soup bowl", "bowl"],
        "n4": ["sundial", "timepiece"],
        "n5": ["cat", "bowl", "telephone", "timepiece", "feline"],
    }
    counts = Counter({"cat": 90, "cell phone": 40, "bowl": 30, "tabby": 2, "timepiece": 1, "traffic light": 20})
    found = naming.sayings_of(labels, ["n1", "n2", "n3", "n4"], names, counts)
    assert found == ["cat", "cell phone", "bowl", "sundial", "traffic light"]
    assert naming.sayings_of(labels, ["n1", "n2", "n3", "n4"], {}, {})[1] == "cellular telephone"


def test_names_are_the_surest_and_classes_of_one_word_count_together():
    ids = np.zeros(CLASSIFIED + 2, np.int32)
    ids[:3], ids[CLASSIFIED:] = (7, 7, 8), (7, 9)  # two breeds of dog; the detector's dog, and another thing
    shares = np.zeros((2, CLASSIFIED + 2), np.float32)
    shares[0, [0, 1, 2, CLASSIFIED, CLASSIFIED + 1]] = 0.35, 0.36, 0.04, 0.2, 0.9
    shares[1, [0, CLASSIFIED]] = 0.1, 0.55
    found = told(shares, ids)
    assert found.shape == (2, NAMES, 2)
    assert found[0].tolist() == [[9, 9], [7, 7], *[[0, 0]] * (NAMES - 2)], "what is below a twentieth is not told"
    assert found[1, 0].tolist() == [7, 5], "the surer network is believed"


def sentences_about() -> tuple[naming.Sentences, Vocabulary]:
    sayings = ["koala"] * naming.ANIMALS + ["abacus"] * (CLASSIFIED - naming.ANIMALS) + ["cat", "clock", "person"]
    texts = [("a", "cat", "sees", "a", "clock"), ("two", "cats", "sit"), ("a", "clock", "on", "a", "wall")] * 5
    vocabulary = Vocabulary([*Vocabulary.of(texts, 1).words, "koala", "abacus", "person"])
    return naming.Sentences(texts, vocabulary, sayings), vocabulary


def test_a_row_of_sentences_has_its_sure_name_in_each():
    sentences, vocabulary = sentences_about()
    rng, seen = np.random.default_rng(0), Counter()
    for _ in range(60):
        captions, names = sentences.row(np.zeros((NAMES, 2), np.int32), rng)
        assert len(captions) == 5
        words = [set(vocabulary.decode(ids[1:])) for ids in captions]
        by_name = {vocabulary.words[n - 4]: tenths for n, tenths in names.tolist() if n}
        everywhere = [name for name in by_name if all({name, naming.plural(name)} & each for each in words)]
        assert max(by_name[name] for name in everywhere) >= 5
        seen.update(everywhere)
    assert set(seen) == {"cat", "clock", "koala", "abacus"}, "rare things are put in the place of common ones"


def test_another_thing_takes_its_article_along():
    sentence = ("a", "cat", "and", "a", "dog")
    assert naming.replaced(sentence, "cat", "otter") == ("an", "otter", "and", "a", "dog")
    assert naming.replaced(("an", "owl", "sits"), "owl", "badger") == ("a", "badger", "sits")
    assert naming.replaced(sentence, "cat", "cat") == sentence


def test_files_of_names(tmp_path):
    file = tmp_path / "names.json"
    file.write_text('{"n1": ["Jack-o\'-lantern"]}', encoding="utf-8")
    assert naming.read_names(file) == {"n1": ["jack o lantern"]}
    for text, said in (
        ("[", "is not JSON"),
        ('["cat"]', "must be of the form"),
        ('{"n1": "cat"}', "must be of the form"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=said):
            naming.read_names(file)


def test_what_is_counted():
    cat, dog = Caption(("two", "cats"), -1.0, 0.9), Caption(("a", "dog"), -1.0, 0.0)
    photos = [Path(f"n1_{n}.jpg") for n in range(4)]
    lines = list(measures.naming_lines(photos, [[dog], [cat, dog], [dog], [dog]], {"n1": ["cat", "feline"]}))
    assert "4 photos of things: 25.0% of the sentences name the thing" in lines[0]
    assert [line.rpartition(", ")[2] for line in lines[2:]] == ["0.0% right", "100.0% right"]
    with pytest.raises(UserError, match="is not called by a WNID"):
        list(measures.naming_lines([Path("cat.jpg")], [[cat]], {"n1": ["cat"]}))
    assert measures.says_twice(Caption(("a", "white", "shirt", "and", "a", "white", "hat"), -1.0))
    assert not measures.says_twice(Caption(("a", "man", "and", "a", "dog"), -1.0))


def test_an_unfamiliar_thing_gets_a_bonus_where_it_is_sure():
    import_keras()
    words = ["dog", "abacus", "koala"]
    captioner = Captioner(tiny_network(7), Vocabulary(words), unfamiliar=["abacus", "koala"])
    none = [[0, 0]] * (NAMES - 2)
    bonus = captioner._bonus(np.array([[[4, 9], [5, SURE], *none], [[6, SURE - 1], [4, 3], *none]], np.int32))
    assert bonus.tolist() == [[0, 0, 0, 0, 0, BONUS, 0], [0] * 7]
    captions = [("a", "dog"), ("a", "koala"), ("the", "dogs")] * naming.RARE
    assert naming.unfamiliar_names(captions, Vocabulary(words), [*words, "person", ""]) == ["abacus"]


def test_a_caption_is_as_sure_as_the_surest_name_it_says():
    import_keras()
    words = ["dog", "person", "traffic light", "a", "man", "dogs", "hat"]
    captioner = Captioner(tiny_network(11), Vocabulary(words))
    told_to_it = np.array([[4, 7], [5, 9], [6, 3], *[[0, 0]] * 5], np.int32)

    def sure(*words: str) -> float:
        return captioner._sure_of(words, told_to_it)

    assert sure("a", "dog") == sure("dogs") == RIGHT[7]
    assert sure("a", "man") == sure("a", "dog", "man") == RIGHT[9]
    assert sure("traffic", "light") == RIGHT[3]
    assert sure("a", "hat") == RIGHT[0]
    assert Caption(("a", "hat"), -1.0, 0.0).told == "I am not sure: a hat"
    assert Caption(("a", "dog"), -1.0, 0.75).told == "a dog"
