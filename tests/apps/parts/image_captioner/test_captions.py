"""Captions are read in both published forms, whatever is wrong with a line; photos teach what is true of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.parts.image_captioner import captions
from apps.parts.image_captioner.captions import Lesson
from shared.data.vocabulary import END, PAD, START, UNKNOWN, Vocabulary
from shared.errors import UserError


def album(folder: Path, captions: str, *names: str) -> Path:
    """Photos and captions.txt."""
    (folder / "Images").mkdir(parents=True)
    for n, name in enumerate(names):
        Image.fromarray(np.full((6, 8, 3), 10 * n, np.uint8)).save(folder / "Images" / name)
    (folder / "captions.txt").write_text(captions, encoding="utf-8")
    return folder


def split_lists(folder: Path, **splits: str) -> None:
    for name, files in splits.items():
        (folder / f"Flickr_8k.{name}Images.txt").write_text("\n".join(files.split()) + "\n", encoding="utf-8")


def read(folder: Path, split: str) -> list[captions.Captioned]:
    return captions.read_captions(folder, split)[0]


def sentences(found: list[captions.Captioned]) -> dict[str, list[str]]:
    return {photo.path.name: [" ".join(words) for words in photo.captions] for photo in found}


def test_commas_and_quotes_belong_to_the_caption(tmp_path):
    text = 'image,caption\na.jpg,"A dog , a ball ."\na.jpg,"The sign says ""STOP"" , twice"\na.jpg,He says "hi" .\n'
    found = read(album(tmp_path / "x", text, "a.jpg"), "all")
    assert sentences(found) == {"a.jpg": ["a dog a ball", "the sign says stop twice", "he says hi"]}


def test_words_are_letters_and_digits_in_lower_case():
    assert (
        " ".join(captions.words_of("A tri-colored dog 's 2 balls , \u00e9t\u00e9_ ."))
        == "a tri colored dog s 2 balls \u00e9t\u00e9"
    )


def test_an_open_quote_spoils_its_own_line_only(tmp_path):
    found = read(album(tmp_path / "x", 'a.jpg,"A dog\nb.jpg,A cat\n', "a.jpg", "b.jpg"), "all")
    assert sentences(found) == {"a.jpg": ["a dog"], "b.jpg": ["a cat"]}


def test_the_older_published_form(tmp_path):
    folder = album(tmp_path / "x", "", "a.jpg", "b.jpg")
    (folder / "captions.txt").unlink()
    (folder / "Flickr8k.token.txt").write_text("a.jpg#0\tA dog , running .\na.jpg#1\tIt runs .\nb.jpg#0\tA cat .\n")
    assert sentences(read(folder, "all")) == {"a.jpg": ["a dog running", "it runs"], "b.jpg": ["a cat"]}


def test_the_lists_are_the_splits(tmp_path):
    text = "".join(f"{name}.jpg,it is {name}\n" for name in "abc")
    folder = album(tmp_path / "x", text, "a.jpg", "b.jpg", "c.jpg")
    split_lists(folder, train="b.jpg", dev="c.jpg", test="a.jpg")
    for split, name in (("train", "b"), ("validation", "c"), ("test", "a")):
        assert sentences(read(folder, split)) == {f"{name}.jpg": [f"it is {name}"]}


def test_what_is_left_out_is_counted_and_named(tmp_path, capsys):
    text = "image,caption\na.jpg,A dog\na.jpg, .\nno comma\n,of nothing\ngone.jpg,A ghost\nlost.jpg,Another\n"
    found = read(album(tmp_path / "x", text, "a.jpg", "bare.jpg"), "all")
    assert sentences(found) == {"a.jpg": ["a dog"]}
    err = capsys.readouterr().err
    assert "1 empty captions (line 3)" in err
    assert "2 lines of another form (line 4, line 5)" in err
    assert "2 captioned photos that are not there (gone.jpg, lost.jpg)" in err
    assert "1 photos without captions (bare.jpg)" in err
    assert err.count("\n") == 1


def test_of_many_faults_a_few_are_named(tmp_path, capsys):
    text = "".join(f"gone{n}.jpg,A ghost\n" for n in range(9)) + "a.jpg,A dog\n"
    read(album(tmp_path / "x", text, "a.jpg"), "all")
    assert (
        "9 captioned photos that are not there (gone0.jpg, gone1.jpg, gone2.jpg and 6 more)" in capsys.readouterr().err
    )


def test_what_does_not_do_is_one_sentence(tmp_path):
    folder = album(tmp_path / "x", "gone.jpg,A ghost\n", "a.jpg")
    with pytest.raises(UserError, match="no photos with captions in its test split"):
        read(folder, "test")
    (folder / "captions.txt").write_bytes(b"a.jpg,caf\xe9\n")
    with pytest.raises(UserError, match="captions.txt is not UTF-8: byte 9"):
        read(folder, "all")
    (folder / "captions.txt").unlink()
    with pytest.raises(UserError, match=r"holds neither captions.txt .* nor Flickr8k.token.txt"):
        read(folder, "all")
    with pytest.raises(UserError, match="there is no folder .*nowhere.*TFDS has no such"):
        read(tmp_path / "nowhere", "train")


def test_broken_photos_are_skipped_with_their_captions(tmp_path, capsys):
    folder = album(tmp_path / "x", "a.jpg,A dog\nb.jpg,A cat\nc.jpg,A cow\n", "a.jpg", "b.jpg", "c.jpg")
    (folder / "Images" / "b.jpg").write_bytes(b"\xff\xd8\xff broken")
    photos, kept = captions.read_photos(read(folder, "all"), 4)
    assert [photo.path.name for photo in kept] == ["a.jpg", "c.jpg"]
    assert photos.shape == (2, 4, 4, 3)
    assert photos[1].mean() == pytest.approx(20, abs=2)
    assert "b.jpg" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------------- words


def test_a_vocabulary_knows_what_is_common():
    vocabulary = Vocabulary.of([("a", "dog"), ("a", "cat"), ("the", "dog")], least=2)
    assert vocabulary.known == ["a", "dog"]
    assert len(vocabulary) == 6
    ids = vocabulary.encode(("a", "red", "dog"))
    assert ids == [START, 4, UNKNOWN, 5, END]
    assert vocabulary.decode([*ids[1:], 4, 4]) == ("a", "dog"), "what is behind the end does not count"


def test_the_order_of_words_is_that_of_no_file():
    one = Vocabulary.of([("b", "a"), ("c",)], least=1)
    assert one.known == Vocabulary.of([("c",), ("a", "b")], least=1).known == ["a", "b", "c"]


# ------------------------------------------------------------------------------------------------------- lessons


def test_a_mirror_image_teaches_nothing_of_left_and_right():
    words = [("the", "left", "hand"), ("a", "hand"), ("right", "there")]
    vocabulary = Vocabulary.of(words, least=1)
    lesson = Lesson.of(words, vocabulary)
    assert [vocabulary.decode(ids[1:]) for ids in lesson.captions] == words
    assert [vocabulary.decode(ids[1:]) for ids in lesson.mirrored] == [("a", "hand")]


def test_a_row_holds_captions_one_behind_the_other():
    row, following = captions.pack([[START, 7, 8, END], [START, 9, END]], length=7, longest=5)
    assert row.tolist() == [START, 7, 8, START, 9, PAD, PAD]
    assert following.tolist() == [7, 8, END, 9, END, PAD, PAD]
    row, following = captions.pack([[START, 7, 8, 9, END], [START, 9, END]], length=4, longest=3)
    assert row.tolist() == [START, 7, 8, START], "cut"
    assert following.tolist() == [7, 8, 9, 9], "without an end that was not said here"


def test_an_epoch_is_its_seed_and_number():
    lesson = Lesson.of([("left",), ("a",), ("b",), ("c",)], vocabulary := Vocabulary(["a", "b", "c", "left"]))
    handed = Lesson.of([("left",)], vocabulary)
    found, seen = [lesson] * 5 + [handed], []

    def view(n, mirrored, rng):
        seen.append((int(n), mirrored))
        return np.full((2, 2), n + 10 * mirrored, np.float32)

    def epochs(first: int, count: int) -> list:
        made = captions.lessons(view, found, batch=2, length=12, longest=4, seed=3, epoch=first)
        return [next(made) for _ in range(3 * count)]

    both, second = epochs(0, 2), epochs(1, 1)
    for ((views, ids), following), ((more, others), last) in zip(both[3:], second, strict=True):
        np.testing.assert_array_equal(views, more)
        np.testing.assert_array_equal(ids, others)
        np.testing.assert_array_equal(following, last)
    assert sorted(n for n, _ in seen[:6]) == list(range(6)), "each photo once"
    assert len({mirrored for _, mirrored in seen}) == 2
    assert not any(mirrored for n, mirrored in seen if n == 5), "its only caption speaks of left"
    for (views, ids), _ in both:
        assert views.shape == (2, 2, 2)
        assert ids.shape == (2, 12)
        for photo, row in zip(views[:, 0, 0], ids, strict=True):
            assert (vocabulary.encode(("left",))[1] in row) == (photo < 10), "mirrored ones say nothing of it"
