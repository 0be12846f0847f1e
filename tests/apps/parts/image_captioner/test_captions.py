"""Captions are read in both published forms, whatever is wrong with a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.parts.image_captioner import captions
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


def read(folder: Path, split: str) -> list[captions.CaptionedPhoto]:
    return captions.read_captions(folder, split)[0]


def sentences(found: list[captions.CaptionedPhoto]) -> dict[str, list[str]]:
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
    assert "1 photos without captions (Images/bare.jpg)" in err
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
