"""Digits: what is ink on a photo, how drawings are changed, what networks learn and say, the commands' sentences."""

from __future__ import annotations

import itertools
import json
from functools import partial

import numpy as np
import pytest
from PIL import Image

from apps import digits as app
from apps.parts.digits import distortions, measures, mnist, pens
from apps.parts.digits.ink import digits_on, ink_of, normalised
from apps.parts.digits.inputs import sample_digits
from apps.parts.digits.mnist import Digits
from shared.data.images import load_image
from shared.errors import UserError
from shared.training.runtime import import_keras
from tests.apps.command import Command

COMMAND = Command("digits")
main, text_of, sentence = COMMAND.main, COMMAND.text_of, COMMAND.sentence
pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(scope="module")
def reader(trained):
    """What the toy's training has saved."""
    return app.load(trained)


def page(*kinds: str, size: int = 160, ink: int = 60, paper: int = 210) -> np.ndarray:
    """Digits side by side on a page with a shadow, uint8 (240, W)."""
    marks = np.zeros((240, size * len(kinds)))
    for n, kind in enumerate(kinds):
        marks[40 : 40 + size, n * size : (n + 1) * size] = pens.drawn(kind, size, pen=0.06, wobble=0.03, seed=n)
    shadow = np.linspace(1, 0.7, marks.shape[1])
    return (shadow * (paper + (ink - paper) * marks / 255)).clip(0, 255).astype(np.uint8)


# ----------------------------------------------------------------------------------------------------------- Ink


def test_a_drawing_is_made_as_mnists_were():
    small = normalised(pens.drawn("8", 90, pen=0.04, scale=0.4, at=(0.3, 0.7)))
    rows, _ = np.nonzero(small > 20)
    assert small.shape == (28, 28)
    assert np.ptp(rows) + 1 == 20, "the longer side fills the box"
    mass = small / small.sum()
    np.testing.assert_allclose([mass.sum(axis=1) @ np.arange(28), mass.sum(axis=0) @ np.arange(28)], 13.5, atol=0.6)
    assert ((small > 30) & (small < 220)).any(), "anti-aliased"
    larger = normalised(pens.drawn("8", 400, pen=0.08, scale=0.8))
    assert np.abs(larger.astype(float) - small).mean() < 12, "whatever its size and place"
    assert not normalised(np.zeros((30, 30))).any()


@pytest.mark.parametrize(("ink", "paper"), [(40, 220), (230, 30), (120, 200)])
def test_ink_is_found_dark_on_light_and_light_on_dark(ink, paper):
    found = digits_on(page("7 crossed", "0 slashed", "1", ink=ink, paper=paper))
    assert len(found) == 3
    assert [place.box[0] // 160 for place in found] == [0, 1, 2]
    expected = normalised(pens.drawn("7 crossed", 160, pen=0.06, wobble=0.03, seed=0))
    assert np.corrcoef(found[0].drawing.ravel(), expected.ravel())[0, 1] > 0.9


def test_lines_are_read_from_the_top_each_from_left_to_right():
    whole = np.concatenate([page("1", "2", "3"), page("4", "5", "6")])
    boxes = [place.box for place in digits_on(whole)]
    assert [(box[1] // 240, box[0] // 160) for box in boxes] == list(itertools.product((0, 1), (0, 1, 2)))


def test_the_bar_of_a_five_belongs_to_it():
    sheet = np.zeros((100, 100), np.uint8)
    sheet[20:26, 40:70] = 255
    sheet[32:80, 38:46] = 255
    sheet[74:80, 38:66] = 255
    [found] = digits_on(255 - sheet)
    assert found.box == (38, 20, 70, 80)


def test_paper_alone_has_no_ink():
    noise = np.random.default_rng(0).normal(200, 2, (120, 90)).astype(np.uint8)
    assert digits_on(noise) == []
    assert digits_on(np.full((1, 1), 90, np.uint8)) == []
    assert ink_of(np.full((40, 40), 250, np.uint8)).max() == 0


# --------------------------------------------------------------------------------------------------- Distortions


def test_distortions_move_ink_and_lose_little():
    rng = np.random.default_rng(0)
    images = np.stack([normalised(pens.drawn(kind)) for kind in pens.STROKES])
    changed = distortions.distorted(images, rng)
    assert changed.dtype == np.uint8
    assert changed.shape == images.shape
    assert (np.abs(changed.astype(float) - images).mean(axis=(1, 2)) > 3).all()
    ratio = changed.sum(axis=(1, 2), dtype=float) / images.sum(axis=(1, 2), dtype=float)
    assert ((ratio > 0.5) & (ratio < 2)).all()
    same = distortions.distorted(images, rng, 0.0)
    assert np.abs(same.astype(float) - images).max() <= 1


def test_some_zeros_and_sevens_get_a_stroke():
    labels = np.array([0, 7, 3] * 40)
    images = np.stack([normalised(pens.drawn(f"{label}")) for label in labels])
    changed = distortions.with_marks(images, labels, np.random.default_rng(0), 0.5)
    touched = (changed != images).any(axis=(1, 2))
    assert not touched[labels == 3].any()
    assert 0.3 < touched[labels != 3].mean() < 0.7
    assert (changed >= images).all()


def test_no_letter_of_the_test_fonts_is_learned_from():
    assert set(distortions.TRAINING_FONTS) & set(distortions.TEST_FONTS) == set()
    alphabet = distortions.letters(distortions.TRAINING_FONTS)
    assert len(alphabet) > 80
    drawn = distortions.no_digits(40, np.random.default_rng(0), alphabet)
    assert drawn.shape == (40, 28, 28)
    assert (drawn.reshape(40, -1).max(axis=1) > 100).all()


# ---------------------------------------------------------------------------------------------------------- Data


def test_batches_have_digits_and_what_is_none():
    config = app.Train(batch=200, outliers=0.3)
    digits = Digits(np.zeros((400, 28, 28), np.uint8), np.arange(400) % 10)
    drawings, targets = next(app.batches(digits, config, 0))
    assert drawings.shape == (200, 28, 28, 1)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    unsure = targets.max(axis=1) < 0.2
    assert 0.2 < unsure.mean() < 0.4
    again, _ = next(app.batches(digits, config, 0))
    np.testing.assert_array_equal(drawings, again)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x_train": 1}, "has no y_train, x_test, y_test"),
        ({"x": np.zeros((4, 8, 8), np.uint8)}, "pictures of 28 x 28 bytes, not uint8 (4, 8, 8)"),
        ({"x": np.zeros((4, 28, 28))}, "not float64"),
        ({"y": np.full(4, 11)}, "a label from 0 to 9"),
        ({"y": np.zeros(3, int)}, "a label from 0 to 9 for each picture"),
    ],
)
def test_wrong_arrays_are_a_sentence(tmp_path, arrays, said):
    good = {"x": np.zeros((4, 28, 28), np.uint8), "y": np.zeros(4, int)} | arrays
    parts = {f"{key}_{name}": good[key] for key in ("x", "y") for name in ("train", "test")}
    np.savez(tmp_path / "d.npz", **(arrays if "x_train" in arrays else parts))
    with pytest.raises(UserError) as error:
        mnist.read(str(tmp_path / "d.npz"))
    assert said in str(error.value)


def test_no_array_is_unpickled(tmp_path, capsys):
    np.savez(tmp_path / "d.npz", x_train=np.array([{}], object))
    assert "is no .npz file that can be read" in sentence(capsys, "train", "--data", tmp_path / "d.npz")
    (tmp_path / "e.npz").write_bytes(b"no zip")
    assert "is no .npz file that can be read" in sentence(capsys, "train", "--data", tmp_path / "e.npz")
    assert "There is no file or folder nowhere" in sentence(capsys, "train", "--data", "nowhere")


def test_a_folder_for_each_digit(tmp_path):
    for split, digit in itertools.product(("train", "test"), (3, 8)):
        folder = tmp_path / split / f"{digit}"
        folder.mkdir(parents=True)
        for n in range(2):
            Image.fromarray(255 - pens.drawn(f"{digit}", 60, seed=n)).save(folder / f"{n}.png")
    learned, test = mnist.read(str(tmp_path))
    assert sorted(learned.labels) == sorted(test.labels) == [3, 3, 8, 8]
    assert np.median(learned.images) == 0, "white on black"


# ------------------------------------------------------------------------------------------------------ Networks


@pytest.mark.parametrize(
    ("network", "parameters"), [("cnn", 326_826), ("lenet5", 61_706), ("lecun1989", 10_024), ("mlp", 95_410)]
)
def test_networks(network, parameters):
    """LeNet-5 has 60,000 in the paper, whose C3 sees some of the maps only; the network of 1989 shares fewer, too."""
    import_keras()
    model = app.network_of(app.Train(network=network))
    assert model.count_params() == parameters
    assert model(np.zeros((2, 28, 28, 1), np.uint8)).shape == (2, 10)


def test_it_learns(run):
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    losses = [line["val_loss"] for line in lines if "val_loss" in line]
    assert min(losses) < 1.9, "2.303 is knowing nothing"


def test_the_reader_says_what_it_sees(reader):
    answers = reader.read(sample_digits())
    assert len(answers) == 14
    np.testing.assert_allclose([answer.shares.sum() for answer in answers], 1, rtol=1e-6)
    [alone] = reader.read(answers[3].drawing[None])
    np.testing.assert_allclose(alone.shares, answers[3].shares, rtol=1e-4)
    assert len(alone.nearest) == 8
    layers = reader.look_inside(alone.drawing)
    assert layers[0].maps.shape == (12, 8, 8)
    assert layers[0].filters.shape == (12, 5, 5)


def test_a_training_digit_is_its_own_nearest(reader):
    [answer] = reader.read(reader.known[7:8])
    np.testing.assert_array_equal(answer.nearest[0], reader.known[7])
    assert answer.nearest_labels[0] == reader.labels[7]


def test_doubt(reader):
    reader.least, kept = 1.1, reader.least
    try:
        [answer] = reader.read(sample_digits()[:1])
    finally:
        reader.least = kept
    assert answer.text.startswith("no digit")


# ------------------------------------------------------------------------------------------------------ Measures


def test_intervals_and_lines():
    low, high = measures.interval(30, 10_000)
    assert (round(low, 5), round(high, 5)) == (0.0021, 0.00428)
    assert measures.interval(0, 100)[0] == 0
    assert "  2 of 4 wrong: 50.00%" in measures.error_line("x", np.array([1, 2, 3, 4]), np.array([1, 2, 0, 0]))
    logits = 9 * np.eye(10)[np.arange(40) % 10]
    lines = list(measures.report(logits, np.arange(40) % 10))
    assert lines[2].split() == ["0", "4", *["0"] * 9]
    assert "AUC of each against the rest: 0 1.00000" in lines[12]


def test_placed_digits_come_back():
    image = normalised(pens.drawn("4"))
    for look in ({"shift": 5}, {"scale": 1.4}, {"scale": 0.6}):
        back = measures.normalised_each(measures.placed(image, **look)[None])[0]
        assert np.corrcoef(back.ravel(), image.ravel())[0, 1] > 0.8, look
    turned = measures.placed(image, turn=90)[28:56, 28:56]
    assert np.corrcoef(turned.ravel(), np.rot90(image, -1).ravel())[0, 1] > 0.95


# ------------------------------------------------------------------------------------------------------ Commands


def test_photos_are_read_and_drawn(trained, capsys, tmp_path):
    for n, kinds in enumerate((("1", "7 crossed"), ("3",))):
        Image.fromarray(page(*kinds)).save(tmp_path / f"{n}.png")
    words = ("--model", trained, tmp_path / "0.png", tmp_path / "1.png", "--json", "-o", "seen.png")
    found = json.loads(text_of(capsys, *words))
    assert [len(each["digits"]) for each in found] == [2, 1]
    assert set(found[0]["digits"][0]) == {"digit", "probability", "sure", "box"}
    assert [load_image(tmp_path / f"seen-{n}.png").shape[1] for n in (1, 2)] == [1300, 1300]


def test_samples(trained, capsys):
    out = text_of(capsys, "--model", trained, "--inside", "99", "-o", "seen.webp")
    assert out.startswith("samples: ")
    assert len(out.splitlines()) == 15


@pytest.mark.parametrize(
    ("size", "said"),
    [((1, 1), "shows no ink"), ((300, 200), "shows no ink"), ((9000, 9000), "more than the 64 million")],
)
def test_photos_that_show_nothing(trained, capsys, tmp_path, size, said):
    Image.new("L", size, 200).save(tmp_path / "a.png")
    assert said in sentence(capsys, "--model", trained, tmp_path / "a.png")


def test_five_hundred_digits(reader, tmp_path):
    row = page(*["3", "5", "7", "1", "0"] * 5, size=40)[:100]
    found = digits_on(np.concatenate([row] * 20))
    assert len(found) == 500
    assert len(reader.read(np.stack([place.drawing for place in found]))) == 500


def test_evaluate(run, capsys, monkeypatch):
    monkeypatch.setattr(measures, "pen_lines", partial(measures.pen_lines, per_kind=2))
    out = text_of(capsys, "evaluate", "--data", run.words[1], "--model", run.folder, "--changed", 10, "-o", "wrong.png")
    for part in (
        "40 test digits",
        "Rows: what it is",
        "turned by -30 degrees",
        "drawn by code",
        "letters of other fonts",
    ):
        assert part in out
