"""The metrics agree with the published implementation on fixed sentences, and with what can be said without it.

The numbers of FIXED come from pycocoevalcap 1.2 (its Bleu(4), Rouge() and Cider(), which need no Java), in a virtual
environment of its own, of the same sentences as they stand here, {n: [candidate]} and {n: references}; times 100.
"""

from __future__ import annotations

import numpy as np
import pytest

from apps.parts.image_captioner import metrics

SENTENCES = """
a brown dog runs through the grass | a dog is running in the grass | a brown dog runs across a green lawn | the dog runs
two children play on the beach | two kids are playing in the sand | children dig at the beach near the sea
a man in a red shirt climbs a rock | a climber in red scales a cliff | a man climbs a steep rock | someone climbing
a woman sits on a bench and reads a book | a lady reading on a park bench | a woman with a book sits on a bench
the the the the | the dog and the cat are in the house | a dog looks at the cat
a boy jumps into a blue swimming pool | a boy is jumping into the pool | a child leaps into blue water
a black dog and a white dog play in the snow | two dogs play in the snow | a black dog chases a white dog through snow
snow | a snowboarder jumps over a hill of snow | a person in the air on a snowboard
a group of people stand in front of a large white building with many windows | people are standing outside a building
a man rides a bike down a hill | a man rides a bike down a hill | a cyclist goes downhill
zebra quartz | a girl in a pink dress dances | a small girl is dancing in the street
a dog jumps over a log a dog jumps over a log | a dog jumps over a log | the brown dog leaps over a fallen tree
""".strip().splitlines()
CANDIDATES = [line.split(" | ")[0].split() for line in SENTENCES]
REFERENCES = [[text.split() for text in line.split(" | ")[1:]] for line in SENTENCES]
FIXED = {"BLEU-1": 65.5914, "BLEU-2": 50.90447, "BLEU-3": 40.54109, "BLEU-4": 33.24543, "ROUGE-L": 52.24339}
FIXED["CIDEr"] = 149.28864
EACH_CIDER = [227.38234, 88.37537, 84.64928, 253.82164, 19.56275, 141.93373, 270.50317, 22.58102, 20.86526, 500.0352]
EACH_CIDER += [0.0, 161.75394]


def test_all_agree_with_the_published_implementation():
    found = metrics.evaluate(CANDIDATES, REFERENCES)
    assert list(found) == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"]
    for name, value in FIXED.items():
        assert found[name] == pytest.approx(value, abs=1e-3), name


def test_so_does_the_cider_of_each_photo():
    np.testing.assert_allclose(metrics.Cider(REFERENCES).each(CANDIDATES), EACH_CIDER, atol=1e-3)


def test_cider_of_some_photos_only():
    cider, photos = metrics.Cider(REFERENCES), [5, 0, 5]
    found = cider.each([CANDIDATES[n] for n in photos], photos)
    np.testing.assert_array_equal(found, cider.each(CANDIDATES)[photos])


def test_what_a_person_said_is_the_best_and_nonsense_the_worst():
    said = [known[0] for known in REFERENCES]
    best, worst = metrics.evaluate(said, REFERENCES), metrics.evaluate([["xyzzy"]] * len(said), REFERENCES)
    for name in best:
        assert worst[name] < 1e-3 < metrics.evaluate(CANDIDATES, REFERENCES)[name] < best[name], name
    for name in best.keys() - {"CIDEr"}:
        assert best[name] == pytest.approx(100), name


def test_short_captions_are_not_rewarded():
    first = [words[:2] for words in CANDIDATES]
    assert metrics.bleu(first, REFERENCES)[0] < metrics.bleu(CANDIDATES, REFERENCES)[0] / 3, "brevity"


def test_an_empty_caption_is_worth_nothing():
    assert metrics.evaluate([[], []], [[["a", "dog"]], [["two", "cats"]]]) == pytest.approx(
        dict.fromkeys(["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"], 0), abs=1e-6
    )


@pytest.mark.parametrize(
    ("one", "other", "length"), [("a b c d", "b x d", 2), ("a b", "b a", 1), ("a a b", "a b a", 2), ("", "a", 0)]
)
def test_common_subsequences(one, other, length):
    assert metrics.common_length(one.split(), other.split()) == length
