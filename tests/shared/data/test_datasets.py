"""Photos from files and folders: shared/data/datasets.py."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.data import datasets, tfds
from shared.data.datasets import open_images
from tests.shared.data.opened import contents, refused


def pictures(folder: Path, *names: str) -> Path:
    """Files of one colour each: the first is (0, 0, 0), the next (1, 1, 1), ..."""
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), (i, i, i)).save(folder / name)
    return folder


# Folders of pictures


def test_one_picture(tmp_path):
    pictures(tmp_path, "a.png")
    images = open_images(tmp_path / "a.png")
    assert contents(images) == [(0, None)]
    assert len(images) == 1
    (image, _), *_ = images
    assert image.shape == (3, 4, 3)


def test_a_flat_folder(tmp_path):
    pictures(tmp_path, *(f"{i:03}.png" for i in range(60)))
    images = open_images(tmp_path, "all")
    assert contents(images) == contents(images) == [(i, None) for i in range(60)]
    assert images.classes == ()
    parts = {split: set(contents(open_images(str(tmp_path), split))) for split in tfds.SPLITS}
    assert sorted(value for part in parts.values() for value, _ in part) == list(range(60))
    assert len(parts["train"]) > 36
    assert min(map(len, parts.values())) > 0
    (tmp_path / "030.png").unlink()
    assert set(contents(open_images(tmp_path, "validation"))) == parts["validation"] - {(30, None)}


def test_some_pictures_are_spread_evenly():
    images = datasets.ImageSet((), 10, lambda: ((np.full((2, 2, 3), n, np.uint8), None) for n in range(10)))
    for most, expected in ((4, [0, 3, 6, 9]), (0, list(range(10))), (99, list(range(10)))):
        assert [int(image[0, 0, 0]) for image, _ in images.evenly(most)] == expected


def test_a_folder_per_class(tmp_path):
    pictures(tmp_path, "dog/1.png", "cat/1.png", "cat/deep/2.png", "train/1.png")
    (tmp_path / "labels.csv").touch()
    images = open_images(tmp_path, "all")
    assert images.classes == ("cat", "dog", "train")
    assert contents(images) == [(1, 0), (2, 0), (0, 1), (3, 2)]


def test_pictures_beside_folders_have_no_classes(tmp_path):
    pictures(tmp_path, "1.png", "more/2.png")
    images = open_images(tmp_path, "all")
    assert images.classes == ()
    assert contents(images) == [(0, None), (1, None)]


def test_split_folders_are_taken_at_their_word(tmp_path):
    pictures(tmp_path, "train/cat/1.png", "train/dog/2.png", "val/dog/3.png", "val/emu/4.png")
    assert contents(open_images(tmp_path, "train")) == [(0, 0), (1, 1)]
    assert contents(open_images(tmp_path, "validation")) == [(2, 1), (3, 2)]
    assert open_images(tmp_path, "train").classes == ("cat", "dog", "emu")
    assert sorted(contents(open_images(tmp_path, "all"))) == [(0, 0), (1, 1), (2, 1), (3, 2)]
    assert "train, validation and all, not 'test'" in refused(open_images, tmp_path, "test")


def test_broken_pictures_are_skipped_and_named(tmp_path, capsys):
    pictures(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a" / "broken.png").write_bytes(b"no picture")
    images = open_images(tmp_path, "all")
    assert len(images) == 3
    assert contents(images) == [(0, 0), (1, 1)]
    assert "broken.png" in capsys.readouterr().err


def test_folders_that_do_not_do(tmp_path):
    assert "no photos" in refused(open_images, tmp_path)
    assert "check its name" in refused(open_images, tmp_path / "gone")
    pictures(tmp_path, "1.png")
    assert "not 'rehearsal'" in refused(open_images, tmp_path, "rehearsal")


# Lists of a split's files, as Flickr8k has them


def test_lists_of_file_names_are_the_splits(tmp_path):
    pictures(tmp_path / "Images", "a.jpg", "b.jpg", "c.jpg", "d.jpg", "unlisted.jpg")
    for split, names in (("train", "c.jpg\na.jpg\nmissing.jpg\n"), ("dev", "b.jpg"), ("test", "d.jpg\n")):
        (tmp_path / f"Flickr_8k.{split}Images.txt").write_text(names, encoding="utf-8")
    found = {split: [value for value, _ in contents(open_images(tmp_path, split))] for split in tfds.SPLITS}
    assert {split: len(values) for split, values in found.items()} == {"train": 2, "validation": 1, "test": 1}
    assert found["validation"] == pytest.approx([1], abs=1)
    assert open_images(tmp_path, "all").classes == ()
    assert len(open_images(tmp_path, "all")) == 4
