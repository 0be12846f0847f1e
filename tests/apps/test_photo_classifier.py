"""The photo classifier: its network and lessons, its commands as a person types them, its sentences."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps import photo_classifier as app
from shared import saved_models
from shared.classifiers import imagenet
from shared.classifiers.attacks import Attacker
from shared.classifiers.classifier import Classifier, find_classifier
from shared.classifiers.metrics import softmax
from shared.data.images import load_image
from shared.data.photo_sets import PhotosInMemory
from shared.layers.mobilenet import imagenet_weights
from shared.training.runtime import import_keras
from tests.apps.command import Command, slow_imports
from tests.parity_worker import BACKENDS, build, results
from tests.scenarios.photo_classifier import tiny

ROOT = Path(__file__).parents[2]
TINTS = {"n00000002": (170, 70, 60), "n00000004": (60, 160, 60), "pets": (60, 70, 170)}
CLASSES = tuple(f"class {n}" for n in range(6)), tuple(f"n{n:08}" for n in range(6))
TINY = ["--size", 32, "--batch", 16, "--held-out", 24, "--average", 0.2, "--learning-rate", 0.02]

COMMAND = Command(app, "classify", ("Loading ", "Training on "))
main, text_of, sentence = COMMAND.main, COMMAND.text_of, COMMAND.sentence


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def validation(folder: Path) -> list[float]:
    return [record["val_loss"] for record in records(folder) if "val_loss" in record]


@pytest.fixture(scope="module", autouse=True)
def small_world():
    """A tiny network in the place of MobileNetV2, with weights that nobody downloads, for six classes."""
    import_keras()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "photo_network", tiny)
        patch.setattr(app, "imagenet_weights", lambda: build(tiny(32, 6)).get_weights())
        patch.setattr(app, "TEACHER_SIZE", 40)
        patch.setattr(imagenet, "imagenet_classes", lambda: CLASSES)
        yield


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Outputs go to the current directory: let that not be the repository."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def tinted(tmp_path_factory) -> Path:
    """A folder for each of three classes, 30 photos in each: noise in a tint of its own, of many sizes."""
    folder, rng = tmp_path_factory.mktemp("data") / "tinted", np.random.default_rng(0)
    for name, tint in TINTS.items():
        (folder / "train" / name).mkdir(parents=True)
        for n in range(30):
            pixels = np.add(tint, rng.integers(0, 80, (rng.integers(30, 50), 40, 3)))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "train" / name / f"{n}.png")
    return folder


@pytest.fixture(scope="module")
def robust(tmp_path_factory, tinted) -> Path:
    """A run under attack."""
    run = tmp_path_factory.mktemp("runs") / "robust"
    assert main("train", "--adversarial", "--data", tinted, "--run", run, *TINY, "--epochs", 6) == 0
    return run


@pytest.fixture(scope="module")
def pupil(tmp_path_factory, tinted) -> Path:
    """A run that learns from the teacher, from weights that know nothing."""
    folder = tmp_path_factory.mktemp("runs")
    saved_models.save(build(tiny(32, 6), seed=9), folder / "start", {})
    words = ["--data", f"{tinted},{tinted}", "--run", folder / "pupil", "--init", folder / "start", "--mix", 1]
    assert main("train", *words, *TINY, "--epochs", 6) == 0
    return folder / "pupil"


# ------------------------------------------------------------------------------------------------------- network


def test_the_real_network_is_mobilenet_with_the_preprocessing_inside(monkeypatch, tmp_path):
    monkeypatch.undo()
    keras = import_keras()
    published = keras.applications.MobileNetV2((96, 96, 3), weights=None, classifier_activation=None)
    weights = published.get_weights()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "photo_network", REAL)
        rows = [7, None, 999]
        network = app.filled(app.photo_network(96, 3), weights, rows)
        whole = app.photo_network(96, 1000)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), np.uint8)
    theirs, ours = np.asarray(published(pixels / np.float32(127.5) - 1)), np.asarray(network(pixels))
    np.testing.assert_allclose(ours[:, [0, 2]], theirs[:, [7, 999]], atol=1e-4)
    np.testing.assert_array_equal(np.asarray(network(pixels.astype("float32"))), ours)
    assert np.abs(ours[:, 1]).max() > 0
    assert all(type(layer).__module__.startswith("keras.") for layer in network.layers), "nobody needs this repository"
    assert saved_models.save(whole, tmp_path / "whole", {}).stat().st_size < 7.9 * 2**20
    assert saved_models.save(network, tmp_path / "few", {}).stat().st_size < 4.9 * 2**20


REAL = app.photo_network


def test_imagenets_weights_without_a_network(monkeypatch, tmp_path, tinted, capsys):
    keras = import_keras()

    def offline(**options):
        raise Exception("URL fetch failure on https://example.org: None -- no network")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    monkeypatch.setattr(app, "imagenet_weights", REAL_WEIGHTS)
    said = sentence(capsys, "train", "--data", tinted, "--run", "run", *TINY)
    assert "MobileNetV2's ImageNet weights must be downloaded once" in said
    assert "connect to the network" in said


REAL_WEIGHTS = imagenet_weights


def test_divergence():
    rng = np.random.default_rng(0)
    taught, logits = rng.normal(size=(2, 5, 7)) * 3
    p, q = softmax(taught), softmax(logits)
    np.testing.assert_allclose(app.divergence(taught, logits), (p * np.log(p / q)).sum(-1), rtol=1e-4)
    np.testing.assert_allclose(app.divergence(taught, taught + 2.0), np.zeros(5), atol=1e-6)


@pytest.mark.slow
def test_both_backends_learn_alike():
    outcomes = [results(backend) for backend in BACKENDS]
    taught = [outcome["photo_classifier_learns_from_a_teacher"] for outcome in outcomes]
    for rule in ("kept", "learned"):
        for name in ("loss", "weights"):
            assert isinstance(taught[0], dict), taught[0]
            assert isinstance(taught[1], dict), taught[1]
            np.testing.assert_allclose(taught[0][rule][name], taught[1][rule][name], rtol=1e-3, atol=1e-4)
    attacked = [outcome["photo_classifier_learns_under_attack"] for outcome in outcomes]
    for outcome in attacked:
        assert isinstance(outcome, dict), outcome
        assert outcome["loss"][-1] < 0.95 * outcome["loss"][0]
    np.testing.assert_allclose(attacked[0]["loss"], attacked[1]["loss"], rtol=1e-2)  # each has its own random starts


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_fast_fgsm(backend):
    found = results(backend)["fast_fgsm"]
    assert isinstance(found, dict), found
    assert found["most"] == pytest.approx(4, abs=1e-3)
    assert found["range"] == [0, 255]
    assert 0.5 < found["at the edge"] < 0.95, "1.25 epsilon from a place within epsilon: five of eight at the edge"
    assert found["noise"] == [pytest.approx(4, abs=0.1), pytest.approx(2, abs=0.1)]
    assert found["new noise"] > 1
    clean, noisy, hit = found["loss"]
    assert hit > clean + 3 * abs(noisy - clean)
    assert found["network"][0] == found["network"][1], "the attack leaves BatchNorm's statistics alone"


def test_batchnorm_statistics_are_kept_or_learned():
    keras = import_keras()
    for rule, moved in (("kept", False), ("learned", True)):
        network = build(tiny(32, 6))
        student = app.learner(network, app.Train(batch_norm=rule))
        student.compile(keras.optimizers.SGD(0.1), app.divergence)
        before = [v.numpy() for v in network.non_trainable_variables]
        seen, answers = np.zeros((4, 32, 32, 3), np.uint8), np.ones((4, 6), "float32")
        student.fit((seen, answers), answers, batch_size=4, verbose=0)
        after = [v.numpy() for v in network.non_trainable_variables]
        assert any((a != b).any() for a, b in zip(before, after, strict=True)) is moved


# ------------------------------------------------------------------------------------------------------- lessons


class Teacher:
    """Answers with the mean colour of what it sees."""

    def logits(self, photos):
        assert photos.shape[1:] == (40, 40, 3)
        return photos.mean((1, 2), dtype=np.float32)


def ramps(count: int) -> PhotosInMemory:
    """Photos that are bright on one side, so that a crop's mean colour tells which it was."""
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    images = [
        np.stack([np.tile(ramp, (64, 1)), np.tile(ramp[:, None], 64), np.full((64, 64), n)], -1) for n in range(count)
    ]
    return PhotosInMemory(tuple(image.astype(np.uint8) for image in images), np.arange(count, dtype=np.int32), ())


def test_pupil_and_teacher_see_the_same_crops():
    config = app.Train(size=32, batch=8, scale=0.3)
    (seen, answers), targets = next(app.batches(ramps(20), Teacher(), config, epoch=0))
    assert (seen.shape, seen.dtype) == ((8, 32, 32, 3), np.uint8)
    assert answers is targets
    np.testing.assert_allclose(seen.mean((1, 2)), answers, atol=1)
    assert np.ptp(answers[:, 0]) > 10, "the crops differ"


def test_an_epoch_depends_on_its_number_alone_and_misses_nothing():
    config, photos = app.Train(size=32, batch=8, seed=5), ramps(20)
    lessons = app.batches(photos, None, config, epoch=0)
    epochs = [[next(lessons) for _ in range(2)] for _ in range(2)]
    labels = [np.concatenate([targets for _, targets in epoch]) for epoch in epochs]
    assert all(len(set(seen)) == 16 for seen in labels)
    assert (labels[0] != labels[1]).any()
    (seen, _), targets = next(app.batches(photos, None, config, epoch=1))
    np.testing.assert_array_equal(seen, epochs[1][0][0][0])
    np.testing.assert_array_equal(seen[:, 0, 0, 2], targets)


# ------------------------------------------------------------------------------------------------------ training


def test_the_pupil_comes_to_agree_with_the_teacher(pupil, tinted):
    losses = validation(pupil)
    assert len(losses) == 6
    assert losses[-1] < 0.3 * losses[0]
    config = json.loads((pupil / "config.json").read_text(encoding="utf-8"))
    assert (config["labels"], config["wnids"]) == tuple(map(list, CLASSES))
    assert (config["size"], config["epochs"], config["batch_norm"], config["adversarial"]) == (32, 6, "kept", False)
    assert config["val_loss"] == pytest.approx(min(losses), rel=1e-4)
    assert (pupil / "curve.png").is_file()


def test_half_of_what_was_learned_is_judged_and_saved(tmp_path, tinted):
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


def test_a_run_under_attack_learns_its_classes(robust):
    wrong = validation(robust)
    assert min(wrong) < 0.1
    config = json.loads((robust / "config.json").read_text(encoding="utf-8"))
    assert config["wnids"] == sorted(TINTS)
    assert config["labels"] == ["class 2", "class 4", "pets"]
    assert (config["epsilon"], config["batch_norm"], config["epoch"] > 0) == (4.0, "learned", True)
    keras = import_keras()
    model = keras.saving.load_model(robust / "model.keras", safe_mode=True)
    assert (model.input_shape, model.output_shape) == ((None, 32, 32, 3), (None, 3))
    pixels = np.full((1, 32, 32, 3), TINTS["n00000004"], np.uint8) + np.uint8(40)
    for photo in (pixels, pixels.astype("float32")):
        assert np.asarray(model(photo)).argmax() == 1


def test_the_saved_network_is_the_one_that_was_judged(robust, tinted, capsys):
    source = app.open_train_splits(str(tinted))
    held = app.load_and_split(source, 24, seed=1)[1]
    network, _ = saved_models.load(robust)
    left = app.withstood(Attacker(network, 8), held.squares(32), held.labels, 4.0)
    assert 1 - left[2] == pytest.approx(min(validation(robust)), abs=0.05)


def test_resuming_equals_no_interruption(tmp_path, tinted, monkeypatch):
    words = ["train", "--adversarial", "--data", tinted, *TINY, "--epochs", 3]
    assert main(*words, "--run", "whole") == 0
    calls, withstood = [], app.withstood

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return withstood(*arguments)

    monkeypatch.setattr(app, "withstood", interrupted)
    assert main(*words, "--run", "parts") == 130
    monkeypatch.setattr(app, "withstood", withstood)
    assert main("train", "--resume", "--run", "parts") == 0
    last = [max((tmp_path / run / "checkpoints").iterdir()) / "arrays.npz" for run in ("whole", "parts")]
    with np.load(last[0]) as whole, np.load(last[1]) as parts:
        assert set(whole) == set(parts)
        for name in whole:
            np.testing.assert_array_equal(whole[name], parts[name], err_msg=name)
    assert validation(tmp_path / "whole") == validation(tmp_path / "parts")


def test_catastrophic_overfitting_is_told(tmp_path, tinted, monkeypatch, capsys):
    found = iter([(0.9, 0.4, 0.0), (0.9, 0.6, 0.5), (0.9, 0.8, 0.1)])  # undefended yet, defended, overfitted
    monkeypatch.setattr(app, "withstood", lambda *arguments: next(found))
    words = ["--adversarial", "--data", tinted, "--run", "run", *TINY, "--epochs", 3]
    assert main("train", *words) == 0
    assert capsys.readouterr().err.count("Catastrophic overfitting") == 1
    assert json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))["epoch"] == 2


def test_quick_and_what_the_purpose_decides(monkeypatch, tinted):
    monkeypatch.setattr(app.settings, "begin", lambda config: config)
    monkeypatch.setattr(app, "open_train_splits", lambda data, same_classes: [range(10_000)])
    for words, epochs, size, rate, rule in (
        ({}, 8, 160, 5e-5, "kept"),
        ({"quick": True}, 2, 160, 5e-5, "kept"),
        ({"adversarial": True}, 15, 128, 5e-4, "learned"),
        ({"adversarial": True, "size": 96, "batch_norm": "kept"}, 15, 96, 5e-4, "kept"),
    ):
        config, _ = app.checked(app.Train(**words))
        assert (config.epochs, config.size, config.learning_rate, config.batch_norm) == (epochs, size, rate, rule)
        assert config.photos == (3000 if config.quick else 0)


def test_a_run_is_not_overwritten(robust, tinted, capsys):
    assert "holds a run already" in sentence(capsys, "train", "--data", tinted, "--run", robust, *TINY)


def test_an_init_of_another_shape(tmp_path, tinted, robust, capsys):
    words = ["--data", tinted, "--run", "run", *TINY, "--init", robust]
    assert "another shape" in sentence(capsys, "train", *words)


# ------------------------------------------------------------------------------------------------------ evaluate


def test_evaluate_gives_every_number(tmp_path, robust, pupil, tinted, capsys):
    config = json.loads((pupil / "config.json").read_text(encoding="utf-8"))
    saved_models.save(
        saved_models.load(pupil)[0], tmp_path / "undefended", config | {"wnids": [*CLASSES[1][:5], "pets"]}
    )
    words = ["--model", robust, "--data", tinted / "train", "--under-attack", "--beside", "undefended"]
    out = text_of(capsys, "evaluate", *words)
    lines = out.splitlines()
    assert lines[0].endswith("32 pixels; 60 photos"), "pets are not a WordNet identity"
    network, _ = saved_models.load(robust)
    files = [(tinted / "train" / name / f"{n}.png", k) for k, name in enumerate(sorted(TINTS)[:2]) for n in range(30)]
    seen = np.stack([app.crop_square(load_image(path), 32) for path, _ in files])
    truth, logits = np.array([k for _, k in files]), np.asarray(network(seen))
    shares = softmax(logits)
    assert lines[1].startswith(
        f"the largest square      top-1 {np.mean(logits.argmax(-1) == truth):.1%}, top-5 100.0%, "
    )
    assert f"confidence {shares.max(-1).mean():.1%}, calibration error " in lines[1]
    assert lines[2].startswith("its middle, 7/8 wide    top-1 ")
    assert lines[3] == "under attack, 4/255"
    pattern = r"(\w+) +clean ([\d.]+)%, FGSM ([\d.]+)%, PGD-10 ([\d.]+)%"
    (ours, *left), (theirs, *_) = (re.fullmatch(pattern, line).groups() for line in lines[4:])
    assert (ours, theirs) == ("robust", "undefended")
    assert [float(x) for x in left] == pytest.approx(
        [100 * x for x in app.withstood(Attacker(network, 32), seen, truth, 4.0)], abs=0.1
    )


def test_the_undefended_network_chooses_among_the_same_classes():
    network = build(tiny(32, 6))
    classifier = Classifier("it", network, list(CLASSES[0]), list(CLASSES[1]), Attacker(network))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    few = app.among(classifier, ["n00000004", "n00000001"]).logits(pixels)
    np.testing.assert_allclose(few, np.asarray(network(pixels))[:, [4, 1]], atol=1e-5)


# ----------------------------------------------------------------------------------------------------- the demo


def test_the_demo_names_photos_and_draws_them(tmp_path, pupil, capsys):
    out = text_of(capsys, "--model", pupil, "--top", 3)
    names = [path.name for path in app.sample_photos()]
    assert [line for line in out.splitlines() if "%" not in line] == names
    assert len(out.splitlines()) == 4 * len(names)
    with Image.open(tmp_path / "outputs" / "photo_classifier" / "photos.png") as sheet:
        assert sheet.size == (2 * (2.5 * 256 + 8) + 8, -(-len(names) // 2) * 264 + 8)


def test_a_folder_with_a_broken_photo_does_the_rest(tmp_path, pupil, capsys):
    (tmp_path / "album").mkdir()
    Image.new("RGB", (64, 48), "blue").save(tmp_path / "album" / "sea.png")
    (tmp_path / "album" / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    assert main("album", "--model", pupil, "-o", "sheet.png") == 2
    out, err = capsys.readouterr()
    assert out.startswith("sea.png\n")
    assert err.splitlines()[-1].startswith("error: 1 of 2 photos cannot be read: ")
    assert (tmp_path / "sheet.png").is_file()


def test_files_and_folders_as_json(tmp_path, pupil, tinted, capsys):
    blue = tinted / "train" / "pets" / "3.png"
    out = text_of(capsys, tinted / "train" / "n00000002", blue, "--model", pupil, "--json", "-o", "mine.png")
    answers = json.loads(out)
    assert len(answers) == 31
    assert answers[-1]["photo"] == str(blue)
    network, _ = saved_models.load(pupil)
    shares = softmax(np.asarray(network(app.crop_square(load_image(blue), 32)[None])))[0]
    guesses = answers[-1]["guesses"]
    assert [guess["label"] for guess in guesses] == [f"class {n}" for n in np.argsort(-shares)[:5]]
    assert [guess["confidence"] for guess in guesses] == pytest.approx(np.sort(shares)[:0:-1].tolist(), abs=1e-3)
    with Image.open("mine.png") as sheet:
        assert sheet.height == 12 * 264 + 8, "the first 24"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.png"]


def test_help_does_not_wait_for_keras(tmp_path):
    assert not slow_imports("photo_classifier", tmp_path)


# -------------------------------------------------------------------------------------------------- wrong inputs


@pytest.fixture
def no_work(monkeypatch, no_long_work):
    """Such an input is answered before all the photos are read, too; there is nothing in the box."""
    monkeypatch.setattr(app, "load_and_split", no_long_work)
    monkeypatch.setattr(saved_models, "MODELS", Path("nowhere"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nowhere.jpg", "There is no file nowhere.jpg"),
        ("text.jpg", "text.jpg is not a picture"),
        ("half.png", "half.png is damaged or incomplete"),
        ("dark.png", "there is no photo_classifier in the box yet"),
        ("dark.png --model photo_classifier_robust", "make one with .* train --adversarial"),
        ("empty", "empty has no pictures in it"),
        ("dark.png --model file.h5", "old HDF5 format"),
        ("dark.png -o text.jpg/sheet.png", "cannot write text.jpg.sheet.png"),
        ("train --data nowhere!", "There is no file or folder nowhere!"),
        ("train --data good,nowhere!", "There is no file or folder nowhere!"),
        ("train --data empty", "empty has no pictures"),
        ("train --data good", "good has too few photos for 400 held out and a batch of 64"),
        ("train --data good --held-out 1 --batch 2 --photos 1", "too few photos"),
        ("train --adversarial --data flat --held-out 1 --batch 1", "flat has no classes to learn"),
        ("train --adversarial --data good,flat --held-out 1 --batch 1", "good,flat has no classes to learn"),
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


def test_photos_whose_names_tell_no_class(tmp_path, pupil, capsys):
    Image.new("RGB", (40, 40)).save(tmp_path / "n99999999_yeti.png")
    said = sentence(capsys, "evaluate", "--model", pupil, "--data", tmp_path)
    assert "has no photos of pupil's classes" in said


def test_a_comparison_with_a_network_of_other_classes(tinted, robust, pupil, capsys):
    words = ["evaluate", "--model", pupil, "--data", tinted / "train", "--under-attack", "--beside", robust]
    assert main(*map(str, words)) == 2
    assert "robust knows no class n00000000" in capsys.readouterr().err


# -------------------------------------------------------------------------------------------- the shipped models


@pytest.mark.parametrize(("name", "classes", "mebibytes"), [(app.APP, 1000, 8), (app.ROBUST, 10, 5)])
def test_the_shipped_models(name, classes, mebibytes):
    if not (saved_models.MODELS / name / "model.keras").is_file():
        pytest.skip("the model is not in the box yet")
    assert (saved_models.MODELS / name / "model.keras").stat().st_size <= mebibytes * 2**20
    classifier = find_classifier(name, 32)
    assert len(classifier.labels) == len(set(classifier.wnids)) == classes
    if name == app.APP:
        cat = next(path for path in app.sample_photos() if path.stem == "chelsea")
        assert "cat" in classifier.guesses(load_image(cat))[0][0]
