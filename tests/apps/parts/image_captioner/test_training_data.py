"""Training data are true of the photos, and an epoch can be repeated."""

from __future__ import annotations

import numpy as np

from apps.parts.image_captioner.training_data import CaptionIds, pack, training_batches
from shared.data.vocabulary import END, PAD, START, Vocabulary


def test_captions_of_a_mirror_image_do_not_mention_left_and_right():
    words = [("the", "left", "hand"), ("a", "hand"), ("right", "there")]
    vocabulary = Vocabulary.of(words, least=1)
    photo = CaptionIds.of(words, vocabulary)
    assert [vocabulary.decode(ids[1:]) for ids in photo.captions] == words
    assert [vocabulary.decode(ids[1:]) for ids in photo.mirrored] == [("a", "hand")]


def test_a_row_holds_captions_one_behind_the_other():
    row, targets = pack([[START, 7, 8, END], [START, 9, END]], length=7, longest=5)
    assert row.tolist() == [START, 7, 8, START, 9, PAD, PAD]
    assert targets.tolist() == [7, 8, END, 9, END, PAD, PAD]
    row, targets = pack([[START, 7, 8, 9, END], [START, 9, END]], length=4, longest=3)
    assert row.tolist() == [START, 7, 8, START], "cut"
    assert targets.tolist() == [7, 8, 9, 9], "and not ended where no end was written"


def test_an_epoch_is_its_seed_and_number():
    vocabulary = Vocabulary(["a", "b", "c", "left"])
    symmetric = CaptionIds.of([("left",), ("a",), ("b",), ("c",)], vocabulary)
    found, asked = [symmetric] * 5 + [CaptionIds.of([("left",)], vocabulary)], []

    def input_of(n, mirrored, rng):
        asked.append((int(n), mirrored))
        return np.full((2, 2), n + 10 * mirrored, np.float32)

    def epochs(first: int, count: int) -> list:
        made = training_batches(input_of, found, batch=2, length=12, longest=4, seed=3, epoch=first)
        return [next(made) for _ in range(3 * count)]

    both, second = epochs(0, 2), epochs(1, 1)
    for ((inputs, ids), targets), ((more, others), last) in zip(both[3:], second, strict=True):
        np.testing.assert_array_equal(inputs, more)
        np.testing.assert_array_equal(ids, others)
        np.testing.assert_array_equal(targets, last)
    assert sorted(n for n, _ in asked[:6]) == list(range(6)), "each photo once"
    assert len({mirrored for _, mirrored in asked}) == 2
    assert not any(mirrored for n, mirrored in asked if n == 5), "its only caption speaks of left"
    for (inputs, ids), _ in both:
        assert inputs.shape == (2, 2, 2)
        assert ids.shape == (2, 12)
        for photo, row in zip(inputs[:, 0, 0], ids, strict=True):
            assert (vocabulary.encode(("left",))[1] in row) == (photo < 10), "mirrored ones say nothing of it"
