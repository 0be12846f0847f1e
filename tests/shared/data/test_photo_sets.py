"""Photos in memory: read, made smaller, some held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.data.photo_sets import load_and_split, open_train_splits
from shared.errors import UserError


def write(folder: Path, names: list[str], size: tuple[int, int] = (40, 30)) -> Path:
    """A picture for each name, whose grey level is its number."""
    for n, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (n, n, n)).save(folder / name)
    return folder


def greys(photos) -> list[int]:
    return sorted(int(image[0, 0, 0]) for image in photos.images)


def test_read_shuffles_and_holds_out(tmp_path):
    folder = write(tmp_path / "pets", [f"train/{'cat' if n % 2 else 'dog'}/{n}.png" for n in range(20)])
    learned, held = load_and_split(open_train_splits(str(folder), same_classes=True), held_out=6, seed=1)
    assert (len(learned), len(held)) == (14, 6)
    assert sorted(greys(learned) + greys(held)) == list(range(20))
    for photos in (learned, held):
        assert photos.classes == ("cat", "dog")
        assert [int(image[0, 0, 0]) % 2 == 0 for image in photos.images] == photos.labels.astype(bool).tolist()
    assert [image[0, 0, 0] for image in learned.images] != greys(learned), "in random order"
    again, _ = load_and_split(open_train_splits(str(folder)), held_out=6, seed=1)
    other, _ = load_and_split(open_train_splits(str(folder)), held_out=6, seed=2)
    assert greys(again) == greys(learned) != greys(other)


def test_several_data_sets_one_without_classes(tmp_path):
    write(tmp_path / "pets", ["train/cat/0.png", "train/dog/1.png"])
    write(tmp_path / "flat", ["train/a.png", "train/b.png", "train/c.png"], size=(600, 300))
    photos, _ = load_and_split(open_train_splits(f"{tmp_path / 'pets'}, {tmp_path / 'flat'}"), held_out=0, seed=0)
    assert len(photos) == 5
    assert sorted(photos.labels.tolist()) == [-1, -1, -1, 0, 1]
    assert {image.shape for image in photos.images} == {(30, 40, 3), (128, 256, 3)}, "none is longer than 256"
    assert photos.squares(20).shape == (5, 20, 20, 3)
    assert photos.squares(20).dtype == np.uint8


def test_take(tmp_path):
    write(tmp_path, [f"train/{name}/1.png" for name in "abcd"])
    photos, _ = load_and_split(open_train_splits(str(tmp_path)), held_out=0, seed=0)
    some = photos.take(np.array([2, 0]))
    assert some.labels.tolist() == photos.labels[[2, 0]].tolist()
    np.testing.assert_array_equal(some.images[1], photos.images[0])


@pytest.mark.parametrize("data", ["flat", "flat,pets", "pets,flat", "pets,plants"])
def test_classes_that_are_not_there_or_not_the_same(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "pets", ["train/cat/0.png", "train/dog/1.png"])
    write(tmp_path / "plants", ["train/rose/0.png"])
    write(tmp_path / "flat", ["train/a.png"])
    with pytest.raises(UserError, match="has no classes to learn"):
        open_train_splits(data, same_classes=True)
    assert open_train_splits(data)


def test_one_of_several_is_missing(tmp_path):
    write(tmp_path, ["train/a.png"])
    with pytest.raises(UserError, match="nowhere"):
        open_train_splits(f"{tmp_path},{tmp_path / 'nowhere'}")
