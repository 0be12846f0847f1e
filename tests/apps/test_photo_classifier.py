"""The photo classifier: what the student learns, its commands as a person types them, its sentences."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps import photo_classifier as app
from shared import saved_models
from shared.classifiers.classifier import find_classifier
from shared.classifiers.metrics import softmax
from shared.data.images import load_image
from shared.data.photo_sets import PhotosInMemory
from shared.layers.mobilenet import imagenet_weights
from shared.training.runtime import import_keras
from tests.apps.command import Command, scores
from tests.apps.small_imagenet import CLASSES, TINY
from tests.parity_worker import build
from tests.scenarios.photo_classifier import tiny

COMMAND = Command("photo_classifier")
main, text_of, sentence = COMMAND.main, COMMAND.text_of, COMMAND.sentence
pytestmark = pytest.mark.usefixtures("shrunk")


@pytest.fixture(scope="module")
def tinted(run) -> Path:
    """The folder of photos that it learned from."""
    return run.data


# ------------------------------------------------------------------------------------------- teacher and student


def test_imagenets_weights_without_a_network(monkeypatch, tmp_path, tinted, capsys):
    keras = import_keras()

    def offline(**options):
        raise Exception("URL fetch failure on https://example.org: None -- no network")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    monkeypatch.setattr(app, "imagenet_weights", imagenet_weights)
    said = sentence(capsys, "train", "--data", tinted, "--run", "run", *TINY)
    assert "MobileNetV2's ImageNet weights must be downloaded once" in said
    assert "connect to the network" in said


def test_divergence():
    rng = np.random.default_rng(0)
    teacher, logits = rng.normal(size=(2, 5, 7)) * 3
    p, q = softmax(teacher), softmax(logits)
    np.testing.assert_allclose(app.divergence(teacher, logits), (p * np.log(p / q)).sum(-1), rtol=1e-4)
    np.testing.assert_allclose(app.divergence(teacher, teacher + 2.0), np.zeros(5), atol=1e-6)


@pytest.mark.slow
def test_both_backends_learn_alike(results):
    found = results("photo_classifier_learns_from_a_teacher")
    for name in ("loss", "weights"):
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-3, atol=1e-4)


def test_batchnorm_statistics_are_kept():
    keras = import_keras()
    network = build(tiny(32, 6))
    student = app.student_of(network)
    student.compile(keras.optimizers.SGD(0.1), app.divergence)
    before, kernel = [v.numpy() for v in network.non_trainable_variables], network.get_weights()[0]
    student.fit(np.zeros((4, 32, 32, 3), np.uint8), np.ones((4, 6), "float32"), batch_size=4, verbose=0)
    for one, other in zip(before, network.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other.numpy())
    assert (network.get_weights()[0] != kernel).any(), "it learns"


def test_student_and_teacher_see_the_same_crops():
    def teacher(photos):
        """Answers with the mean colour of what it sees."""
        assert photos.shape[1:] == (40, 40, 3)
        return photos.mean((1, 2), dtype=np.float32)

    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))  # a crop's mean tells which it was
    photos = PhotosInMemory((np.stack([ramp, ramp.T, ramp], -1),) * 20, np.zeros(20, np.int32), ())
    seen, answers = next(app.batches(photos, teacher, app.Train(size=32, batch=8, scale=0.3), epoch=0))
    assert (seen.shape, seen.dtype) == ((8, 32, 32, 3), np.uint8)
    np.testing.assert_allclose(seen.mean((1, 2)), answers, atol=1)
    assert np.ptp(answers[:, 0]) > 10, "the crops differ"


# ------------------------------------------------------------------------------------------------------ training


def test_the_student_comes_to_agree_with_the_teacher(trained, tinted):
    losses = scores(trained)
    assert len(losses) == 6
    assert losses[-1] < 0.3 * losses[0]
    config = json.loads((trained / "config.json").read_text(encoding="utf-8"))
    assert (config["labels"], config["wnids"]) == tuple(map(list, CLASSES))
    assert (config["size"], config["epochs"]) == (32, 6)
    assert config["val_loss"] == pytest.approx(min(losses), rel=1e-4)


def test_half_of_what_was_learned_is_saved(tmp_path, tinted):
    first = build(tiny(32, 6), seed=9)
    saved_models.save(first, tmp_path / "start", {})
    kernels = []
    for mix in (0, 0.5, 1):
        words = ["--data", tinted, "--run", tmp_path / str(mix), "--init", tmp_path / "start", "--mix", mix]
        assert main("train", *words, *TINY, "--epochs", 1) == 0
        kernels.append(saved_models.load(tmp_path / str(mix))[0].get_weights()[0])
    np.testing.assert_allclose(kernels[0], first.get_weights()[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(kernels[1], (kernels[0] + kernels[2]) / 2, rtol=2e-3, atol=1e-3)
    assert np.abs(kernels[2] - kernels[0]).max() > 0.01


def test_quick_and_what_is_usual():
    for words, usual in (({}, (8, 160, 5e-5, 0)), ({"quick": True}, (2, 160, 5e-5, 3000))):
        config = app.Train(**words)
        assert (config.epochs, config.size, config.learning_rate, config.photos) == usual


def test_an_init_of_another_shape(tmp_path, tinted, capsys):
    saved_models.save(build(tiny(32, 3)), tmp_path / "three", {})
    words = ["--data", tinted, "--run", "run", *TINY, "--init", "three"]
    assert "another shape" in sentence(capsys, "train", *words)


# ------------------------------------------------------------------------------------------------------ evaluate


def test_evaluate_gives_every_number(trained, tinted, capsys):
    lines = text_of(capsys, "evaluate", "--model", trained, "--data", tinted / "train").splitlines()
    assert lines[0].endswith("32 pixels; 60 photos"), "pets are not a WordNet identity"
    network, _ = saved_models.load(trained)
    files = [(tinted / "train" / f"n0000000{k}" / f"{n}.png", k) for k in (2, 4) for n in range(30)]
    seen = np.stack([app.crop_square(load_image(path), 32) for path, _ in files])
    truth, logits = np.array([k for _, k in files]), np.asarray(network(seen))
    shares = softmax(logits)
    right = logits.argmax(-1) == truth
    five = (np.argsort(-logits)[:, :5] == truth[:, None]).any(-1)
    expected = f"the largest square      top-1 {right.mean():.1%}, top-5 {five.mean():.1%}, "
    assert lines[1].startswith(f"{expected}confidence {shares.max(-1).mean():.1%}, calibration error ")
    assert lines[2].startswith("its middle, 7/8 wide    top-1 ")
    assert len(lines) == 3


# ----------------------------------------------------------------------------------------------------- the demo


def test_the_demo_names_photos_and_draws_them(tmp_path, trained, capsys):
    out = text_of(capsys, "--model", trained, "--top", 3)
    names = [path.name for path in app.sample_photos()]
    assert [line for line in out.splitlines() if "%" not in line] == names
    assert len(out.splitlines()) == 4 * len(names)
    with Image.open(tmp_path / "outputs" / "photo_classifier" / "photos.png") as sheet:
        assert sheet.size == (2 * (2.5 * 256 + 8) + 8, -(-len(names) // 2) * 264 + 8)


def test_a_folder_with_a_broken_photo_does_the_rest(tmp_path, trained, capsys):
    (tmp_path / "album").mkdir()
    Image.new("RGB", (64, 48), "blue").save(tmp_path / "album" / "sea.png")
    (tmp_path / "album" / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    assert main("album", "--model", trained, "-o", "sheet.png") == 2
    out, err = capsys.readouterr()
    assert out.startswith("sea.png\n")
    assert err.splitlines()[-1].startswith("error: 1 of 2 photos cannot be read: ")
    assert (tmp_path / "sheet.png").is_file()


def test_files_and_folders_as_json(tmp_path, trained, tinted, capsys):
    blue = tinted / "train" / "pets" / "3.png"
    out = text_of(capsys, tinted / "train" / "n00000002", blue, "--model", trained, "--json", "-o", "mine.png")
    answers = json.loads(out)
    assert len(answers) == 31
    assert answers[-1]["photo"] == str(blue)
    network, _ = saved_models.load(trained)
    shares = softmax(np.asarray(network(app.crop_square(load_image(blue), 32)[None])))[0]
    guesses = answers[-1]["guesses"]
    assert [guess["label"] for guess in guesses] == [f"class {n}" for n in np.argsort(-shares)[:5]]
    assert [guess["confidence"] for guess in guesses] == pytest.approx(np.sort(shares)[:0:-1].tolist(), abs=1e-3)
    with Image.open("mine.png") as sheet:
        assert sheet.height == 12 * 264 + 8, "the first 24"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.png"]


# -------------------------------------------------------------------------------------------------- wrong inputs


@pytest.fixture
def no_work(monkeypatch, no_long_work):
    """Such an input is answered before all the photos are read, too; there is no shipped model."""
    monkeypatch.setattr(app.fine_tuning, "load_and_split", no_long_work)
    monkeypatch.setattr(saved_models, "MODELS", Path("nowhere"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nowhere.jpg", "There is no file nowhere.jpg"),
        ("text.jpg", "text.jpg is not a photo"),
        ("half.png", "half.png is damaged or incomplete"),
        (
            "dark.png",
            "there is no photo_classifier in saved_models yet: train it with `python apps/photo_classifier.py train`",
        ),
        ("dark.png --model photo_classifier_robust", "train it with `python apps/fgsm.py train`"),
        ("empty", "empty has no photos in it"),
        ("dark.png --model file.h5", "old HDF5 format"),
        ("dark.png -o text.jpg/sheet.png", "cannot write text.jpg.sheet.png"),
        ("train --data nowhere!", "There is no file or folder nowhere!"),
        ("train --data good,nowhere!", "There is no file or folder nowhere!"),
        ("train --data empty", "empty has no photos"),
        ("train --data good", "good has too few photos for 400 held out and a batch of 64"),
        ("train --data good --held-out 1 --batch 2 --photos 1", "too few photos"),
        ("train --data good --run text.jpg --held-out 1 --batch 1", "text.jpg"),
        ("train --resume --run nowhere", "nowhere holds no run to go on with"),
    ],
)
def test_a_wrong_input_is_one_sentence_at_once(tmp_path, capsys, no_work, words, said):
    for name in ("empty", "flat", "good/cats/", "good/dogs"):
        (tmp_path / name).mkdir(parents=True)
    for name in (
        "dark.png",
        "flat/1.png",
        "flat/2.png",
        *(f"good/{pet}/{n}.png" for pet in ("cats", "dogs") for n in range(5)),
    ):
        Image.new("RGB", (9, 9)).save(tmp_path / name)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "half.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "half.png").read_bytes()[:5000])
    (tmp_path / "text.jpg").write_text("Dear Sir or Madam")
    (tmp_path / "file.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    before = sorted(tmp_path.rglob("*"))
    assert re.search(said, sentence(capsys, *words.split()))
    left = set(tmp_path.rglob("*")) - set(before)
    assert all(path.is_dir() for path in left), "nothing half done is left behind"


def test_photos_whose_names_tell_no_class(tmp_path, trained, capsys):
    Image.new("RGB", (40, 40)).save(tmp_path / "n99999999_yeti.png")
    said = sentence(capsys, "evaluate", "--model", trained, "--data", tmp_path)
    assert "has no photos of run's classes" in said


# -------------------------------------------------------------------------------------------- the shipped models


@pytest.mark.parametrize(("name", "classes", "mebibytes"), [(app.APP, 1000, 8), (app.ROBUST, 10, 5)])
def test_the_shipped_models(name, classes, mebibytes):
    if not (saved_models.MODELS / name / "model.keras").is_file():
        pytest.skip("the model is not shipped yet")
    assert (saved_models.MODELS / name / "model.keras").stat().st_size <= mebibytes * 2**20
    classifier = find_classifier(name, 32)
    assert len(classifier.labels) == len(set(classifier.wnids)) == classes
    if name == app.APP:
        cat = next(path for path in app.sample_photos() if path.stem == "chelsea")
        assert "cat" in classifier.guesses(load_image(cat))[0][0]
