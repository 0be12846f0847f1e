"""Networks from files and from keras.applications become something that can be attacked, or one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from shared import saved_models
from shared.classifiers.classifier import find_classifier
from shared.errors import UserError
from shared.training.runtime import import_keras
from tests.parity_worker import build

SIZE = 12


def stack(*ends, size: int = SIZE, dtype: str = "float32"):
    """A network of three classes with these layers at its end."""
    keras = import_keras()
    head = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), *(ends or [keras.layers.Dense(3)])]
    return build(keras.Sequential([keras.Input((size, size, 3), dtype=dtype), *head]))


def photo(height: int, width: int) -> np.ndarray:
    """Smooth enough to be scaled, uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 5) * np.cos(y / 7), np.cos(x / 4), np.sin((x + y) / 6)]
    return np.rint(127.5 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)


def logits_of(network, pictures) -> np.ndarray:
    return np.asarray(network(np.asarray(pictures, np.float32)))


def test_a_folder_with_names_and_a_bare_file(tmp_path):
    network = stack()
    names = {"labels": ["tench", "church", "golf ball"], "wnids": ["n01440764", "n03028079", "n03445777"]}
    saved_models.save(network, tmp_path / "mine", names, float16=False)
    (tmp_path / "alone.keras").write_bytes((tmp_path / "mine" / "model.keras").read_bytes())
    classifier, bare = find_classifier(str(tmp_path / "mine"), 1), find_classifier(str(tmp_path / "alone.keras"), 1)
    assert (classifier.name, bare.name) == ("mine", "alone")
    assert find_classifier(str(tmp_path / "mine" / "model.keras"), 1).name == "mine"
    assert (classifier.labels, classifier.wnids, classifier.size) == (names["labels"], names["wnids"], SIZE)
    assert (bare.labels, bare.wnids) == (["class 0", "class 1", "class 2"], [])
    picture = photo(SIZE, SIZE)
    expected = logits_of(network, picture[None])[0]
    np.testing.assert_allclose(classifier.logits_of(picture), expected, atol=1e-5)
    (best, confidence), *others = classifier.guesses(picture)
    assert best == names["labels"][expected.argmax()]
    assert confidence == pytest.approx(np.exp(expected.max()) / np.exp(expected).sum(), rel=1e-4)
    assert sum(share for _, share in others) == pytest.approx(1 - confidence, abs=1e-6)


@pytest.mark.parametrize("wrong", [{"labels": ["one"], "wnids": "abc"}, {"labels": 7, "wnids": [1, 2]}])
def test_names_that_are_not_all_classes_are_none(tmp_path, wrong):
    saved_models.save(stack(), tmp_path / "mine", wrong)
    classifier = find_classifier(str(tmp_path / "mine"), 1)
    assert (classifier.labels, classifier.wnids) == (["class 0", "class 1", "class 2"], [])


@pytest.mark.parametrize("kind", ["dense", "softmax layer", "activation layer"])
def test_a_softmax_at_the_end_is_taken_off(tmp_path, kind):
    layers = import_keras().layers
    ends = {
        "dense": [layers.Dense(3, "softmax")],
        "softmax layer": [layers.Dense(3), layers.Softmax()],
        "activation layer": [layers.Dense(3), layers.Activation("softmax")],
    }[kind]
    network = stack(*ends)
    saved_models.save(network, tmp_path / "mine", {}, float16=False)
    classifier, pictures = find_classifier(str(tmp_path / "mine"), 1), photo(SIZE, SIZE)[None]
    found, shares = classifier.attacker.logits(pictures), logits_of(network, pictures)
    assert abs(found.sum() - 1) > 0.01
    np.testing.assert_allclose(np.exp(found) / np.exp(found).sum(), shares, atol=1e-5)


def test_networks_that_cannot_be_attacked(tmp_path):
    keras = import_keras()
    inside = stack(keras.layers.Dense(3, "softmax"))
    flat = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    grey = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    ones = [keras.Input((SIZE, SIZE, 3)) for _ in range(2)]
    two = keras.Model(ones, keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.Add()(ones))))
    any_size = keras.Input((None, None, 3))
    open_ended = keras.Model(any_size, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(any_size)))
    wrong = {
        "needs the logits before its softmax": keras.Sequential([keras.Input((SIZE, SIZE, 3)), inside]),
        "uint8 pixels, which have no gradient": stack(dtype="uint8"),
        "maps (None, 8) to (None, 3)": flat,
        "maps (None, 8, 8, 1)": grey,
        "(batch, size, size, 3) to (batch, classes)": two,
        "maps (None, None, None, 3)": open_ended,
        "to (None, 1), and must": stack(keras.layers.Dense(1)),
    }
    for n, (said, network) in enumerate(wrong.items()):
        saved_models.save(network, tmp_path / str(n), {})
        with pytest.raises(UserError) as error:
            find_classifier(str(tmp_path / str(n)), 1)
        assert said in str(error.value)


@pytest.mark.parametrize("shape", [(12, 12), (24, 24), (31, 50), (50, 29), (40, 15), (7, 9), (1, 1)])
def test_a_photo_is_seen_the_same_in_its_own_size(tmp_path, shape):
    saved_models.save(stack(), tmp_path / "mine", {})
    classifier, picture = find_classifier(str(tmp_path / "mine"), 1), photo(*shape)
    through = classifier.attacker_at(picture.shape).logits(picture[None])[0]
    np.testing.assert_allclose(through, classifier.logits_of(picture), atol=0.02)  # grey levels are rounded in between
    upside_down = photo(*shape)[::-1]
    changed = np.abs(classifier.logits_of(upside_down) - classifier.logits_of(picture)).max()
    assert changed > 0.1 or shape == (1, 1)


# ----------------------------------------------------------------------------------------------- published ones


@pytest.fixture
def published(monkeypatch):
    """keras.applications' MobileNetV2, made small; it takes pixels from -1 to 1."""
    keras = import_keras()
    network = build(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1000)]))
    asked = []

    def made(**how):
        asked.append(how)
        return network

    made.__module__ = keras.applications.MobileNetV2.__module__
    monkeypatch.setattr(keras.applications, "MobileNetV2", made)
    names = tuple(f"thing {n}" for n in range(1000)), tuple(f"n{n:08}" for n in range(1000))
    monkeypatch.setattr("shared.classifiers.classifier.imagenet_classes", lambda: names)
    return network, asked


def test_a_published_network_gets_its_preprocessing_and_gives_logits(published):
    network, asked = published
    classifier, picture = find_classifier("MobileNetV2", 1), photo(8, 8)
    expected = logits_of(network, picture[None] / 127.5 - 1)
    np.testing.assert_allclose(classifier.attacker.logits(picture[None]), expected, atol=1e-4)
    assert asked == [{"weights": "imagenet", "classifier_activation": None}]
    assert (classifier.name, classifier.size) == ("MobileNetV2", 8)
    assert (classifier.labels[7], classifier.wnids[7]) == ("thing 7", "n00000007")


def test_without_a_network_it_says_what_is_missing(monkeypatch):
    keras = import_keras()

    def offline(**how):
        raise Exception("URL fetch failure on https://storage.googleapis.com/x.h5: None -- [Errno -3]")

    monkeypatch.setattr(keras.applications, "ResNet50", offline)
    with pytest.raises(UserError, match="the weights of ResNet50 .*URL fetch failure.*connect to the network"):
        find_classifier("ResNet50", 1)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("MobilNetV2", "Did you mean MobileNetV2"),
        ("photo_clasifier", "Did you mean photo_classifier"),
        ("zzz", "Name a .keras file or one of photo_classifier, .*VGG16"),
        ("nowhere.keras", "there is no model nowhere.keras"),
        ("nowhere/model.h5", "there is no model nowhere/model.h5"),
    ],
)
def test_unknown_names(monkeypatch, tmp_path, name, said):
    monkeypatch.setattr(saved_models, "MODELS", tmp_path)
    (tmp_path / "photo_classifier").mkdir()
    with pytest.raises(UserError, match=said):
        find_classifier(name, 1)
