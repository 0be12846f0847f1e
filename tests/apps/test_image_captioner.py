"""The captioner: its network and training, its commands as a person types them, its sentences."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from apps import image_captioner as app
from apps.parts.image_captioner.captions import read_captions, read_photos
from shared import saved_models
from shared.data.images import load_image
from shared.data.photo_files import sample_photos
from shared.decoding.captioner import load_captioner
from shared.decoding.recognised import Recogniser
from shared.layers.mobilenet import freeze_lower_blocks
from shared.training.runtime import import_keras
from tests.apps.command import Command, scores
from tests.apps.toys.image_captioner import COLOURS, TOY, photo, save
from tests.scenarios.image_captioner import tiny_network

ROOT = Path(__file__).parents[2]
MOBILENET = app.photo_encoder

TINY = [*TOY.train.split(), "--epochs", "1", "--whole-epochs", "0"]

COMMAND = Command("image_captioner")
main, sentence = COMMAND.main, COMMAND.sentence
pytestmark = pytest.mark.usefixtures("shrunk")


@pytest.fixture(scope="module")
def album(run) -> Path:
    """The photos with captions that it learned from."""
    return run.data


# ---------------------------------------------------------------------------------------------------------- network


def test_the_network_is_small_and_made_of_keras_own_layers(monkeypatch):
    monkeypatch.setattr(app, "photo_encoder", MOBILENET)
    import_keras()
    network = app.caption_network(2473, app.Train(), pretrained=False)
    assert network.get_layer("encoder").output_shape == (None, 36, 1280)
    assert network.output_shape == (None, None, 2473)
    assert network.inputs[0].dtype == "uint8"
    size = sum((2 if len(v.shape) > 1 else 4) * int(np.prod(v.shape)) for v in network.weights)
    assert size < 9.5 * 2**20, "in float16, with room for the file's own tables"
    layers = [layer for part in ("encoder", "decoder") for layer in network.get_layer(part).layers]
    assert all(type(layer).__module__.startswith("keras.") for layer in layers), "nobody needs this repository"


def test_imagenets_weights_are_taken_over(monkeypatch):
    keras = import_keras()
    real = keras.applications.MobileNetV2
    published = real(weights=None)

    def online(*args, weights="imagenet", **options):
        return published if weights == "imagenet" else real(*args, weights=weights, **options)

    monkeypatch.setattr(keras.applications, "MobileNetV2", online)
    encoder = MOBILENET(64, pretrained=True)
    for name in ("Conv1", "Conv_1"):
        for ours, theirs in zip(encoder.get_layer(name).weights, published.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    features = real(include_top=False, weights=None, input_shape=(64, 64, 3))
    features.set_weights(encoder.get_weights())
    expected = np.asarray(features(keras.applications.mobilenet_v2.preprocess_input(pixels.astype("float32"))))
    np.testing.assert_allclose(np.asarray(encoder(pixels))[0], expected.reshape(-1, 1280), atol=1e-4)


@pytest.mark.parametrize(
    ("blocks", "first"), [(0, "Conv1"), (6, "block_7_expand"), (15, "block_16_expand"), (16, "Conv_1")]
)
def test_the_lower_blocks_and_all_statistics_stay_as_they_are(blocks, first):
    keras = import_keras()
    encoder = MOBILENET(32, pretrained=False)
    freeze_lower_blocks(encoder, blocks)
    learning = [layer for layer in encoder.layers if layer.trainable and layer.weights]
    assert learning[0].name == first
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in learning)
    assert learning[-1].name == "Conv_1"


def test_the_loss_is_the_smoothed_entropy_of_words():
    import_keras()
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(0, 2, (2, 4, 5)).astype("float32"), np.array([[1, 2, 3, 0], [4, 0, 0, 0]])
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    target = 0.9 * np.eye(5)[targets] + 0.1 / 5
    expected = -(target * np.log(shares)).sum(-1)[targets > 0].mean()
    assert np.mean(np.asarray(app.smoothed_cross_entropy(0.1)(targets, logits))) == pytest.approx(expected, rel=1e-5)


def test_both_backends_write_and_train_the_same(results):
    tensorflow, jax = results("captioner_writes")
    for way in ("greedy", "beams", "chance"):
        ours, theirs = tensorflow[way], jax[way]
        assert [[text for text, _ in photo] for photo in ours] == [[text for text, _ in photo] for photo in theirs]
        np.testing.assert_allclose(
            [[score for _, score in photo] for photo in ours],
            [[score for _, score in photo] for photo in theirs],
            atol=1e-3,
        )
    np.testing.assert_allclose(tensorflow["attention"], jax["attention"], atol=1e-4)
    tensorflow, jax = results("captioner_trains")
    np.testing.assert_allclose(tensorflow, jax, rtol=1e-3)
    assert jax[-1] < jax[0] - 0.02


# --------------------------------------------------------------------------------------------------------- training


def test_a_run_learns_to_say_what_is_there(trained, album):
    assert len(scores(trained, "cider")) == 12
    assert len(scores(trained / "whole", "cider")) == 2
    best = max(scores(trained, "cider") + scores(trained / "whole", "cider"))
    assert best > 150
    record = json.loads((trained / "config.json").read_text(encoding="utf-8"))
    assert record["cider"] == pytest.approx(best, rel=1e-4)
    assert "square" in record["vocabulary"]
    assert not (trained / "features.npy").exists(), "700 MB of Flickr8k's are not left behind"
    captioner = load_captioner(trained)
    photos, found = read_photos(read_captions(album, "test")[0], captioner.size)
    said = [best.text for best, *_ in captioner.write(captioner.look(photos), beams=3)]
    right = [
        colour in text
        for text, photo in zip(said, found, strict=True)
        for colour in COLOURS
        if colour in photo.captions[0]
    ]
    assert np.mean(right) > 0.7, said


def test_what_is_wrong_with_the_data_is_told(run):
    assert "1 captioned photos that are not there (gone.png)" in run.err
    assert "1 empty captions (line 195)" in run.err
    assert "Skipped 1 broken photo" in run.err
    assert "39 photos to learn from" in run.err
    assert "Best CIDEr, greedy, on photos held out" in run.out


def test_init_goes_on_from_a_model(album, trained, tmp_path, capsys):
    words = ["train", "--data", album, *TINY, "--run", "more", "--init", trained]
    assert main(*words, "--learning-rate", 1e-9) == 0
    best = max(scores(trained, "cider") + scores(trained / "whole", "cider"))
    assert scores(tmp_path / "more", "cider")[0] == pytest.approx(best, rel=0.1)  # float16
    assert main(*words, "--run", "other", "--least", 60) == 2
    assert "knows other words than" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------- evaluation


def test_evaluate_gives_every_number(trained, album, tmp_path, capsys):
    words = ["evaluate", "--data", album, "--model", trained, "--shown", 3, "-o", "all.json"]
    assert main(*words) == 0
    out = capsys.readouterr().out
    assert "12 photos of the test split" in out
    rows = {int(line[6]): line for line in out.splitlines() if line.startswith("beams ")}
    assert list(rows) == [1, 3, 5]
    for line in rows.values():
        assert re.search(r"BLEU-1 \d.*BLEU-4 \d.*ROUGE-L \d.*CIDEr \d.*% distinct.*% as in training.*captions/s", line)
        assert float(re.search(r"CIDEr ([\d.]+)", line)[1]) > 100
        assert 0 < float(re.search(r"([\d.]+)% distinct", line)[1]) <= 100
    written = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert [row["photo"] for row in written] == [f"{n}.png" for n in range(52, 64)]
    assert set(written[0]["captions"]) == {"beams 1", "beams 3", "beams 5"}
    shown = [line for line in out.splitlines() if re.match(r"\d\d: ", line)]
    assert shown == [f"{row['photo'][:2]}: {row['captions']['beams 3']}" for row in written[:3]]


# ------------------------------------------------------------------------------------------------------------- demo


def test_the_demo_is_a_sheet_that_overwrites_nothing(trained, tmp_path, capsys):
    for _ in range(2):
        assert main("--model", trained) == 0
    out, err = capsys.readouterr()
    for path in sample_photos():
        assert re.search(rf"{re.escape(path.name)}\n +\d+\.\d%  \w+", out)
    assert "Try next" in err
    sheets = sorted((tmp_path / "outputs" / "image_captioner").iterdir())
    assert [path.name for path in sheets] == ["captions-2.png", "captions.png"]
    assert load_image(sheets[1]).shape[1] == 3 * 328 + 8


def test_several_photos_and_json(trained, tmp_path, capsys):
    save(tmp_path / "one.png", photo("red", True, 1))
    save(tmp_path / "more" / "two.jpg", photo("blue", False, 2))
    assert main("one.png", "more", "--model", trained, "--json", "--beams", 2, "-o", "sheet.png") == 0
    found = json.loads(capsys.readouterr().out)
    assert [Path(row["photo"]).name for row in found] == ["one.png", "two.jpg"]
    for row, colour in zip(found, ("red", "blue"), strict=True):
        (caption,) = row["captions"]
        assert colour in caption["text"]
        assert 0 < caption["score"] <= 1
    assert (tmp_path / "sheet.png").is_file()


def test_samples_vary_and_a_seed_repeats_them(trained, tmp_path, capsys):
    save(tmp_path / "one.png", photo("red", True, 1))

    def sampled(*words) -> list[str]:
        assert main("one.png", "--model", trained, "--json", *words) == 0
        return [caption["text"] for caption in json.loads(capsys.readouterr().out)[0]["captions"]]

    one, same, other = (sampled("--samples", 8, "--temperature", 3, "--seed", seed) for seed in (1, 1, 2))
    assert one == same != other
    assert len(sampled("--temperature", 1)) == 1
    cold = sampled("--samples", 8, "--temperature", 0.01)
    assert len(set(cold)) <= 2 < len(set(one)), "two sentences may be all but equally likely"


def test_attention_is_drawn_for_each_word(trained, tmp_path, capsys):
    save(tmp_path / "one.png", photo("red", True, 1))
    assert main("one.png", "--model", trained, "--attention", "--json", "-o", "sheet.png") == 0
    words = json.loads(capsys.readouterr().out)[0]["captions"][0]["text"].split()
    sheet = load_image(tmp_path / "one-attention.png")
    assert sheet.shape[1] == min(6, len(words) + 1) * 164 + 4
    assert sheet.shape[0] > -(-(len(words) + 1) // 6) * 160


def test_a_folder_with_a_broken_photo_does_the_rest(trained, tmp_path, capsys):
    save(tmp_path / "album" / "one.png", photo("red", True, 1))
    (tmp_path / "album" / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    assert main("album", "--model", trained) == 2
    out, err = capsys.readouterr()
    assert "one.png" in out
    assert err.splitlines()[-1].startswith("error: 1 of 2 photos cannot be read: ")
    assert err.splitlines()[-1].endswith("torn.jpg.")


# ----------------------------------------------------------------------------------------------------- wrong inputs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nowhere.jpg", "no file nowhere.jpg"),
        ("torn.jpg", "torn.jpg is damaged|torn.jpg is not a photo"),
        ("empty", "empty has no photos in it"),
        ("evaluate --data nowhere", "there is no folder nowhere"),
        ("evaluate --data empty", "empty holds neither captions.txt"),
        ("evaluate --data flickr --split dev", "no photos with captions in its dev split"),
        ("train --data nowhere", "there is no folder nowhere"),
        ("train --data empty", "empty holds neither captions.txt"),
        ("train --data flickr", "flickr has fewer photos than a batch of 32"),
        ("train --data flickr --units 10 --heads 4", "--units is 10, and must be a multiple of --heads, 4"),
    ],
)
def test_a_wrong_input_is_one_sentence_at_once(tmp_path, capsys, no_long_work, words, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    save(tmp_path / "one.png", photo("red", True, 1))
    for split in ("train", "dev", "test"):
        save(tmp_path / "flickr" / f"{split}.png", photo("red", True, 1))
        (tmp_path / "flickr" / f"Flickr_8k.{split}Images.txt").write_text(f"{split}.png\n")
    (tmp_path / "flickr" / "captions.txt").write_text("".join(f"{s}.png,A square\n" for s in ("train", "dev", "test")))
    before = sorted(path for path in tmp_path.rglob("*"))
    assert re.search(said, sentence(capsys, *words.split()))
    after = sorted(path for path in tmp_path.rglob("*") if "outputs" not in path.parts)
    assert after == before, "nothing half done is left behind"


def test_models_that_are_not_this_apps(tmp_path, capsys, trained):
    save(tmp_path / "one.png", photo("red", True, 1))
    saved_models.save(tiny_network(12), tmp_path / "other", {"vocabulary": ["a"] * 5})
    assert "is not a network that captions photos" in sentence(capsys, "one.png", "--model", "other")
    (tmp_path / "alone.keras").write_bytes((trained / "model.keras").read_bytes())
    assert "with its vocabulary and sayings in config.json" in sentence(capsys, "one.png", "--model", "alone.keras")


# ------------------------------------------------------------------------------------------------- the shipped model


def test_the_shipped_model_is_small_and_knows_a_cat_from_a_rocket(monkeypatch):
    monkeypatch.setattr("shared.decoding.captioner.Recogniser", Recogniser)  # not the toy's
    assert (saved_models.MODELS / app.APP / "model.keras").stat().st_size <= 12 * 2**20
    captioner = load_captioner()
    seen = captioner.look([load_image(path) for path in sample_photos()])
    said = {path.stem: found[0].text for path, found in zip(sample_photos(), captioner.write(seen), strict=True)}
    assert len(set(said.values())) > 3, said
    assert re.search("woman|person|man|girl|boy|lady", said["astronaut"]), said
    assert "cat" in said["chelsea"].split(), said
    assert "coffee" in said["coffee"].split(), said
