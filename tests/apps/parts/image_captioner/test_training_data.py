"""Training data are true of the photos, and an epoch can be repeated."""

from __future__ import annotations

import numpy as np

from apps.parts.image_captioner.metrics import Cider
from apps.parts.image_captioner.naming import Sentences
from apps.parts.image_captioner.training_data import CaptionIds, Material, RowSizes, pack, training_batches
from shared.data.vocabulary import END, PAD, START, Vocabulary


def test_captions_of_a_mirror_image_do_not_mention_left_and_right():
    words = [("the", "left", "hand"), ("a", "hand"), ("right", "there")]
    vocabulary = Vocabulary.of(words, least=1)
    photo = CaptionIds.of(words, vocabulary)
    assert [vocabulary.decode(ids[1:]) for ids in photo.captions] == words
    assert [vocabulary.decode(ids[1:]) for ids in photo.mirrored] == [("a", "hand")]


def test_a_row_holds_captions_one_behind_the_other():
    row, targets = pack([[START, 7, 8, END], [START, 9, END]], RowSizes(1, 0, length=7, longest=5))
    assert row.tolist() == [START, 7, 8, START, 9, PAD, PAD]
    assert targets.tolist() == [7, 8, END, 9, END, PAD, PAD]
    row, targets = pack([[START, 7, 8, 9, END], [START, 9, END]], RowSizes(1, 0, length=4, longest=3))
    assert row.tolist() == [START, 7, 8, START], "cut"
    assert targets.tolist() == [7, 8, 9, 9], "and not ended where no end was written"


def test_an_epoch_is_its_seed_and_number():
    vocabulary = Vocabulary(["a", "b", "c", "left"])
    symmetric = CaptionIds.of([("left",), ("a",), ("b",), ("c",)], vocabulary)
    found, asked = [symmetric] * 5 + [CaptionIds.of([("left",)], vocabulary)], []

    def input_of(n, mirrored, rng):
        asked.append((int(n), mirrored))
        return np.full((2, 2), n + 10 * mirrored, np.float32)

    names = np.tile(np.array([[[4, 9]] + [[0, 0]] * 7], np.int32), (6, 1, 1))
    sentences = Sentences([("a", "c", "b")] * 6, vocabulary, ["c"])
    nothing = np.zeros((0, 2, 2))
    material = Material(nothing, found, names, names[..., 0] > 0, sentences, nothing, names[:0], Cider([[("a",)]]))

    def epochs(first: int, count: int) -> list:
        made = training_batches(input_of, material, RowSizes(2, 1, length=12, longest=4), 3, first)
        return [next(made) for _ in range(3 * count)]

    both, second = epochs(0, 2), epochs(1, 1)
    for ((inputs, told, ids), targets), ((more, names, others), last) in zip(both[3:], second, strict=True):
        np.testing.assert_array_equal(inputs, more)
        np.testing.assert_array_equal(told, names)
        np.testing.assert_array_equal(ids, others)
        np.testing.assert_array_equal(targets, last)
    of_photos = [each for place, each in enumerate(asked) if place % 3 < 2]  # the third row is a sentence's
    assert sorted(n for n, _ in of_photos[:6]) == list(range(6)), "each photo once"
    assert len({mirrored for _, mirrored in asked}) == 2
    assert not any(mirrored for n, mirrored in asked if n == 5), "its only caption speaks of left"
    for (inputs, told, ids), _ in both:
        assert inputs.shape == (3, 2, 2)
        assert ids.shape == (3, 12)
        assert told[2, 0, 0] == vocabulary.id_of("c"), "the name that its sentence has"
        assert ids[2, 1:4].tolist() == vocabulary.encode(("a", "c", "b"))[1:4]
        for photo, row in zip(inputs[:2, 0, 0], ids[:2], strict=True):
            assert (vocabulary.encode(("left",))[1] in row) == (photo < 10), "mirrored ones say nothing of it"
