"""Texts and photos by their names in TFDS: its real code runs, on data sets made here, offline."""

import importlib.util
import types

import numpy as np
import pytest

from shared.data import tfds as by_name
from shared.data.datasets import open_images
from shared.data.text import open_text
from tests.shared.data.opened import contents, refused

needs_tfds = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in by_name.NEEDS), reason="TFDS is not installed"
)


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
    sizes = {split: types.SimpleNamespace(num_examples=3, num_bytes=0) for split in by_name.SPLITS}
    monkeypatch.setattr(tfds.core.DatasetInfo, "splits", sizes)
    monkeypatch.setattr(by_name, "_check_online", lambda builder: None)
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
