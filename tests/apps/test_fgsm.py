"""The fooling app: its commands as a person types them, the files that it leaves, its sentences."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps import fgsm as app
from shared import saved_models
from shared.classifiers import attacks
from shared.classifiers.attacks import Attacker
from shared.classifiers.classifier import find_classifier
from shared.data.images import load_image
from shared.data.photo_files import sample_photos
from shared.data.photo_sets import load_and_split, open_train_splits
from shared.data.sizes import crop_square
from shared.drawing.pictures import save_image
from shared.training.runtime import import_keras
from tests.apps.command import Command, scores
from tests.apps.small_imagenet import CLASSES, TINTS, TINY
from tests.parity_worker import build
from tests.scenarios.photo_classifier import tiny
from tests.shared.classifiers import networks
from tests.shared.classifiers.networks import SHAPE, cross_entropy, photos, sign_of

ROOT = Path(__file__).parents[2]
SIZE = 16
LABELS, WNIDS = ["tench", "golf ball", "church"], ["n01440764", "n03445777", "n03028079"]
COLOURS = np.array([(190, 90, 90), (90, 190, 90), (90, 90, 190)])  # of the three classes

COMMAND = Command("fgsm")
main, text_of, sentence = COMMAND.main, COMMAND.text_of, COMMAND.sentence


def tinted(kind: int, height: int = SIZE, width: int = SIZE, seed: int = 0) -> np.ndarray:
    """A photo of that class: its colour, with a little texture."""
    texture = np.random.default_rng(seed).normal(0, 8, (height, width, 3))
    return np.clip(np.rint(COLOURS[kind] + texture), 0, 255).astype(np.uint8)


def network(texture: float):
    """Tells the tints apart, and is misled by a `texture` that is nothing to the eye; a robust one has none."""
    keras = import_keras()
    weights = np.random.default_rng(5).normal(0, texture, (SIZE, SIZE, 3, 3))
    weights -= weights.mean(axis=(0, 1), keepdims=True)  # plain colours mean nothing to it
    weights += 30 / SIZE**2 * np.eye(3)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers])
    model.layers[-1].set_weights([weights.reshape(-1, 3), np.zeros(3)])
    return model


@pytest.fixture(scope="module")
def box(tmp_path_factory) -> Path:
    """saved_models with an undefended and a defended network."""
    folder = tmp_path_factory.mktemp("saved_models")
    names = {"labels": LABELS, "wnids": WNIDS}
    saved_models.save(network(texture=3.0), folder / app.UNDEFENDED, names, float16=False)
    saved_models.save(network(texture=0.0), folder / app.DEFENDED, names, float16=False)
    return folder


@pytest.fixture(autouse=True)
def two_models(shrunk, monkeypatch, box):
    """saved_models holds the networks above."""
    monkeypatch.setattr(saved_models, "MODELS", box)


@pytest.fixture
def photo(tmp_path) -> Path:
    """Larger than the network's size, and not square."""
    save_image(tmp_path / "fish.png", tinted(0, 24, 20))
    return tmp_path / "fish.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Eight photos, their classes in their names, one of them wrong."""
    folder = tmp_path_factory.mktemp("photos")
    for n in range(8):
        save_image(folder / f"{WNIDS[n % 3 if n else 1]}_{n}.png", tinted(n % 3, seed=n))
    return folder


def answer(path: Path, model: str = app.UNDEFENDED) -> str:
    return find_classifier(model, 1).guesses(load_image(path))[0][0]


def change(path: Path, original: np.ndarray) -> int:
    return int(np.abs(load_image(path).astype(int) - original).max())


# --------------------------------------------------------------------------------------------------- the method


@pytest.fixture(scope="module")
def linear():
    return networks.linear()


@pytest.fixture(scope="module")
def curved():
    return networks.curved()


@pytest.mark.parametrize("targeted", [False, True])
def test_fgsm_moves_every_pixel_along_the_gradient(linear, targeted):
    network, towards_one = linear
    x, labels = photos(4), np.array([0, 1, 1, 0])
    found = app.fgsm(Attacker(network, batch=4), x, labels, 2 / 255, targeted)
    away = np.where((labels == 0) != targeted, 1, -1)[:, None, None, None]
    expected = np.clip(x.astype(int) + np.rint(2 * away * sign_of(towards_one)).astype(int), 0, 255)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_confident_answers_still_have_a_gradient(linear):
    network, towards_one = linear
    keras = import_keras()
    sure = keras.Sequential([keras.Input(SHAPE), network, keras.layers.Rescaling(100.0)])
    x, attacker = np.full((1, *SHAPE), 128, np.uint8), Attacker(sure, batch=1)
    logits = attacker.logits(x)[0]
    label = int(logits.argmax())
    assert abs(logits[1] - logits[0]) > 105, "the other class's probability is 0 in float32"
    sign = app.gradient_sign(attacker, x, [label])[0]
    np.testing.assert_allclose(sign, sign_of(towards_one) * (1 if label == 0 else -1), atol=1e-3)


def test_the_sign_is_that_of_cross_entropy(curved):
    from keras import ops

    def cross_entropy(logits, labels):
        return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)

    attacker, x, labels = Attacker(curved, batch=5), photos(), np.array([0, 1, 2, 3, 0])
    expected = np.stack([sign_of(gradient) for gradient in attacker.gradient(cross_entropy, x, labels)])
    np.testing.assert_allclose(app.gradient_sign(attacker, x, labels), expected, atol=1e-3)
    assert (np.abs(expected) == 1).mean() > 0.85, "nearly everywhere it is the sign"


def test_where_there_is_no_gradient_nothing_moves():
    network, _ = networks.linear()
    kernel, bias = network.layers[-1].get_weights()
    network.layers[-1].set_weights([np.zeros_like(kernel), bias])
    np.testing.assert_array_equal(app.fgsm(Attacker(network, batch=2), photos(2), [0, 1], 2 / 255), photos(2))


def test_a_sweep_is_fgsm_for_each_epsilon_from_one_gradient(curved, monkeypatch):
    attacker, x, labels = Attacker(curved, batch=2), photos(), np.array([0, 1, 2, 3, 0])
    expected = [app.fgsm(attacker, x, labels, level / 255) for level in app.SWEPT]
    gradients, real = [], attacker.gradient
    monkeypatch.setattr(attacker, "gradient", lambda *given: gradients.append(1) or real(*given))
    found = app.attacked(app.Attack(), attacker, app.Photos(x, labels, known=True))
    np.testing.assert_array_equal(list(found["FGSM"]), expected)
    assert len(gradients) == 1


def test_fgsm_is_one_step_of_pgd_as_long_as_epsilon(curved):
    attacker, x, labels = Attacker(curved, batch=5), photos(), np.array([0, 1, 2, 3, 0])
    one_step = attacker.pgd(x, labels, 4 / 255, steps=1, step=4 / 255, loss=app.log_odds)
    np.testing.assert_array_equal(one_step, app.fgsm(attacker, x, labels, 4 / 255))


def test_pgd_finds_more_than_fgsm_and_fgsm_more_than_noise(curved):
    attacker, x = Attacker(curved, batch=20), photos(40, seed=3)
    labels = attacker.logits(x).argmax(-1)
    noisy, fooled = attacks.noise(x, 16 / 255), app.fgsm(attacker, x, labels, 16 / 255)
    pictures = x, noisy, fooled, attacker.pgd(x, labels, 16 / 255, steps=20)
    clean, noisy, fgsm, pgd = (cross_entropy(attacker, picture, labels).mean() for picture in pictures)
    assert fgsm > noisy + 0.1
    assert fgsm > clean + 0.1
    assert pgd > fgsm + 0.01


# ---------------------------------------------------------------------------------------------------- one photo


def test_the_saved_photos_fool_the_network_and_keep_within_epsilon(capsys, photo):
    out = text_of(capsys, photo, "-o", "out.png")
    assert sorted(path.name for path in photo.parent.glob("out*")) == [
        "out-adversarial-16.png",
        "out-adversarial.png",
        "out.png",
    ]
    assert answer(photo) == "tench"
    own, small = Path("out-adversarial.png"), Path("out-adversarial-16.png")
    assert change(own, load_image(photo)) == 2
    assert change(small, crop_square(load_image(photo), SIZE)) == 2
    for path, size in ((small, "the network's size, 16 x 16"), (own, "the photo's own size, 20 x 24")):
        assert answer(path) != "tench"
        assert re.search(f"In {size}: fooled by the saved file, .* % {answer(path)}: {path}", out)
    assert re.match(rf"\d+\.\d % tench \+ perturbation = \d+\.\d % {answer(own)}, says photo_classifier", out)
    assert re.search(r"Noise as large as that: \d+\.\d % tench", out)
    assert "The sheet: out.png" in out
    assert load_image("out.png").shape[1] > 1000


def test_the_equation_shows_the_photo_and_what_was_saved(capsys, photo, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "apps.parts.fgsm.equation.draw_equation", lambda *given, **more: drawn.append((given, more)) or tinted(0)
    )
    text_of(capsys, photo, "-o", "out.png")
    ((terms, signs, note), more) = drawn[0]
    before, saved = (crop_square(load_image(path), 20) for path in (photo, "out-adversarial.png"))
    np.testing.assert_array_equal(terms[0].picture, before)
    np.testing.assert_array_equal(terms[2].picture, saved)
    stretched = 127.5 + 127.5 / 2 * (saved.astype(int) - before)
    np.testing.assert_allclose(terms[1].picture, stretched, atol=0.51)
    assert set(np.unique(terms[1].picture)) <= {0, 64, 128, 191, 255}
    classifier = find_classifier(app.UNDEFENDED, 1)
    assert [term.guesses for term in terms[::2]] == [
        classifier.guesses(load_image(p)) for p in (photo, "out-adversarial.png")
    ]
    assert len(terms[1].guesses) == 3
    assert signs == ("+ .008 x", "=")
    assert "epsilon 2/255" in note
    assert more == {"proud": True}


def test_without_arguments_it_attacks_a_photo_that_is_here(capsys):
    out = text_of(capsys)
    assert "The sheet: outputs/fgsm/coffee.png" in out
    coffee = next(path for path in sample_photos() if path.stem == "coffee")
    own = Path("outputs/fgsm/coffee-adversarial.png")
    made = own if own.exists() else Path("outputs/fgsm/coffee-adversarial-16.png")
    original = load_image(coffee)
    assert change(made, original if made == own else crop_square(original, SIZE)) == 2
    text_of(capsys)
    assert Path("outputs/fgsm/coffee-2.png").is_file(), "nothing is overwritten that nobody named"
    assert len(list(Path("outputs/fgsm").glob("*adversarial*"))) == 2 * (1 + own.exists())


def test_a_photo_of_the_networks_size_gives_one_file(capsys):
    save_image("small.png", tinted(1))
    out = text_of(capsys, "small.png", "-o", "a.bmp")
    assert sorted(path.name for path in Path().glob("a*")) == ["a-adversarial-16.bmp", "a.bmp"]
    assert "own size" not in out


def test_only_a_photo_that_fools_is_kept_in_its_own_size(capsys, photo):
    out = text_of(capsys, photo, "--model", app.DEFENDED, "-o", "out.png")
    assert len(re.findall("NOT fooled by the saved file", out)) == 2
    assert "In the photo's own size, 20 x 24: NOT fooled by the saved file" in out
    assert "not kept" in out
    assert "try --attack pgd, or a larger --epsilon" in out
    assert sorted(path.name for path in Path().glob("out*")) == ["out-adversarial-16.png", "out.png"]


@pytest.mark.parametrize("target", ["golf ball", "Golf_Ball", " GOLF BALL "])
def test_a_target_is_reached_whatever_its_spelling(capsys, photo, target):
    out = text_of(capsys, photo, "--target", target, "--attack", "pgd", "-o", "out.png")
    assert answer(Path("out-adversarial.png")) == "golf ball"
    assert "% golf ball, says" in out


def test_a_target_that_is_not_reached_is_not_a_success(capsys, photo):
    classifier = find_classifier(app.DEFENDED, 1)
    out = text_of(capsys, photo, "--target", "church", "--model", app.DEFENDED, "--attack", "pgd", "--steps", "3")
    assert "NOT fooled" in out
    assert classifier.guesses(load_image(photo))[0][0] == "tench"


@pytest.mark.parametrize(("epsilon", "levels"), [("4/255", 4), ("0.02", 5), ("1 / 64", 3), ("1/255", 1)])
def test_epsilon_is_a_fraction_or_a_number(capsys, photo, epsilon, levels):
    text_of(capsys, photo, "--epsilon", epsilon, "-o", "out.png")
    assert change(Path("out-adversarial-16.png"), crop_square(load_image(photo), SIZE)) == levels


def test_pgd_takes_its_steps(capsys, photo, monkeypatch):
    steps, real = [], attacks.Attacker.pgd
    monkeypatch.setattr(attacks.Attacker, "pgd", lambda *given, **more: steps.append(given[4]) or real(*given, **more))
    text_of(capsys, photo, "--attack", "pgd", "--steps", "7")
    text_of(capsys, photo, "--attack", "pgd")
    assert steps == [7, 7, 10, 10]


@pytest.mark.parametrize("kind", ["jpeg on its side", "grey with alpha", "CMYK", "one pixel"])
def test_any_photo_goes_in(capsys, tmp_path, kind):
    image, path = Image.fromarray(tinted(0, 24, 20)), tmp_path / "photo"
    if kind == "jpeg on its side":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(path, "JPEG", exif=exif)
    elif kind == "CMYK":
        image.convert("CMYK").save(path, "TIFF")
    elif kind == "one pixel":
        image.resize((1, 1)).save(path, "PNG")
    else:
        image.convert("L").convert("LA").save(path, "PNG")
    text_of(capsys, path, "-o", "out.png")
    seen = load_image(path)
    assert change(Path("out-adversarial-16.png"), crop_square(seen, SIZE)) <= 2
    if Path("out-adversarial.png").exists():
        assert change(Path("out-adversarial.png"), seen) <= 2


# ---------------------------------------------------------------------------------------------- folders of photos


def rows_of(out: str) -> dict[str, list[float]]:
    """{name: numbers} of a printed table."""
    found = re.findall(r"^(\S+(?:, \S+)?) {2,}([\d. ]+|[\d. ]*nan[\d. na]*)$", out, re.M)
    return {name: [float(x) for x in numbers.split()] for name, numbers in found}


def test_a_sweep_tells_noise_attack_and_defence_apart(capsys, folder):
    code = main("--sweep", folder, "-o", "plot.png")
    out, err = capsys.readouterr()
    assert code == 0, err
    rows = rows_of(out)
    assert list(rows) == [f"{name}, {kind}" for name in (app.UNDEFENDED, app.DEFENDED) for kind in ("FGSM", "noise")]
    assert all(len(row) == 1 + len(app.SWEPT) for row in rows.values())
    assert all(row[0] == 87.5 for row in rows.values()), "seven of eight names are right"
    attacked, noisy, defended, _ = rows.values()
    assert attacked[2] <= 12.5
    assert noisy[1:6] == [87.5] * 5
    assert defended[4] == 87.5
    assert err.count("labelled by the ImageNet classes in their names") == 2
    assert load_image("plot.png").shape == (450, 800, 3)


def test_without_classes_the_networks_own_answers_count(capsys, tmp_path):
    (tmp_path / "photos").mkdir()
    for n in range(3):
        save_image(tmp_path / "photos" / f"{n}.png", tinted(n))
    code = main("--sweep", tmp_path / "photos")
    out, err = capsys.readouterr()
    assert code == 0, err
    rows = rows_of(out)
    assert list(rows) == ["photo_classifier, FGSM", "photo_classifier, noise"]
    assert rows["photo_classifier, FGSM"][0] == 100
    assert "3 photos, labelled by its own answers to the unchanged photos" in err
    assert f"{app.DEFENDED} is left out" in err
    assert Path("outputs/fgsm/sweep.png").is_file()


def test_a_sweep_by_pgd_of_a_few_photos_with_one_model(capsys, folder, box):
    model = box / app.DEFENDED / "model.keras"
    words = ("--model", model, "--attack", "pgd", "--steps", 2, "--photos", 4)
    code = main("--sweep", folder, *words)
    out, err = capsys.readouterr()
    assert code == 0, err
    assert "photo_classifier_robust, PGD-2" in rows_of(out)
    assert "(3 classes): 4 photos" in err


def test_evaluate_counts_what_is_left_of_the_right_answers(capsys, folder):
    rows = rows_of(text_of(capsys, "evaluate", "--data", folder, "--epsilon", "3/255", "--photos", 50))
    assert list(rows) == [app.UNDEFENDED, app.DEFENDED]
    photos, right, noise, fgsm, pgd = rows[app.UNDEFENDED]
    assert (photos, right, noise) == (8, 87.5, 100)
    assert fgsm <= 15
    assert pgd <= fgsm
    assert rows[app.DEFENDED] == [8, 87.5, 100, 100, 100]


def test_evaluate_where_no_photo_is_named_rightly(capsys, tmp_path):
    (tmp_path / "photos").mkdir()
    save_image(tmp_path / "photos" / f"{WNIDS[1]}.png", tinted(0))
    row = rows_of(text_of(capsys, "evaluate", "--data", "photos", "--models", app.UNDEFENDED))[app.UNDEFENDED]
    assert row[:2] == [1, 0]
    assert np.isnan(row[2:]).all()
    assert len(row) == 5


def test_a_sweep_by_hand(folder):
    """The table's numbers, worked out here photo by photo."""
    classifier, config = find_classifier(app.UNDEFENDED, 3), app.Attack()
    photos, attacker = app.open_photos(str(folder), 100, classifier), classifier.attacker
    found = [app.accuracy(attacker, x, photos.truth) for x in app.attacked(config, attacker, photos)["FGSM"]]
    expected = []
    for level in app.SWEPT:
        right = 0
        for path in folder.iterdir():
            truth = WNIDS.index(path.name.split("_")[0])
            picture = app.fgsm(attacker, load_image(path)[None], [truth], level / 255)
            right += attacker.logits(picture)[0].argmax() == truth
        expected.append(100 * right / 8)
    assert found == pytest.approx(expected)


# ------------------------------------------------------------------------------------------ adversarial training


@pytest.fixture(scope="module")
def data(run) -> Path:
    return run.data


def test_a_network_for_other_classes_keeps_what_imagenet_knows_of_them():
    *features, kernel, bias = build(tiny(32, 6)).get_weights()
    network, labels = app.pretrained(32, ["n00000005", "pets", "n00000001"])
    assert labels == ["class 5", "pets", "class 1"]
    *ours, our_kernel, our_bias = network.get_weights()
    for one, other in zip(ours, features, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(our_kernel[:, [0, 2]], kernel[:, [5, 1]])
    np.testing.assert_allclose(our_bias, [bias[5], 0, bias[1]])
    assert 0.3 < our_kernel[:, 1].std() / kernel.std() < 3


def test_batchnorm_statistics_are_learned():
    keras = import_keras()
    network = build(tiny(32, 6))
    learner = app.under_attack(network, app.Train())
    learner.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = [v.numpy() for v in network.non_trainable_variables]
    labels = np.ones(4, "int32")
    learner.fit((np.zeros((4, 32, 32, 3), np.uint8), labels), labels, batch_size=4, verbose=0)
    assert any((a != b.numpy()).any() for a, b in zip(before, network.non_trainable_variables, strict=True))


@pytest.mark.slow
def test_both_backends_learn_alike(results):
    found = results("fgsm_trains_under_attack")
    for outcome in found:
        assert outcome["loss"][-1] < 0.95 * outcome["loss"][0]
    np.testing.assert_allclose(found[0]["loss"], found[1]["loss"], rtol=1e-2)  # each has its own random starts


@pytest.mark.slow
def test_fast_fgsm(here):
    found = here("fast_fgsm")
    assert found["most"] == pytest.approx(4, abs=1e-3)
    assert found["range"] == [0, 255]
    assert 0.5 < found["at the edge"] < 0.95, "1.25 epsilon from a place within epsilon: five of eight at the edge"
    assert found["noise"] == [pytest.approx(4, abs=0.1), pytest.approx(2, abs=0.1)]
    assert found["new noise"] > 1
    clean, noisy, hit = found["loss"]
    assert hit > clean + 3 * abs(noisy - clean)
    assert found["network"][0] == found["network"][1], "the attack leaves BatchNorm's statistics alone"


def test_a_run_under_attack_learns_its_classes(trained):
    assert min(scores(trained)) < 0.1
    config = json.loads((trained / "config.json").read_text(encoding="utf-8"))
    assert config["wnids"] == sorted(TINTS)
    assert config["labels"] == ["class 2", "class 4", "pets"]
    assert (config["epsilon"], config["epoch"] > 0) == ("4/255", True)
    model = import_keras().saving.load_model(trained / "model.keras", safe_mode=True)
    assert (model.input_shape, model.output_shape) == ((None, 32, 32, 3), (None, 3))
    pixels = np.full((1, 32, 32, 3), TINTS["n00000004"], np.uint8) + np.uint8(40)
    for photo in (pixels, pixels.astype("float32")):
        assert np.asarray(model(photo)).argmax() == 1


def test_the_saved_network_is_the_one_that_was_validated(trained, data):
    held_out = load_and_split(open_train_splits(str(data)), 24, seed=1)[1]
    network, _ = saved_models.load(trained)
    _, pgd = app.robustness(Attacker(network, 8), held_out.squares(32), held_out.labels, 4 / 255)
    assert 1 - pgd / 100 == pytest.approx(min(scores(trained)), abs=0.05)


def test_catastrophic_overfitting_is_told(tmp_path, data, monkeypatch, capsys):
    found = iter([(40, 0), (60, 50), (80, 10)])  # undefended yet, defended, overfitted
    monkeypatch.setattr(app, "robustness", lambda *arguments: next(found))
    assert main("train", "--data", data, "--run", "run", *TINY, "--epochs", 3) == 0
    assert capsys.readouterr().err.count("Catastrophic overfitting") == 1
    assert json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))["epoch"] == 2


def test_all_choose_among_the_same_classes_and_all_photos_count(tmp_path, trained, data, capsys):
    saved_models.save(build(tiny(32, 6)), tmp_path / "undefended", {"labels": CLASSES[0], "wnids": CLASSES[1]})
    for name in ("n00000002", "n00000004"):  # the names of pets tell no class
        shutil.copytree(data / "train" / name, tmp_path / "photos" / name)
    config = json.loads((trained / "config.json").read_text(encoding="utf-8"))
    saved_models.save(saved_models.load(trained)[0], tmp_path / "robust", config | {"wnids": [*CLASSES[1][2:5]]})
    words = ["--data", "photos", "--models", "undefended", "robust", "--classes-of", "robust", "--epsilon", "4/255"]
    out = text_of(capsys, "evaluate", *words)
    rows, files = rows_of(out), sorted((tmp_path / "photos").rglob("*/*.png"))
    assert list(rows) == ["undefended", "robust"]
    assert "of all photos of 3 classes" in out
    pictures = np.stack([crop_square(load_image(path), 32) for path in files])
    truth = np.array([("n00000002", "n00000003", "n00000004").index(path.parent.name) for path in files])
    for name, columns in (("undefended", [2, 3, 4]), ("robust", [0, 1, 2])):
        network = saved_models.load(tmp_path / name)[0]
        few = import_keras().ops.take(network.output, columns, axis=-1)
        attacker = Attacker(import_keras().Model(network.input, few), 32)
        expected = [60, app.accuracy(attacker, pictures, truth)]
        expected.append(app.accuracy(attacker, attacks.noise(pictures, 4 / 255), truth))
        expected += app.robustness(attacker, pictures, truth, 4 / 255)
        assert rows[name] == pytest.approx(expected, abs=0.06), name


def test_a_comparison_with_a_network_of_other_classes(trained, data, capsys):
    words = ["evaluate", "--models", trained, "--data", data / "train", "--classes-of", app.UNDEFENDED]
    assert main(*map(str, words)) == 2
    assert "run has no class n01440764" in capsys.readouterr().err
    saved_models.save(build(tiny(32, 6)), Path("nameless"), {})
    said = sentence(capsys, "evaluate", "--data", data / "train", "--classes-of", "nameless")
    assert "the classes of nameless have no ImageNet names" in said


# --------------------------------------------------------------------------------------------------- wrong inputs


@pytest.fixture
def no_network(monkeypatch):
    """Such an input is answered before any network is loaded."""

    def too_late(*arguments):
        raise AssertionError("the long work has begun")

    monkeypatch.setattr(app, "find_classifier", too_late)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--epsilon 0", "--epsilon is 0, and must be above 0"),
        ("--epsilon=-2/255", "--epsilon is -2/255, and must be above 0"),
        ("--epsilon two", "--epsilon two is no number: give a fraction such as 2/255"),
        ("--epsilon 2/0", "--epsilon 2/0 is no number"),
        ("--epsilon nan", "--epsilon nan is no number"),
        ("--epsilon inf", "--epsilon inf is no number"),
        ("--epsilon 2", "Did you mean 2/255"),
        ("--epsilon 300", "must be above 0 and at most 1, the whole range.$"),
        ("--epsilon 0.003", "less than 1/255, one grey level"),
        ("--steps 5", "--steps is for --attack pgd"),
        ("--sweep folder --target church", "--sweep and --fool take neither a photo nor a --target"),
        ("good.png --sweep folder", "--sweep and --fool take neither a photo nor a --target"),
        ("nowhere.jpg", "There is no file nowhere.jpg"),
        ("folder", "folder is a folder"),
        ("text.png", "text.png is not a photo"),
        ("cut.png", "cut.png is damaged or incomplete"),
        ("good.png -o out.jpg", "out.jpg must end in .png, .bmp, .tif, .tiff: .* such as JPEG"),
        ("good.png -o out.webp", "out.webp must end in .png"),
        ("good.png -o out", "out must end in .png"),
        ("good.png -o text.png/out.png", "cannot write text.png.out.png"),
        ("--sweep folder -o out.jpeg", "out.jpeg must end in .png"),
        ("evaluate --data folder --epsilon 0", "--epsilon is 0"),
        ("train --data nowhere!", "There is no file or folder nowhere!"),
        ("train --data flat --held-out 1 --batch 1", "flat has no classes to learn"),
        ("train --data pets,flat --held-out 1 --batch 1", "pets,flat has no classes to learn"),
        ("train --data pets --epsilon 0", "--epsilon is 0"),
        ("train --data pets --epsilon=-4/255", "--epsilon is -4/255"),
    ],
)
def test_a_wrong_input_is_one_sentence_at_once(capsys, tmp_path, no_network, words, said):
    save_image(tmp_path / "good.png", tinted(0))
    (tmp_path / "folder").mkdir()
    for name in ("flat/1.png", "flat/2.png", *(f"pets/{pet}/{n}.png" for pet in ("cats", "dogs") for n in range(5))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        save_image(tmp_path / name, tinted(0))
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:300])
    before = sorted(tmp_path.rglob("*"))
    assert re.search(said, sentence(capsys, *words.split()))
    assert sorted(tmp_path.rglob("*")) == before, "nothing half done is left behind"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--target golfball", "photo_classifier has no class 'golfball'. Did you mean golf ball"),
        ("--target zebra", "photo_classifier has no class 'zebra'. It knows tench, golf ball, church"),
        ("--target Tench", "photo_classifier calls the photo tench already"),
        ("--model nowhere.keras", "there is no model nowhere.keras"),
        ("--model MobilNetV2", "Did you mean MobileNetV2"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(capsys, photo, words, said):
    flag, value = words.split(" ", 1)
    assert said in sentence(capsys, photo, flag, value)
    assert list(photo.parent.rglob("*.png")) == [photo]


def test_folders_without_photos(capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    for words in (("--sweep", "empty"), ("evaluate", "--data", "empty")):
        assert "empty has no photos in it" in sentence(capsys, *words)
        assert "nowhere" in sentence(capsys, *words[:-1], "nowhere")


def test_without_a_model_in_the_box(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(saved_models, "MODELS", tmp_path / "nowhere")
    for words, how in (
        ((), "python apps/photo_classifier.py train"),
        (("--model", app.DEFENDED), "python apps/fgsm.py train"),
        (("evaluate", "--classes-of", app.DEFENDED), "python apps/fgsm.py train"),
    ):
        assert f"in saved_models yet: train it with `{how}`" in sentence(capsys, *words)


# --------------------------------------------------------------------------------------------- the shipped model


def test_the_shipped_network_is_fooled(monkeypatch, capsys):
    monkeypatch.setattr(saved_models, "MODELS", ROOT / "saved_models")
    if not (saved_models.MODELS / app.UNDEFENDED / "model.keras").is_file():
        pytest.skip("the model is not shipped yet")
    out = text_of(capsys)
    assert "In the network's size, 160 x 160: fooled by the saved file" in out
    assert "espresso + perturbation" in out
