"""The fooling app: its commands as a person types them, the files that it leaves, its sentences."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps import fgsm as app
from shared import saved_models
from shared.classifiers import attacks
from shared.classifiers.classifier import find_classifier
from shared.data.images import crop_square, load_image, sample_photos
from shared.drawing.pictures import save_image
from shared.training.runtime import import_keras
from tests.apps.command import Command, slow_imports

ROOT = Path(__file__).parents[2]
SIZE = 16
LABELS, WNIDS = ["tench", "golf ball", "church"], ["n01440764", "n03445777", "n03028079"]
TINTS = np.array([(190, 90, 90), (90, 190, 90), (90, 90, 190)])  # of the three classes

COMMAND = Command(app, "attack")
main, text_of, sentence = COMMAND.main, COMMAND.text_of, COMMAND.sentence


def tinted(kind: int, height: int = SIZE, width: int = SIZE, seed: int = 0) -> np.ndarray:
    """A photo of that class: its colour, with a little texture."""
    texture = np.random.default_rng(seed).normal(0, 8, (height, width, 3))
    return np.clip(np.rint(TINTS[kind] + texture), 0, 255).astype(np.uint8)


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
def elsewhere(tmp_path, monkeypatch, box):
    """Outputs go to the current directory: let that not be the repository. The box holds the networks above."""
    monkeypatch.chdir(tmp_path)
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
    monkeypatch.setattr(app, "draw_equation", lambda *given, **more: drawn.append((given, more)) or tinted(0))
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
    assert err.count("judged by the ImageNet classes in their names") == 2
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
    assert "3 photos, judged by its own answers to the unchanged photos" in err
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
    photos = app.open_photos(str(folder), 100, classifier)
    found = [app.accuracy(classifier, x, photos.truth) for x in app.changed(config, classifier, photos)["FGSM"]]
    expected = []
    for level in app.SWEPT:
        right = 0
        for path in folder.iterdir():
            truth = WNIDS.index(path.name.split("_")[0])
            picture = classifier.attacker.fgsm(load_image(path)[None], [truth], level / 255)
            right += classifier.attacker.logits(picture)[0].argmax() == truth
        expected.append(100 * right / 8)
    assert found == pytest.approx(expected)


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
        ("--sweep folder --target church", "--sweep takes a folder, and neither"),
        ("good.png --sweep folder", "--sweep takes a folder, and neither"),
        ("nowhere.jpg", "There is no file nowhere.jpg"),
        ("folder", "folder is a folder"),
        ("text.png", "text.png is not a picture"),
        ("cut.png", "cut.png is damaged or incomplete"),
        ("good.png -o out.jpg", "out.jpg must end in .png, .bmp, .tif, .tiff: .* such as JPEG"),
        ("good.png -o out.webp", "out.webp must end in .png"),
        ("good.png -o out", "out must end in .png"),
        ("good.png -o text.png/out.png", "cannot write text.png.out.png"),
        ("--sweep folder -o out.jpeg", "out.jpeg must end in .png"),
        ("evaluate --data folder --epsilon 0", "--epsilon is 0"),
    ],
)
def test_a_wrong_input_is_one_sentence_at_once(capsys, tmp_path, no_network, words, said):
    save_image(tmp_path / "good.png", tinted(0))
    (tmp_path / "folder").mkdir()
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
        assert "empty has no pictures in it" in sentence(capsys, *words)
        assert "nowhere" in sentence(capsys, *words[:-1], "nowhere")


def test_without_a_model_in_the_box(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(saved_models, "MODELS", tmp_path / "nowhere")
    for words in ((), ("--model", app.DEFENDED), ("evaluate", "--data", tmp_path)):
        assert "in the box yet: make one with `python apps/photo_classifier.py train" in sentence(capsys, *words)


def test_help_does_not_wait_for_keras(tmp_path):
    assert not slow_imports("fgsm", tmp_path)


# --------------------------------------------------------------------------------------------- the shipped model


def test_the_shipped_network_is_fooled(monkeypatch, capsys):
    monkeypatch.setattr(saved_models, "MODELS", ROOT / "saved_models")
    if not (saved_models.MODELS / app.UNDEFENDED / "model.keras").is_file():
        pytest.skip("the model is not in the box yet")
    out = text_of(capsys)
    assert "In the network's size, 160 x 160: fooled by the saved file" in out
    assert "espresso + perturbation" in out
