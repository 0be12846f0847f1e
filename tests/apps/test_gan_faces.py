"""The faces: their networks and update, the training, the demo, the card's numbers."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps import gan_faces as app
from apps.parts.gan_faces import distances
from apps.parts.gan_faces.evaluation import Validator
from apps.parts.gan_faces.faces import batch_of, load_faces
from apps.parts.gan_faces.generators import load_generator, sampler
from shared import saved_models
from shared.layers.diff_augment import UNIFORMS
from shared.training.runtime import import_keras
from tests.apps.command import Command, records, scores
from tests.apps.toys.gan_faces import draw_face
from tests.parity_worker import data

COMMAND = Command("gan_faces")
main, text_of, sentence = COMMAND.main, COMMAND.text_of, COMMAND.sentence
pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(scope="module")
def photos(run) -> Path:
    """The folder of faces that it learned from."""
    return run.data


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Path:
    """A stand-in for the shipped photo_classifier: RGB 0..255 (batch, 16, 16, 3) -> logits."""
    keras = import_keras()
    folder = tmp_path_factory.mktemp("models") / "photo_classifier"
    x = pixels = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(12, 5, strides=2, activation="relu")(keras.layers.Rescaling(1 / 127.5, -1.0)(x))
    logits = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x))
    saved_models.save(keras.Model(pixels, logits), folder, {"classes": 10})
    return folder


# ------------------------------------------------------------------------------------------- networks and update


def test_the_default_generator_is_small_and_its_pixels_are_within_bounds():
    import_keras()
    network = app.generator(app.Train())
    assert network.count_params() <= 2_500_000, "at most 5 MiB in float16"
    faces = np.asarray(network(3 * data(4, 128)))
    assert (faces.shape, faces.dtype) == ((4, 64, 64, 3), np.float32)
    assert 0 <= faces.min() < faces.max() <= 1
    assert np.abs(faces[0] - faces[1]).mean() > 0.01, "other latents, another face"
    pixels = sampler(network)(data(70, 128))
    assert (pixels.shape, pixels.dtype) == ((70, 64, 64, 3), np.uint8)


def linear_pair(rng: np.random.Generator):
    """A critic that is linear in the pixels, so that its gradient is its weights, and a generator of plain colours."""
    keras = import_keras()
    g = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, "sigmoid"), keras.layers.Reshape((1, 1, 3))])
    g = keras.Sequential([g, keras.layers.UpSampling2D(64)])
    d = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    d.set_weights([rng.normal(0, 0.01, (64 * 64 * 3, 1)), np.zeros(1)])
    optimizers = [keras.optimizers.SGD(1e-3) for _ in range(2)]
    for network, optimizer in zip((g, d), optimizers, strict=True):
        optimizer.build(network.trainable_variables)
    return g, d, *optimizers


def softplus(x: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0, x)))


@pytest.mark.parametrize("penalise", [False, True])
def test_an_update_is_the_gradient_of_the_relativistic_loss(penalise):
    rng = np.random.default_rng(0)
    owners = g, d, _, _ = linear_pair(rng)
    from shared.training.steps import compile_step

    config = app.Train(augment="none", penalty=0.5, penalty_every=3)
    photos, latents = rng.integers(0, 256, (8, 64, 64, 3), np.uint8), data(8, 3)
    real, fake = photos / 127.5 - 1, 2 * np.asarray(g(latents)) - 1
    weights = d.get_weights()[0]

    def score(images):
        return (images.reshape(8, -1) @ weights)[:, 0]

    before = [np.copy(w) for w in g.get_weights()]
    logs = compile_step(app.gan_update(config, *owners, penalise), *owners)(photos, latents, np.zeros((8, 2, UNIFORMS)))
    behind = score(fake) - score(real)
    assert float(logs["critic_loss"]) == pytest.approx(softplus(behind), rel=1e-4)
    assert float(logs["critic_accuracy"]) == np.mean(behind < 0)
    gradient = np.mean((1 / (1 + np.exp(-behind)))[:, None] * (fake - real).reshape(8, -1), axis=0)[:, None]
    if penalise:
        assert float(logs["gradient_penalty"]) == pytest.approx(2 * np.sum(weights**2), rel=1e-4)
        gradient = gradient + 0.5 / 2 * 3 * 4 * weights
    else:
        assert "gradient_penalty" not in logs
    after = d.get_weights()[0]
    np.testing.assert_allclose(after, weights - 1e-3 * gradient, atol=1e-6)
    assert float(logs["critic_gradient"]) == pytest.approx(np.linalg.norm(gradient), rel=1e-3)
    weights = after  # the generator answers to the critic as it is now
    assert float(logs["generator_loss"]) == pytest.approx(softplus(score(real) - score(fake)), rel=1e-4)
    assert any((now != then).any() for now, then in zip(g.get_weights(), before, strict=True))
    changed = score(2 * np.asarray(g(latents)) - 1)
    assert softplus(score(real) - changed) < softplus(score(real) - score(fake))


def test_generator_and_critic_together_find_the_colour_of_the_photos():
    g, d, *_ = linear_pair(np.random.default_rng(0))
    keras = import_keras()
    from shared.training.steps import compile_step

    config = app.Train(augment="none", penalty_every=1)
    owners = g, d, *(keras.optimizers.Adam(0.01, beta_1=0.0, beta_2=0.99, name=f"adam_{n}") for n in range(2))
    for network, optimizer in zip((g, d), owners[2:], strict=True):
        optimizer.build(network.trainable_variables)
    learn = compile_step(app.gan_update(config, *owners, penalise=True), *owners)
    colour = np.array([200, 120, 40])
    faces = np.uint8(colour + np.random.default_rng(1).integers(-20, 21, (50, 64, 64, 3)))

    def far():
        return np.abs(255 * np.asarray(g(data(64, 3))).mean(axis=(0, 1, 2)) - colour).max()

    before = far()
    for step in range(200):
        learn(*batch_of(faces, step, batch=16, latent=3, seed=1))
    assert before > 60
    assert far() < 20


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
def test_both_backends_and_two_replicas_train_alike(here, results, backend, replicas):
    one, other = results("gan_faces")[0], here("gan_faces" if replicas == 1 else "gan_faces_on_two_replicas")
    assert other.get("replicas", 1) == replicas
    np.testing.assert_allclose(other["state"], one["state"], rtol=2e-4, atol=1e-5)
    assert np.ptp(one["images"]) > 0
    np.testing.assert_allclose(other["images"], one["images"], atol=1)
    np.testing.assert_allclose(here("gan_faces")["features"], one["features"], rtol=1e-3, atol=1e-4)
    # On TensorFlow a replica knows its share of the gradient only, and so its norm.
    own = {"critic_gradient", "generator_gradient"} if (backend, replicas) == ("tensorflow", 2) else set()
    for mine, theirs in zip(one["logs"], other["logs"], strict=True):
        assert mine.keys() == theirs.keys()
        for key in mine.keys() - own:
            assert theirs[key] == pytest.approx(mine[key], rel=1e-3, abs=1e-6), key


# ---------------------------------------------------------------------------------------------------------- data


def test_batches_depend_on_the_seed_and_the_step_alone():
    faces = np.zeros((40, 64, 64, 3), np.uint8)
    faces[..., 0], faces[:, :, 32:, 1] = np.arange(40)[:, None, None], 255  # a number, and a bright right half
    first, again, other = (batch_of(faces, step, batch=64, latent=5, seed=3) for step in (7, 7, 8))
    for mine, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(mine, same)
        assert (mine != different).any()
    photos, latents, uniforms = first
    assert (photos.dtype, latents.dtype, uniforms.dtype) == (np.uint8, np.float32, np.float32)
    assert (latents.shape, uniforms.shape) == ((64, 5), (64, 2, UNIFORMS))
    mirrored = photos[:, 0, 0, 1] > 0
    assert 10 < mirrored.sum() < 54
    assert (photos[mirrored][:, :, 32:, 1] == 0).all()
    assert len(np.unique(photos[..., 0])) > 20


def test_the_middle_of_each_photo_is_taken(tmp_path, capsys):
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[..., 0], picture[..., 1] = np.arange(100)[:, None], np.arange(200)
    (tmp_path / "some").mkdir()
    Image.fromarray(picture).save("some/a.png")
    Image.fromarray(picture[..., 1]).save("some/grey.png")
    (tmp_path / "some" / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    faces = load_faces("some", "all", 0.64)
    assert "1 broken photo (some/broken.jpg) of 3" in capsys.readouterr().err.replace("\\", "/")
    assert (faces.shape, faces.dtype) == ((2, 64, 64, 3), np.uint8)
    np.testing.assert_array_equal(faces[0, :, 0, 0], np.arange(18, 82))
    np.testing.assert_array_equal(faces[0, 0, :, 1], np.arange(68, 132))
    assert (faces[1] == faces[1][..., :1]).all()


def test_too_few_photos(tmp_path, capsys):
    (tmp_path / "ten").mkdir()
    for n in range(10):
        draw_face(np.random.default_rng(n)).save(f"ten/{n}.png")
    assert "ten has 10 photos, and a GAN needs at least 100" in sentence(capsys, "train", "--data", "ten")
    (tmp_path / "none").mkdir()
    assert "none has no photos in it" in sentence(capsys, "train", "--data", "none")
    for n in range(120):
        Path(f"none/{n}.png").write_bytes(b"no picture")
    assert "Not one photo could be read" in sentence(capsys, "train", "--data", "none")
    assert not list(tmp_path.rglob("*.jsonl")), "no run has begun"


# ------------------------------------------------------------------------------------------------------ training


def test_a_run_keeps_the_best_and_leaves_a_film(trained):
    found = scores(trained, "score")
    assert len(found) == 4
    config = json.loads((trained / "config.json").read_text(encoding="utf-8"))
    assert config["kd_random"] == pytest.approx(-max(found), rel=1e-4)
    assert (config["width"], config["crop"]) == (2, 0.72)
    model = saved_models.load(trained)[0]
    assert (model.input_shape, model.output_shape) == ((None, 6), (None, 64, 64, 3))
    sheets = sorted(path.name for path in (trained / "sheets").iterdir())
    assert sheets == [f"{n:09d}.jpg" for n in (0, 128, 256, 384)]
    with Image.open(trained / "training.webp") as film:
        assert (film.n_frames, film.info["loop"]) == (4, 0)
    health = records(trained)[0]
    assert {"critic_loss", "generator_loss", "critic_accuracy", "critic_gradient", "generator_gradient"} <= set(health)
    assert all(0 <= record["critic_accuracy"] <= 1 for record in records(trained))


def test_init_starts_the_generator_from_a_model(trained):
    network, _ = load_generator(trained)
    generator, *_ = app.adversaries(app.Train(width=2, critic_width=2, latent=6, init=trained))
    for ours, theirs in zip(generator.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# ---------------------------------------------------------------------------------------------------------- demo


def test_a_seed_gives_the_same_sheet_again(trained, capsys):
    out = text_of(capsys, "--model", trained)
    assert re.match(r"64 faces of people who do not exist, generated in \d+\.\d s: outputs.gan_faces.faces.png\n", out)
    with Image.open("outputs/gan_faces/faces.png") as sheet:
        assert sheet.size == (8 * 130 + 2, 8 * 130 + 2)
    for seed, name in ((1, "again.png"), (2, "other.png")):
        text_of(capsys, "--model", trained, "--seed", seed, "-o", name)
    first, again, other = (Path(p).read_bytes() for p in ("outputs/gan_faces/faces.png", "again.png", "other.png"))
    assert first == again != other


def test_count_and_truncation(trained, capsys):
    faces = {}
    for truncation in (0, 0.5, 1):
        name = f"{truncation}.png"
        text_of(capsys, "--model", trained, "--count", 10, "--truncation", truncation, "-o", name)
        with Image.open(name) as sheet:
            assert sheet.size == (4 * 130 + 2, 3 * 130 + 2)
            cells = np.asarray(sheet)[2:, 2:]
        faces[truncation] = np.array([cells[:128, n * 130 : n * 130 + 128] for n in range(4)]).astype(float)
    spreads = [part.std(axis=0).mean() for part in faces.values()]
    assert spreads[0] == 0 < spreads[1] < spreads[2]


def test_a_morph_is_an_animation_that_loops(trained, capsys):
    out = text_of(capsys, "--model", trained, "--interpolate", "--count", 2)
    assert "An animation through 2 faces, 48 frames" in out
    with Image.open("outputs/gan_faces/morph.webp") as film:
        assert (film.size, film.info["loop"]) == ((256, 256), 0)
        assert 30 < film.n_frames <= 48  # equal ones are one


# ----------------------------------------------------------------------------------------------------- the numbers


def test_evaluate_gives_every_number(trained, photos, classifier, capsys, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", "nowhere")
    words = ["evaluate", "--model", trained, "--data", photos, "--classifier", classifier, "--samples", 200]
    assert main(*words, "-o", "sheets") == 0
    out, err = capsys.readouterr()
    assert err.count("No FID and KID") == 1
    lines = out.splitlines()
    assert lines[0].split() == ["FD-photo_classifier", "KD-photo_classifier"]
    training, test = (load_faces(str(photos), split, 0.72) for split in ("train", "test"))
    names = "200 generated faces", f"{len(training)} training faces", f"{len(test)} test faces"
    for line, (one, other) in zip(lines[1:4], itertools.combinations(names, 2), strict=True):
        assert line.startswith(f"{one} and {other}")
    network, _ = load_generator(trained)
    features = distances.classifier_features(classifier)
    generated = features(sampler(network)(np.random.default_rng(1).standard_normal((200, 6))))
    real = features(training)
    frechet, kernel = (float(x) for x in re.search(r"training faces +([\d.]+) +(-?[\d.]+) \+-", lines[1]).groups())
    assert frechet == pytest.approx(distances.frechet(generated, real), abs=1e-3)
    assert kernel == pytest.approx(distances.kernel_distance(generated, real)[0], abs=1e-5)
    assert re.search(r"variety: the mean distance between two generated faces is \d+\.\d% of", out)
    copying = r"copying: the nearest training photo is \d+\.\d+ away from a generated face, \d+\.\d+ from a test photo"
    assert re.search(copying, out)
    assert re.search(r"64 faces in \d+\.\d\d s; [\d,]+ parameters", out)
    for name, cells in (("unselected.png", (8, 8)), ("nearest.png", (12, 8))):
        with Image.open(Path("sheets") / name) as sheet:
            assert sheet.size == (cells[0] * 66 + 2, cells[1] * 66 + 2)


def test_evaluate_without_a_classifier(monkeypatch, tmp_path, photos, trained, capsys):
    monkeypatch.setattr(saved_models, "MODELS", tmp_path / "nowhere")
    said = sentence(capsys, "evaluate", "--model", trained, "--data", photos)
    assert "there is no model photo_classifier." in said


def test_training_is_validated_by_the_shipped_classifier_if_there_is_one(monkeypatch, classifier):
    monkeypatch.setattr(saved_models, "MODELS", classifier.parent)
    validator = Validator(np.zeros((2, 64, 64, 3), np.uint8))
    assert validator.kind == "photo_classifier"
    assert validator.reference.shape == (2, 12)


# -------------------------------------------------------------------------------------------------- wrong inputs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--interpolate --count 1", "--count is 1, and must be from 2"),
        ("--interpolate -o film.png", "film.png"),
        ("train --data nowhere.jpg", "nowhere.jpg"),
        ("train --data folder", "folder has no photos"),
        ("train --batch 5 --replicas 2", "--batch 5 must be a multiple of --replicas, 2"),
    ],
)
def test_a_wrong_input_is_one_sentence_at_once(tmp_path, capsys, no_long_work, words, said):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert re.search(said, sentence(capsys, *words.split()))
    left = [path for path in sorted(tmp_path.rglob("*")) if path.name not in ("outputs", "gan_faces")]
    assert left == before, "nothing half done is left behind"


def test_models_that_are_not_this_apps(capsys, classifier):
    assert "does not turn latents into images" in sentence(capsys, "--model", classifier)


# --------------------------------------------------------------------------------------------- the shipped model


def test_the_shipped_generator_is_small_and_does_not_repeat_itself():
    network, config = load_generator(None)
    assert (saved_models.MODELS / app.APP / "model.keras").stat().st_size <= 5 * 2**20
    assert config["trained_images"] > 0
    faces = sampler(network)(data(200, network.input_shape[1])).astype(np.float32)
    assert (faces.std(axis=0) > 20).mean() > 0.9, "each pixel differs from face to face"
    small = faces[:, ::4, ::4].reshape(200, -1)
    gaps = distances.nearest(small[1:], small[:1])[1]
    assert gaps.min() > 0.2 * np.median(gaps)
