"""Texts and pictures from files, folders and TFDS: the real TFDS code runs, on data sets made here, offline."""

import importlib.util
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.data import datasets
from shared.data.datasets import open_images, open_text
from shared.errors import UserError

needs_tfds = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in datasets.TFDS_NEEDS), reason="TFDS is not installed"
)


def refused(open_data, *args) -> str:
    with pytest.raises(UserError) as caught:
        open_data(*args)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def pictures(folder: Path, *names: str) -> Path:
    """Files of one colour each: the first is (0, 0, 0), the next (1, 1, 1), ..."""
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), (i, i, i)).save(folder / name)
    return folder


def contents(images: datasets.ImageSet) -> list[tuple[int, int | None]]:
    return [(int(image[0, 0, 0]), label) for image, label in images]


# Text files


def test_open_text_reads_a_file(tmp_path):
    path = tmp_path / "play.txt"
    path.write_bytes("\ufeffFirst Citizen:\r\nÉtienne, 東京\rend\n".encode())
    assert open_text(path) == open_text(str(path)) == "First Citizen:\nÉtienne, 東京\nend\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"GIF89a\0\0", "byte 6 is zero"),
        ("Hello".encode("utf-16"), "byte 3 is zero"),
        ("naïve".encode("latin-1"), "byte 2 is wrong"),
        (b"\xef\xbb\xbfabc\xff", "byte 6 is wrong"),
        (b"cut off \xe6\x9d", "byte 8 is wrong"),
    ],
)
def test_open_text_refuses_what_is_not_text(tmp_path, content, says):
    path = tmp_path / "book.txt"
    path.write_bytes(content)
    sentence = refused(open_text, path)
    assert says in sentence
    assert str(path) in sentence


def test_open_text_refuses_a_folder_and_a_missing_file(tmp_path):
    assert "is not a file" in refused(open_text, tmp_path)
    assert "check its name" in refused(open_text, tmp_path / "gone.txt")
    assert "check its name" in refused(open_text, "gone.txt")


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
    parts = {split: set(contents(open_images(str(tmp_path), split))) for split in datasets.SPLITS}
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


# TFDS


@pytest.fixture
def tfds(tmp_path, monkeypatch):
    """TFDS with an empty cache of its own and without a network."""
    import requests
    import tensorflow_datasets as tfds

    def unreachable(*_args, **_options):
        raise requests.ConnectionError("no network in tests")

    monkeypatch.setattr(requests, "head", unreachable)
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tfds


@pytest.fixture
def toys(tfds, monkeypatch):
    """Two small data sets that TFDS really prepares, writes and reads back."""
    known = ["arcade_toy_text", "arcade_toy_images", "tiny_shakespeare", "imagenette", "celeb_a", "mnist"]
    monkeypatch.setattr(tfds, "list_builders", lambda **_options: known)

    class Toy(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        url_infos = None

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in ("validation", "test", "train")}

    class ToyText(Toy, skip_registration=True):
        name = "arcade_toy_text"

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict({"text": tfds.features.Text()})
            )

        def _generate_examples(self, split):
            yield 0, {"text": f"{split} é. "}

    class ToyImages(Toy, skip_registration=True):
        name = "arcade_toy_images"

        def _info(self):
            image, label = tfds.features.Image(shape=(5, 4, 1)), tfds.features.ClassLabel(names=["cat", "dog"])
            features = tfds.features.FeaturesDict({"image": image, "label": label})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _generate_examples(self, split):
            for i in range(4 if split == "train" else 2):
                yield i, {"image": np.full((5, 4, 1), i, np.uint8), "label": i % 2}

    real, made = tfds.builder, {"arcade_toy_text": ToyText, "arcade_toy_images": ToyImages}
    monkeypatch.setattr(tfds, "builder", lambda name, **kw: made[name](**kw) if name in made else real(name, **kw))
    return made


@needs_tfds
def test_tfds_text_keeps_the_order_of_its_splits(toys):
    for _first_prepares_second_reads in range(2):
        assert open_text("arcade_toy_text") == "train é. validation é. test é. "


@needs_tfds
def test_tfds_images(toys):
    images = open_images("arcade_toy_images", "train")
    assert len(images) == 4
    assert images.classes == ("cat", "dog")
    assert sorted(contents(images)) == [(0, 0), (1, 1), (2, 0), (3, 1)]
    assert contents(images) == contents(images)
    assert next(iter(images))[0].shape == (5, 4, 3)
    assert len(open_images("arcade_toy_images", "all")) == 8
    assert len(contents(open_images("arcade_toy_images", "train[:50%]"))) == 2
    assert "train" in refused(open_images, "arcade_toy_images", "rehearsal")
    assert "no photos" in refused(open_images, "arcade_toy_text")
    assert "no text" in refused(open_text, "arcade_toy_images")


@needs_tfds
def test_published_data_sets(tfds, monkeypatch):
    """The features of tiny_shakespeare and imagenette as TFDS publishes them, filled with noise."""
    sizes = {split: types.SimpleNamespace(num_examples=3, num_bytes=0) for split in datasets.SPLITS}
    monkeypatch.setattr(tfds.core.DatasetInfo, "splits", sizes)
    monkeypatch.setattr(datasets, "_check_online", lambda builder: None)
    with tfds.testing.mock_data(num_examples=3):
        assert open_text("tiny_shakespeare").strip()
        images = open_images("imagenette/160px-v2", "validation")
        examples = list(images)
    assert len(images) == len(examples) == 3
    assert len(images.classes) == 10
    for image, label in examples:
        assert image.dtype == np.uint8
        assert image.shape[2] == 3
        assert label in range(10)


@needs_tfds
def test_without_a_network_there_is_one_sentence_at_once(toys):
    sentence = refused(open_text, "tiny_shakespeare")
    assert "raw.githubusercontent.com cannot be reached" in sentence
    assert "network" in refused(open_images, "imagenette/160px-v2")


@needs_tfds
def test_unknown_names(toys):
    assert "Did you mean tiny_shakespeare?" in refused(open_text, "tiny_shakspeare")
    assert "TFDS has no such data set" in refused(open_images, "holiday")
    assert "TFDS cannot prepare imagenette/nope" in refused(open_images, "imagenette/nope")
    assert "only: 3.0.1" in refused(open_images, "mnist:9.9.9")


def test_tfds_not_installed(monkeypatch):
    found = {"tensorflow": object()}
    monkeypatch.setattr(importlib.util, "find_spec", found.get)
    sentence = refused(open_text, "tiny_shakespeare")
    assert sentence.endswith("pip install tensorflow-datasets importlib_resources")
    assert "pip" not in refused(open_text, "my/own/notes.txt")


# Lists of a split's files, as Flickr8k has them


def test_lists_of_file_names_are_the_splits(tmp_path):
    pictures(tmp_path / "Images", "a.jpg", "b.jpg", "c.jpg", "d.jpg", "unlisted.jpg")
    for split, names in (("train", "c.jpg\na.jpg\nmissing.jpg\n"), ("dev", "b.jpg"), ("test", "d.jpg\n")):
        (tmp_path / f"Flickr_8k.{split}Images.txt").write_text(names, encoding="utf-8")
    found = {split: [value for value, _ in contents(open_images(tmp_path, split))] for split in datasets.SPLITS}
    assert {split: len(values) for split, values in found.items()} == {"train": 2, "validation": 1, "test": 1}
    assert found["validation"] == pytest.approx([1], abs=1)
    assert open_images(tmp_path, "all").classes == ()
    assert len(open_images(tmp_path, "all")) == 4
