"""The colorizer: its bins, loss and network, its commands as a person types them, its sentences."""

from __future__ import annotations

import json
import re
from itertools import filterfalse
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from apps import colorizer as app
from apps.parts.colorizer import lab
from apps.parts.colorizer.metrics import psnr
from shared import saved_models
from shared.data.images import load_image
from shared.data.photo_files import sample_photos
from shared.training.runtime import import_keras
from tests.apps.command import Command, scores
from tests.apps.toys.colorizer import TOY, save, scene
from tests.scenarios.colorizer import tiny_network

ROOT = Path(__file__).parents[2]
LOOK = ["--resolution", "32"]
TINY = [*TOY.train.split(), "--epochs", "1"]
MOBILENET = app.encoder

COMMAND = Command("colorizer")
main, sentence = COMMAND.main, COMMAND.sentence
pytestmark = pytest.mark.usefixtures("shrunk")


@pytest.fixture(scope="module")
def album(run) -> Path:
    """The folder of scenes that it learned from."""
    return run.data


def old_photo(path: Path, height: int = 48, width: int = 48, **options) -> np.ndarray:
    """Save a scene made grey; returns its pixels, uint8 (height, width)."""
    grey = np.asarray(Image.fromarray(scene(7, height, width)).convert("L"))
    Image.fromarray(grey).save(path, **options)
    return grey


# ------------------------------------------------------------------------------------------------- network and bins


def test_the_network_is_small_and_takes_any_size(monkeypatch):
    monkeypatch.setattr(app, "encoder", MOBILENET)
    import_keras()
    network = app.colour_network(app.ColourBins.of(np.zeros((1, 2)), 0.5, 0.0).first_logits, pretrained=False)
    assert network.compute_output_shape((3, 96, 160, 1)) == (3, 24, 40, 259)
    assert network.inputs[0].dtype == "float32"
    size = sum((2 if len(v.shape) > 1 else 4) * int(np.prod(v.shape)) for v in network.weights)
    assert size < 5.7 * 2**20, "in float16, with room for the file's own tables"
    assert all(type(layer).__module__.startswith("keras.") for layer in network.layers), "nobody needs this repository"


def test_the_loss_is_as_exact_in_mixed_precision(monkeypatch):
    monkeypatch.setattr(app, "encoder", MOBILENET)
    bins = app.ColourBins.of(np.zeros((1, 2)), 0.5, 0.2)
    with app.devices.setup(None, "mixed_bfloat16"):
        network = app.colour_network(bins.first_logits, pretrained=False)
        loss = bins.loss(np.zeros((1, 8, 8, 2), np.float32), network(np.zeros((1, 32, 32, 1), np.float32)))
    assert network.compute_dtype == "bfloat16"
    assert np.asarray(loss).dtype == np.float32


def test_without_a_network_one_sentence_says_so(album, capsys, monkeypatch):
    keras = import_keras()
    monkeypatch.setattr(app, "encoder", MOBILENET)
    real = keras.applications.MobileNetV2

    def offline(*args, weights="imagenet", **options):
        if weights == "imagenet":
            raise Exception("URL fetch failure")
        return real(*args, weights=weights, **options)

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    assert main("train", "--data", album, "--run", "run", "--size", 32, "--batch", 8) == 2
    assert re.search("MobileNetV2.* must be downloaded .*URL fetch failure", capsys.readouterr().err.splitlines()[-1])


def test_imagenets_weights_are_taken_over(monkeypatch):
    keras = import_keras()
    monkeypatch.setattr(app, "encoder", MOBILENET)
    real = keras.applications.MobileNetV2
    published = real(weights=None)

    def online(*args, weights="imagenet", **options):
        return published if weights == "imagenet" else real(*args, weights=weights, **options)

    monkeypatch.setattr(keras.applications, "MobileNetV2", online)
    network = app.colour_network(np.zeros(4), pretrained=True)
    for name in ("Conv1", "block_16_project_BN"):
        for ours, theirs in zip(network.get_layer(name).weights, published.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("from_scratch", [True, False])
def test_imagenets_statistics_stay_as_they_are(tmp_path, monkeypatch, from_scratch):
    keras = import_keras()
    L = keras.Input((None, None, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 4, strides=4)(L))
    network, packed = keras.Model(L, x), np.random.default_rng(0).integers(0, 256, (16, 40, 40, 3), np.uint8)
    method = SimpleNamespace(loss="mse", chroma=lambda outputs: outputs)
    monkeypatch.setattr("shared.training.fit_loop.fit", lambda *_, **__: 0.0)  # what is trained, not how
    config = app.Train(size=32, batch=8, from_scratch=from_scratch, run=tmp_path)
    app.fit(config, packed[8:], packed[:8], network, method)
    assert len(network.trainable_variables) == (4 if from_scratch else 2)


def test_bins_cover_what_a_screen_can_show():
    bins = app.ColourBins.of(np.random.default_rng(0).normal(0, 20, (1000, 2)), 0.5, 0.0)
    pixels = np.random.default_rng(0).integers(0, 256, (5000, 3), dtype=np.uint8)
    ab = np.stack(lab.from_rgb(pixels)[1], -1)
    distance = np.sqrt(((ab[:, None] - bins.centres) ** 2).sum(-1)).min(1)
    assert distance.max() < 7.1, "half the diagonal of a bin"
    assert len(bins.centres) == 259
    assert bins.common.sum() == pytest.approx(1, abs=0.02)
    assert bins.weights @ bins.common == pytest.approx(1, rel=1e-5)
    assert bins.weights.argmin() == bins.common.argmax()


def test_loss_is_zhangs_and_hubers():
    import_keras()
    rng = np.random.default_rng(0)
    ab, logits = rng.normal(0, 25, (2, 3, 3, 2)), rng.normal(0, 2, (2, 3, 3, 259))
    bins = app.ColourBins.of(ab, 0.5, 0.3)
    soft = np.exp(-((ab[..., None, :] - bins.centres) ** 2).sum(-1) / (2 * 5**2))
    soft /= soft.sum(-1, keepdims=True)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    error = np.abs(shares @ bins.centres - ab) / 10
    huber = np.where(error < 1, error**2 / 2, error - 0.5).sum(-1)
    expected = -(soft * np.log(shares)).sum(-1) * (soft @ bins.weights) + 0.3 * huber
    loss = np.asarray(bins.loss(ab.astype("float32"), logits.astype("float32")))
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_what_it_starts_with_is_a_good_guess_without_a_photo():
    import_keras()
    ab = np.random.default_rng(0).normal((10, 20), (15, 25), (4, 500, 1, 2)).astype("float32")
    bins = app.ColourBins.of(ab, 0.5, 0.0)
    start, anything, unweighted = (
        np.asarray(bins.loss(ab, np.broadcast_to(guess.astype("float32"), (4, 500, 1, 259)))).mean()
        for guess in (bins.first_logits, np.zeros(259), np.log(bins.common + 1e-7))
    )
    assert start < unweighted - 0.1
    assert start < anything - 0.8


def test_temperature_goes_from_the_mean_to_the_likeliest():
    bins = app.ColourBins.of(np.zeros((1, 2)), 0.5, 0.0)
    logits = np.random.default_rng(0).normal(0, 1, (5, 7, 259)).astype(np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(bins.chroma(logits, 1.0), shares @ bins.centres, atol=1e-3)
    np.testing.assert_allclose(bins.chroma(logits, 0.0001), bins.centres[logits.argmax(-1)], atol=1e-3)


def test_both_backends_agree_within_two_grey_levels(results):
    pictures = np.array(results("colorizer_paints"))
    assert np.abs(pictures[0] - pictures[1]).max() <= 2
    assert np.ptp(pictures[0], axis=-1).max() > 20, "there is colour on it"
    tensorflow, jax = results("colorizer_trains")
    np.testing.assert_allclose(tensorflow, jax, rtol=1e-4)
    assert jax[-1] < jax[0] - 0.02


# --------------------------------------------------------------------------------------------------------- training


def test_a_run_learns_and_keeps_the_best(trained):
    losses = scores(trained)
    assert len(losses) == 12
    assert min(losses) < 0.7 * losses[0]
    config = json.loads((trained / "config.json").read_text(encoding="utf-8"))
    model = saved_models.load(trained)[0]
    assert (model.input_shape, model.output_shape) == ((None, None, None, 1), (None, None, None, 259))
    assert np.shape(config["bins"]) == (259, 2)
    assert config["val_loss"] == pytest.approx(min(losses), rel=1e-4)
    assert (trained / "samples.png").is_file()


def test_grey_and_broken_photos_are_told_and_left_out(run):
    assert "40 colour photos; 1 grey ones are left out." in run.err
    assert "Skipped 1 broken photo" in run.err
    assert "broken.png" in run.err
    assert "32 photos to learn from" in run.err


def test_what_it_learned_is_nearer_to_the_original_than_grey(trained, tmp_path):
    original = scene(200)
    save(tmp_path / "scene.png", original)
    assert main("scene.png", "--model", trained, "-o", "out.png", *LOOK) == 0
    ours = load_image(tmp_path / "out.png")
    assert psnr(original, ours) > psnr(original, lab.in_one_colour(original)) + 3


def test_init_goes_on_from_a_model(album, trained, tmp_path):
    words = ["train", "--data", album, *TINY, "--run", "more", "--init", trained]
    assert main(*words, "--learning-rate", 1e-9) == 0
    assert scores(tmp_path / "more")[0] == pytest.approx(min(scores(trained)), rel=0.02)  # float16


# --------------------------------------------------------------------------------------------------------- colouring


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_lightness_and_size_are_the_photos_own(trained, tmp_path, capsys, ending):
    grey = old_photo(tmp_path / f"old{ending}", 60, 100)
    assert main(f"old{ending}", "--model", trained, "-o", f"new{ending}", "--vividness", 2, *LOOK) == 0
    before, after = load_image(tmp_path / f"old{ending}"), load_image(tmp_path / f"new{ending}")
    assert after.shape == (*grey.shape, 3)
    assert not lab.is_grey(after)
    change = np.abs(lab.lightness(before) - lab.lightness(after))
    assert np.percentile(change, 99) <= 1 if ending == ".png" else change.mean() <= 1
    out, err = capsys.readouterr()
    assert f"new{ending}: 100 x 60 pixels" in out
    assert "in colour already" not in err


def test_a_jpeg_keeps_all_its_colour_and_who_took_it(trained, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Leica"  # lies on its side
    old_photo(tmp_path / "old.jpg", 40, 80, exif=exif)
    assert main("old.jpg", "--model", trained, "-o", "new.jpg", *LOOK) == 0
    with Image.open(tmp_path / "new.jpg") as new:
        assert new.size == (40, 80)
        assert dict(new.getexif()) == {0x010F: "Leica"}
        assert [layer[1:3] for layer in new.layer] == [(1, 1)] * 3, "4:4:4"
    sideways = np.rot90(np.asarray(Image.open(tmp_path / "old.jpg").convert("RGB")), -1)
    difference = lab.lightness(sideways) - lab.lightness(load_image(tmp_path / "new.jpg"))
    assert np.abs(difference).mean() <= 1


def test_a_colour_photo_is_said_and_its_lightness_used(trained, tmp_path, capsys):
    save(tmp_path / "colour.png", scene(3))
    assert main("colour.png", "--model", trained, *LOOK, "--vividness", 0, "--compare") == 0
    out, err = capsys.readouterr()
    assert "colour.png is in colour already" in err
    grey = load_image(tmp_path / "outputs" / "colorizer" / "colour-colour.png")
    assert np.ptp(grey.astype(int), axis=-1).max() <= 2
    assert np.abs(lab.lightness(grey) - lab.lightness(scene(3))).max() <= 1
    sheet = load_image(tmp_path / "outputs" / "colorizer" / "colour-colour-compare.png")
    assert sheet.shape[1] > 3 * 48, "before, after, and what it was"
    assert "colour-colour-compare.png" in out


def test_vividness_goes_from_grey_to_colourful(trained, tmp_path):
    old_photo(tmp_path / "old.png")
    chroma = []
    for vividness in (0, 0.5, 1, 2):
        assert main("old.png", "--model", trained, "-o", "new.png", "--vividness", vividness, *LOOK) == 0
        a, b = lab.from_rgb(load_image(tmp_path / "new.png"))[1]
        chroma.append(np.hypot(a, b).mean())
    assert chroma[0] < 1
    assert chroma == sorted(chroma)
    assert chroma[3] > 1.5 * chroma[1]


def test_hints_are_kept_and_spread(trained, tmp_path):
    old_photo(tmp_path / "old.png", 64, 64)
    hints = ["--hint", "10,58,#a05050", "--hint", "50,5,#4060a0"]
    assert main("old.png", "--model", trained, "-o", "new.png", *hints, *LOOK) == 0
    assert main("old.png", "--model", trained, "-o", "plain.png", *LOOK) == 0
    (a, b), (plain_a, _) = (lab.from_rgb(load_image(tmp_path / f"{name}.png"))[1] for name in ("new", "plain"))
    for (x, y), rgb in (((10, 58), (0xA0, 0x50, 0x50)), ((50, 5), (0x40, 0x60, 0xA0))):
        wanted_a, wanted_b = np.ravel(lab.from_rgb(np.uint8([rgb]))[1])
        assert np.hypot(a[y, x] - wanted_a, b[y, x] - wanted_b) < 2, "8 bits a channel"
    assert a[60, 15] > plain_a[60, 15] + 5, "the ground around it is redder, too"


def test_a_folder_with_a_broken_photo_does_the_rest(trained, tmp_path, capsys):
    for name in ("one.png", "two.jpg"):
        (tmp_path / "album").mkdir(exist_ok=True)
        old_photo(tmp_path / "album" / name)
    (tmp_path / "album" / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    assert main("album", "--model", trained, "-o", "done", *LOOK) == 2
    err = capsys.readouterr().err
    assert err.splitlines()[-1].startswith("error: 1 of 3 photos could not be coloured: ")
    assert err.splitlines()[-1].endswith("torn.jpg.")
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == ["one-colour.png", "two-colour.jpg"]


def test_the_demo_is_a_sheet_that_overwrites_nothing(trained, tmp_path, capsys):
    for _ in range(2):
        assert main("--model", trained, *LOOK) == 0
    out = capsys.readouterr().out
    assert f"Coloured {len(sample_photos())} photos" in out
    assert "Try next" in out
    sheets = sorted((tmp_path / "outputs" / "colorizer").iterdir())
    assert [path.name for path in sheets] == ["sheet-2.png", "sheet.png"]
    assert load_image(sheets[0]).shape == (3 * 324 + 4, len(sample_photos()) * 324 + 4, 3)


# -------------------------------------------------------------------------------------------------------- evaluation


def rows_of(out: str) -> dict[str, list[float]]:
    lines = [line for line in out.splitlines() if re.match(r"(grey|mean colour|ours|original) ", line)]
    return {line[:17].strip(): [float(x) for x in line[17:].split()] for line in lines}


def test_evaluate_gives_every_number(trained, album, tmp_path, capsys):
    keras = import_keras()
    keras.utils.set_random_seed(0)
    classifier = keras.Sequential(
        [
            keras.Input((48, 48, 3)),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    classifier = keras.Model(classifier.inputs[0], classifier.outputs[0], name="photo_classifier")
    saved_models.save(classifier, tmp_path / "classifier", {"labels": ["one", "two"], "wnids": ["n01", "n02"]})
    assert main("evaluate", "--data", album, "--model", trained, "--classifier", tmp_path / "classifier", *LOOK) == 0
    out = capsys.readouterr().out
    assert "6 photos" in out
    assert "top-1 %" in out
    rows = rows_of(out)
    for name, (_, _, ssim, auc, rebalanced, colour, distance, right) in rows.items():
        assert 0 < ssim <= 1, name
        assert 0 < auc <= 100
        assert 0 < rebalanced <= 100
        assert 0 <= right <= 100
        assert (distance == 0) == (name == "original")
        assert (colour < 3) == (name == "grey")
    assert rows["ours"][0] > rows["grey"][0]
    assert rows["ours"][4] > rows["grey"][4], "rebalanced AuC"
    assert rows["original"][2:7] == [1, 100, 100, 100, 0]
    swept = [
        [float(x) for x in re.findall(r"[\d.]+", line)] for line in out.splitlines() if line.startswith("vividness")
    ]
    assert len(swept) == len(app.VIVIDNESSES)
    assert swept[0][1] == pytest.approx(rows["grey"][0], abs=0.02)
    assert [row[2] for row in swept] == sorted(row[2] for row in swept), "monotone"
    assert (tmp_path / "outputs" / "colorizer" / "vividness.png").is_file()


def test_evaluate_without_a_classifier_says_so(trained, album, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(saved_models, "MODELS", tmp_path / "empty")
    assert main("evaluate", "--data", album, "--model", trained, "--limit", 2, *LOOK) == 0
    out, err = capsys.readouterr()
    assert "There is no photo_classifier in saved_models/" in err
    assert "top-1" not in out
    assert len(rows_of(out)["ours"]) == 6


# ------------------------------------------------------------------------------------------------------ wrong inputs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nowhere.jpg", "no file nowhere.jpg"),
        ("album nowhere --hint 1,1,#ffffff", "--hint is for one photo, and there are 2"),
        ("torn.jpg", "torn.jpg is damaged|torn.jpg is not a photo"),
        ("empty", "empty has no photos in it"),
        ("old.png --hint 5,5", "--hint 5,5 is not x,y,#rrggbb"),
        ("old.png --hint 5,5,red", "--hint 5,5,red is not x,y,#rrggbb"),
        ("old.png --hint 5,5,#12345", "is not x,y,#rrggbb"),
        ("old.png --hint 48,5,#123456", "--hint 48,5,#123456 is outside the photo, which is 48 x 48 pixels"),
        ("old.png --hint 1,1,#ffffff --hint 5,-1,#123456", "--hint 5,-1,#123456 is outside the photo"),
        ("old.png old.png --hint 5,5,#123456", "--hint is for one photo, and there are 2"),
        ("--hint 5,5,#123456", "--hint is for a photo"),
        ("old.png -o new.xyz", "new.xyz must end in one of"),
        ("old.png old.png -o new.png", "new.png is for one photo, and there are 2: give a folder"),
        ("evaluate --data nowhere", "nowhere"),
        ("evaluate --data album --split dev", "not 'dev'"),
        ("train --data nowhere", "nowhere"),
        ("train --data empty", "empty has no photos"),
    ],
)
def test_a_wrong_input_is_one_sentence_at_once(tmp_path, capsys, no_long_work, words, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    old_photo(tmp_path / "old.png")
    save(tmp_path / "album" / "one.png", scene(1))
    before = sorted(tmp_path.rglob("*"))
    assert re.search(said, sentence(capsys, *words.split()))
    assert sorted(tmp_path.rglob("*")) == before, "nothing half done is left behind"


def test_too_few_colour_photos(tmp_path, capsys):
    for n in range(30):
        save(tmp_path / "album" / f"{n}.png", scene(n))
    assert main("train", "--data", "album", "--run", "run", *TINY, "--batch", 32) == 2
    assert "and must have two batches of 32" in capsys.readouterr().err.splitlines()[-1]


def test_models_that_are_not_this_apps(tmp_path, capsys, trained):
    old_photo(tmp_path / "old.png")
    saved_models.save(tiny_network(5), tmp_path / "other", {"bins": [[0, 0]] * 4, "common": [0.25] * 4})
    assert "is not a network that this app trained" in sentence(capsys, "old.png", "--model", "other")
    (tmp_path / "alone.keras").write_bytes((trained / "model.keras").read_bytes())
    assert "with its bins in config.json" in sentence(capsys, "old.png", "--model", "alone.keras")


# ------------------------------------------------------------------------------------------------- the shipped model


def test_the_shipped_model_is_small_and_knows_a_cup_of_coffee():
    assert (saved_models.MODELS / app.APP / "model.keras").stat().st_size <= 6 * 2**20
    colorizer, bins = app.load(app.Colorize())
    assert len(bins.centres) == 259
    gains = []
    for photo in filterfalse(lab.is_grey, map(load_image, sample_photos())):
        gains.append(psnr(photo, colorizer(photo, 0.5)) - psnr(photo, lab.in_one_colour(photo)))
    assert np.mean(gains) > 0, "at half the vividness it is nearer to the originals than grey"
