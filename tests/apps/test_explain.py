"""Explanations: on networks whose reasons are known, at any depth, their scores, and the command's sentences."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from apps import explain as app
from apps.parts.explain import agents, boxes, captions, measures, scores
from apps.parts.explain.change import smallest_change
from apps.parts.explain.questions import Asked, guided_relu, layers_with_places
from shared import saved_models
from shared.classifiers.classifier import find_classifier
from shared.data.images import load_image
from shared.errors import UserError
from shared.training.runtime import import_keras
from tests.apps.command import Command

COMMAND = Command("explain")
main, text_of, sentence = COMMAND.main, COMMAND.text_of, COMMAND.sentence
pytestmark = pytest.mark.usefixtures("elsewhere")
SIDE = 24


def network(form: str = "flat"):
    """Class 0 is the red in the upper left quarter, class 1 the green in the lower right one, class 2 is never said."""
    keras = import_keras()
    layers = keras.layers
    colours = np.zeros((1, 1, 3, 4), np.float32)
    colours[0, 0, 0, 0] = colours[0, 0, 1, 1] = 1
    places = np.zeros((SIDE // 2, SIDE // 2, 4, 3), np.float32)
    places[: SIDE // 4, : SIDE // 4, 0, 0] = places[SIDE // 4 :, SIDE // 4 :, 1, 1] = 0.2
    body = [
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 1, activation="relu", name="colours"),
        layers.AveragePooling2D(2, name="pooled"),
    ]
    head = [layers.Flatten(), layers.Dense(3, name="classes")]
    photo = keras.Input((SIDE, SIDE, 3))
    if form == "flat":
        x = photo
        for layer in (*body, *head):
            x = layer(x)
        model = keras.Model(photo, x, name="quarters")
    elif form == "sequential":
        model = keras.Sequential([photo, *body, *head], name="quarters")
    else:
        inner = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *body], name="inner")
        x = inner(photo)
        for layer in head:
            x = layer(x)
        model = keras.Model(photo, x, name="quarters")
    body[1].set_weights([colours, np.zeros(4, np.float32)])
    head[1].set_weights([places.reshape(-1, 3), np.array([0, 0, -5], np.float32)])
    return model


def red_and_green() -> np.ndarray:
    """All grey but the two quarters."""
    photo = np.full((SIDE, SIDE, 3), 30, np.float32)
    photo[: SIDE // 2, : SIDE // 2, 0] = 220
    photo[SIDE // 2 :, SIDE // 2 :, 1] = 220
    return photo


def share_in(importance: np.ndarray, rows: slice, columns: slice) -> float:
    positive = np.maximum(importance, 0)
    return float(positive[rows, columns].sum() / positive.sum())


UPPER, LOWER = slice(0, SIDE // 2), slice(SIDE // 2, SIDE)


@pytest.mark.parametrize("name", app.METHODS)
def test_each_method_finds_the_place_that_the_answer_hangs_on(name):
    asked = Asked(network(), why=0, batch=16)
    importance = app.METHODS[name](asked, red_and_green())
    assert importance.shape == (SIDE, SIDE)
    least = 0.4 if name == "RISE" else 0.65
    assert share_in(importance, UPPER, UPPER) > least
    other = app.METHODS[name](asked.about(1), red_and_green())
    assert share_in(other, LOWER, LOWER) > least


@pytest.mark.parametrize("form", ["flat", "sequential", "nested"])
def test_any_form_of_network_is_explained(form):
    asked = Asked(network(form), why=0)
    assert [(layer.name, shape) for layer, shape in layers_with_places(asked.network)] == [
        ("colours", (SIDE, SIDE, 4)),
        ("pooled", (SIDE // 2, SIDE // 2, 4)),
    ]
    maps, gradient = asked.maps(red_and_green())
    np.testing.assert_allclose(maps[0, 0], [220 / 255, 30 / 255, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(gradient[: SIDE // 4, : SIDE // 4, 0], 0.2, rtol=1e-5)
    np.testing.assert_allclose(gradient[SIDE // 4 :, :, 0], 0)
    deeper = Asked(network(form), why=0, layer="colours")
    assert deeper.maps(red_and_green())[1].shape == (SIDE, SIDE, 4)


def test_a_layer_that_is_not_there_and_a_network_without_places():
    keras = import_keras()
    with pytest.raises(UserError, match="has no layer pool of maps with places. Did you mean pooled"):
        Asked(network(), 0, layer="pool").tapped  # noqa: B018
    plain = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)], name="plain")
    with pytest.raises(UserError, match="plain has no layer of maps with places, such as a convolution"):
        Asked(plain, 0).tapped  # noqa: B018


def test_integrated_gradients_sum_up_to_the_difference_of_scores():
    asked, photo = Asked(network(), why=0, against=1), red_and_green()
    score, black = asked.scores(np.stack([photo, 0 * photo]))
    assert app.attributions(asked, photo, 64).sum() == pytest.approx(score - black, rel=1e-3)
    photo[0, 0] = 255
    assert asked.scores(photo[None])[0] > score


def test_what_speaks_against():
    photo = red_and_green()
    alone, against = Asked(network(), 0), Asked(network(), 0, against=1)
    assert np.abs(alone.gradients(photo[None])[0][LOWER, LOWER]).max() == 0
    assert against.gradients(photo[None])[0][LOWER, LOWER, 1].max() < 0
    assert against.answers(photo[None])[0] == pytest.approx(0.5, abs=0.01)


def test_the_guided_backward_pass():
    from keras import ops

    from shared.training.steps import input_gradient

    x = np.array([-1.0, 2.0, 3.0], np.float32)
    weights = np.array([1.0, 1.0, -1.0], np.float32)
    _, gradient = input_gradient(lambda x: ops.sum(guided_relu(x) * weights), x)
    np.testing.assert_allclose(gradient, [0, 1, 0])
    np.testing.assert_allclose(guided_relu(ops.convert_to_tensor(x)), [0, 2, 3])
    asked = Asked(network(), 0)
    before = asked.network(red_and_green()[None])
    asked.guided_gradients(red_and_green()[None])
    np.testing.assert_allclose(asked.network(red_and_green()[None]), before), "the network is as it was"


def test_deletion_and_insertion_know_good_maps_from_bad_ones():
    asked, photo = Asked(network(), 0, against=1), red_and_green()
    good = np.zeros((SIDE, SIDE))
    good[UPPER, UPPER] = 1
    best, worst = (scores.curves(asked.answers, photo, importance).areas for importance in (good, -good))
    assert best[0] < worst[0] - 0.1
    found = scores.curves(asked.answers, photo, good)
    assert len(found.deletion) == len(found.insertion) == scores.STEPS + 1
    assert found.deletion[0] == pytest.approx(found.insertion[-1], abs=1e-5), "both have the photo at one end"
    assert scores.agreement(good, good) == pytest.approx(1)
    assert scores.agreement(good, np.zeros_like(good)) == 0


def test_the_sanity_check_ends_with_every_weight_in_another_place():
    keras = import_keras()
    model = network()
    stages = measures.cascade(model)
    assert sorted(name for names in stages.values() for name in names) == ["classes", "colours"]
    assert stages["the classes"] == ["classes"]
    layer = keras.layers.Dense(50)
    layer.build((None, 40))
    kernel = layer.get_weights()[0]
    measures.randomise(layer, np.random.default_rng(0))
    assert (layer.get_weights()[0] != kernel).mean() > 0.9
    assert np.sort(layer.get_weights()[0].ravel()) == pytest.approx(np.sort(kernel.ravel()))


def test_the_same_network_sees_larger_photos():
    keras = import_keras()
    layers = keras.layers
    kept = [layers.Conv2D(4, 1), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    asked = Asked(keras.Sequential([keras.Input((16, 16, 3)), *kept]), 0, batch=1)
    assert asked.at(16) is asked
    larger = asked.at(48)
    assert larger.shape == (48, 48, 3)
    assert larger.maps(np.zeros((48, 48, 3), np.float32))[0].shape == (48, 48, 4)
    plain = np.full((1, 48, 48, 3), 7, np.float32)  # logits of several units; a mean of 2,304 sums in float32
    np.testing.assert_allclose(larger.logits(plain), asked.logits(plain[:, :16, :16]), rtol=0, atol=0.01)
    fixed = Asked(keras.Sequential([keras.Input((16, 16, 3)), layers.Flatten(), layers.Dense(2)]), 0)
    with pytest.raises(UserError, match="photos of 16 pixels only"):
        fixed.at(48)


# ---------------------------------------------------------------------------------------------------- Other networks


def test_boxes_in_the_square_that_the_network_sees(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "classes.txt").write_text("person\ncat\ndog\n")
    Image.new("RGB", (200, 100)).save(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels" / "a.txt").write_text("1 0.5 0.5 0.25 0.5\n1 0.05 0.5 0.1 0.5\n0 0.5 0.5 1 1\n")
    [found] = boxes.pointed_photos(tmp_path, 32)
    assert (found.name, found.photo.shape, found.classes) == ("cat", (32, 32, 3), tuple(range(281, 286)))
    np.testing.assert_allclose(found.boxes, [[0.25, 0.25, 0.75, 0.75]])
    assert found.contains(0.5, 0.5)
    assert not found.contains(0.05, 0.5)
    importance = np.zeros((32, 32))
    importance[10, 12] = 1
    assert found.hit(importance)
    (tmp_path / "labels" / "a.txt").write_text("1 zero\n")
    with pytest.raises(UserError, match="a class and four numbers"):
        list(boxes.pointed_photos(tmp_path, 32))


def test_a_word_hangs_on_cells():
    from apps import image_captioner
    from shared.data.vocabulary import Vocabulary
    from shared.decoding.captioner import Captioner

    import_keras()
    words = list("abcdefgh")
    small = image_captioner.Train(size=64, units=16, layers=1, heads=2, hidden=16, longest=8)
    network = image_captioner.caption_network(len(Vocabulary(words)), small, pretrained=False)
    captioner = Captioner(network, Vocabulary(words), batch=1)
    photo = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    caption, found = captions.explained(captioner, photo)
    assert len(found) == len(caption.words)
    for _, gradient, attention, agreement in found:
        assert gradient.shape == attention.shape == (2, 2)
        assert -1 <= agreement <= 1


def test_what_q_values_hang_on():
    observation = np.zeros((84, 84, 4), np.uint8)
    observation[40:44, 60:64] = 200
    policy = lambda seen: seen[:, 30:54, 50:74].astype(np.float32).std(axis=(1, 2))[:, :3]  # noqa: E731
    found = agents.saliency(policy, observation)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert (abs(row - 42) < 6, abs(column - 62) < 6) == (True, True)
    assert "middle" in "".join(agents.where(found))


def test_the_smallest_change(tmp_path):
    keras = import_keras()
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    weights = np.zeros((48, 2), np.float32)
    weights[:, 1] = 1 / 48
    model.layers[-1].set_weights([weights, np.array([110, 0], np.float32)])
    saved_models.save(model, tmp_path / "bright", {"labels": ["dark", "bright"]})
    classifier = find_classifier(str(tmp_path / "bright"), 1)
    changed, levels = smallest_change(classifier, np.full((4, 4, 3), 100, np.uint8), 1)
    assert levels == 11, "the mean must pass 110"
    assert changed.max() == 111
    assert smallest_change(classifier, np.zeros((4, 4, 3), np.uint8), 1) is None


# --------------------------------------------------------------------------------------------------------- Commands


@pytest.fixture
def saved(tmp_path):
    """The network of quarters in a file, and a photo."""
    saved_models.save(network(), tmp_path / "quarters", {"labels": ["red thing", "green thing", "nothing"]}, False)
    Image.fromarray(red_and_green().astype(np.uint8)).save(tmp_path / "photo.png")
    return tmp_path


def test_a_model_and_photo_of_ones_own(saved, capsys):
    words = ("photo.png", "--model", "quarters/model.keras", "--against", "green thing", "-o", "why.webp")
    out = text_of(capsys, *words)
    assert out.startswith("Why red thing, and not green thing? (50.0%)")
    assert [name for name in app.METHODS if name not in out] == []
    assert load_image(saved / "why.webp").shape == (700, 1300, 3)


def test_evaluate(saved, capsys):
    out = text_of(capsys, "evaluate", "--data", ".", "--model", "quarters", "--checked", 1, "-o", "sanity.png")
    assert "1 photos of ." in out
    assert "random places" in out
    assert "within 1 % with" in out
    assert "rank correlation" in out
    assert load_image(saved / "sanity.png").shape[1] == 900


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("photo.png --model quarters --why reed", "quarters has no class 'reed'"),
        ("photo.png --model quarters --why 'red thing' --against 'RED_thing'", "the same class"),
        ("photo.png --model quarters --layer colour", "Did you mean colours"),
        ("photo.png --model quarters --change-to blue", "has no class 'blue'"),
        ("nowhere.png --model quarters", "There is no file nowhere.png"),
        ("photo.png --model nowhere.keras", "there is no model nowhere.keras"),
        ("--model dqn_pong", "no game pong|pong"),
        ("photo.png --model quarters -o why.txt", "does not end in a picture format"),
        ("evaluate --data nowhere", "nowhere"),
        ("evaluate --data . --model quarters --boxes .", "needs ImageNet's 1,000 classes"),
        ("evaluate --data . --model quarters --side 64", "give --boxes, too"),
    ],
)
def test_wrong_inputs(saved, capsys, words, said):
    import re
    import shlex

    if words.startswith("evaluate --data . "):
        assert main(*shlex.split(words), "--checked", 1) == 2
        assert said in capsys.readouterr().err
        return
    assert re.search(said, sentence(capsys, *shlex.split(words)))
