"""The detector: anchors and moves, what suppression leaves, COCO's precision, files of boxes, published weights."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps import detector as app
from apps.parts.detector import labels, published
from apps.parts.detector.augmenting import augmented
from apps.parts.detector.average_precision import Boxes, average_precisions, no_boxes, overlaps
from apps.parts.detector.backbones import is_mobilenet_v2, take_over
from apps.parts.detector.sheets import tile_places
from shared import saved_models
from shared.data import tfds as by_name
from shared.data.images import load_image
from shared.data.photo_files import sample_photos
from shared.errors import UserError
from shared.layers import mobilenet
from shared.training.runtime import import_keras
from shared.training.tflite import read_tensors
from tests.apps.command import Command

COMMAND = Command("detector")
main, text_of, sentence = COMMAND.main, COMMAND.text_of, COMMAND.sentence
pytestmark = pytest.mark.usefixtures("shrunk")


def boxes(*rows: tuple, scores: tuple = ()) -> Boxes:
    """Rows of left, top, right, bottom, class."""
    table = np.array(rows, float).reshape(-1, 5)
    return Boxes(table[:, :4], table[:, 4].astype(int), np.array(scores or (1.0,) * len(table)))


# ------------------------------------------------------------------------------------------------ Anchors and boxes


def test_anchors_are_those_of_the_published_detector():
    at = app.anchors()
    assert at.shape == (1917 + 3 * 38 * 38, 4)
    np.testing.assert_allclose(at[0], [0.5 / 19, 0.5 / 19, 0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(at[1, 2:], [0.1414, 0.2828], atol=1e-4)
    np.testing.assert_allclose(at[1083], [0.05, 0.05, 0.35, 0.35], rtol=1e-6)
    np.testing.assert_allclose(at[1916], [0.5, 0.5, 0.9747, 0.9747], atol=1e-4)
    np.testing.assert_allclose(at[1917], [0.5 / 38, 0.5 / 38, 0.07, 0.07], rtol=1e-6)


def test_moves_bring_anchors_onto_boxes():
    corners = np.tile([0.2, 0.3, 0.6, 0.9], (len(app.anchors()), 1))
    np.testing.assert_allclose(app.decoded(app.encoded(corners)), corners, atol=1e-5)
    still = app.decoded(np.zeros((1917, 4), np.float32))[0]
    np.testing.assert_allclose(still, np.clip([0.5 / 19 - 0.05] * 2 + [0.5 / 19 + 0.05] * 2, 0, 1), atol=1e-6)


def test_suppression_is_by_class():
    found = boxes(
        (0, 0, 1, 1, 0), (0, 0, 1, 0.9, 0), (0, 0, 1, 0.95, 1), (0.5, 0.5, 1, 1, 0), scores=(0.8, 0.9, 0.5, 0.4)
    )
    left = app.non_maximum_suppression(found)
    assert left.scores.tolist() == [0.9, 0.5, 0.4]
    assert len(app.non_maximum_suppression(no_boxes())) == 0


def test_every_box_has_an_anchor_and_far_anchors_have_none():
    thing = boxes((0.3, 0.3, 0.7, 0.7, 1), (0.01, 0.01, 0.02, 0.02, 0))
    wanted = app.targets(thing, 2)
    assert {tuple(row) for row in wanted[wanted[:, 4] == 1, 5:]} == {(0, 1), (1, 0)}
    np.testing.assert_allclose(
        app.decoded(wanted[:, :4])[wanted[:, 6] == 1], [[0.3, 0.3, 0.7, 0.7]] * int(wanted[:, 6].sum()), atol=1e-4
    )
    assert (wanted[wanted[:, 4] <= 0, 5:] == 0).all()
    assert not app.targets(no_boxes(), 2).any()


def test_the_loss_counts_what_it_should():
    wanted = app.targets(boxes((0.3, 0.3, 0.7, 0.7, 1)), 2)[None]
    said = np.concatenate([wanted[..., :4], 20 * wanted[..., 5:] - 10], axis=-1)
    assert float(app.loss(wanted, said)[0]) == pytest.approx(0, abs=1e-3)
    moved = said.copy()
    moved[wanted[..., 4] == 1, :4] += 2
    assert float(app.loss(wanted, moved)[0]) == pytest.approx(0.25 * 4 * 1.5, rel=1e-3)
    doubtful = said.copy()
    doubtful[wanted[..., 4] == -1, 4:] = 10
    assert float(app.loss(wanted, doubtful)[0]) == pytest.approx(0, abs=1e-3)


def test_views_take_their_boxes_along():
    photo = np.zeros((100, 200, 3), np.uint8)
    photo[40:60, 80:120] = 255
    rng = np.random.default_rng(0)
    for _ in range(20):
        view, found = augmented(photo, boxes((0.4, 0.4, 0.6, 0.6, 0)), 100, rng)
        assert view.shape == (100, 100, 3)
        if len(found):
            rows, columns = np.nonzero(view[..., 0] > 170)
            seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 100
            np.testing.assert_allclose(found.corners[0], seen, atol=0.03)


def test_tiles_cover_the_photo():
    places = np.array(tile_places(3))
    assert places.shape == (10, 4)
    assert places[0].tolist() == [0, 0, 1, 1]
    assert (places[1:, :2].min(), places[1:, 2:].max()) == pytest.approx((0, 1))


# ------------------------------------------------------------------------------------------------------- Precision


def test_average_precision_by_hand():
    """Two things; found are one rightly, one twice, one wrongly: precision 1 up to a recall of one half, then 2/4."""
    true = boxes((0, 0, 10, 10, 0), (20, 20, 30, 30, 0))
    found = boxes(
        (0, 0, 10, 10, 0), (0, 0, 10, 9.9, 0), (50, 50, 60, 60, 0), (20, 20, 30, 30, 0), scores=(0.9, 0.8, 0.7, 0.6)
    )
    values = average_precisions([found], [true], 2)
    np.testing.assert_allclose(values[0], [(51 + 50 * 0.5) / 101] * 10, atol=1e-6)
    assert np.isnan(values[1]).all()
    half = average_precisions([boxes((0, 0, 10, 7, 0))], [boxes((0, 0, 10, 10, 0))], 1)[0]
    np.testing.assert_allclose(half, [1] * 5 + [0] * 5, atol=1e-6)
    np.testing.assert_allclose(overlaps(np.array([[0, 0, 2, 2]]), np.array([[1, 1, 3, 3], [5, 5, 6, 6]])), [[1 / 7, 0]])


# ---------------------------------------------------------------------------------------------------------- Files


def voc(folder, name="a", size=(100, 50), box=(11, 6, 60, 30), head=""):
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(folder / "JPEGImages" / f"{name}.jpg")
    keys = ("xmin", "ymin", "xmax", "ymax")
    corners = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, box, strict=True))
    shape = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    text = f"{head}<annotation>{shape}<object><name>cat</name><bndbox>{corners}</bndbox></object></annotation>"
    (folder / "Annotations" / f"{name}.xml").write_text(text)
    (folder / "ImageSets/Main/test.txt").write_text(f"{name}\n")


def test_pascal_voc_yolo_and_coco_say_the_same(tmp_path):
    voc(tmp_path / "voc")
    expected = [[0.1, 0.1, 0.6, 0.6]]
    np.testing.assert_allclose(labels.read(tmp_path / "voc", "test").boxes[0].corners, expected)
    yolo = tmp_path / "yolo"
    (yolo / "images").mkdir(parents=True)
    (yolo / "labels").mkdir()
    Image.new("RGB", (100, 50)).save(yolo / "images" / "a.jpg")
    (yolo / "classes.txt").write_text("cat\n")
    (yolo / "labels" / "a.txt").write_text("0 0.35 0.35 0.5 0.5\n")
    np.testing.assert_allclose(labels.read(yolo, "test").boxes[0].corners, expected)
    content = {
        "categories": [{"id": 17, "name": "cat"}],
        "images": [{"id": 5, "file_name": "a.jpg", "width": 100, "height": 50}],
        "annotations": [{"image_id": 5, "category_id": 17, "bbox": [10, 5, 50, 25]}],
    }
    (yolo / "boxes.json").write_text(json.dumps(content))
    found = labels.read(yolo / "boxes.json", "test")
    np.testing.assert_allclose(found.boxes[0].corners, expected)
    assert found.labels == ("cat",)


def test_what_is_odd_is_mended_counted_and_said(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    for name in "ab":
        Image.new("RGB", (40, 40)).save(tmp_path / "images" / f"{name}.png")
    rows = "0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n1 0.9 0.5 0.6 0.2\n0 0.5 0.5 0 0.2\n0 nan 0.5 0.1 0.2\n"
    (tmp_path / "labels" / "a.txt").write_text(rows)
    found = labels.read(tmp_path, "test", ("dog",))
    assert [len(each) for each in found.boxes] == [1, 0]
    np.testing.assert_allclose(found.boxes[0].corners, [[0.6, 0.4, 1, 0.6]])
    said = capsys.readouterr().err
    for part in (
        "1 boxes that were there twice",
        "1 boxes that reach beyond",
        "1 boxes without an area",
        "1 boxes that are no numbers",
        "does not know",
        "1 photos without a file",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 a b c d", "line 1: it must be a class and four numbers"),
        ("7 0.5 0.5 0.1 0.1", "there is no class 7"),
        ("0.5 1 1 1 1", "no class 0.5"),
    ],
)
def test_wrong_labels_are_a_sentence(tmp_path, line, said):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "classes.txt").write_text("cat\n")
    Image.new("RGB", (9, 9)).save(tmp_path / "images" / "a.png")
    (tmp_path / "labels" / "a.txt").write_text(line)
    with pytest.raises(UserError) as error:
        labels.read(tmp_path, "test")
    assert said in str(error.value)


@pytest.fixture
def named(monkeypatch, tmp_path):
    """A data set with boxes that TFDS really prepares, writes and reads back, in place of voc/2007."""
    tfds = pytest.importorskip("tensorflow_datasets")
    if any(importlib.util.find_spec(package) is None for package in by_name.NEEDS):
        pytest.skip("TFDS is not installed")

    class Toy(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = "voc"
        VERSION = tfds.core.Version("1.0.0")
        url_infos = None

        def _info(self):
            kinds = tfds.features.ClassLabel(names=["cat", "dog"])
            objects = tfds.features.Sequence({"bbox": tfds.features.BBoxFeature(), "label": kinds})
            features = tfds.features.FeaturesDict({"image": tfds.features.Image(), "objects": objects})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(3), "validation": self._generate_examples(1)}

        def _generate_examples(self, count):
            for n in range(count):
                box = tfds.features.BBox(ymin=0.1, xmin=0.2, ymax=0.5, xmax=0.8)
                pixels = np.full((30, 40, 3), 40 * n, np.uint8)
                yield n, {"image": pixels, "objects": [{"bbox": box, "label": 1}] * (n + 1)}

    monkeypatch.setattr(tfds, "list_builders", lambda **_options: ["voc"])
    monkeypatch.setattr(tfds, "builder", lambda name: Toy(data_dir=tmp_path / "tfds"))


def test_a_name_of_tfds(named):
    for _first_writes_photos_second_finds_them in range(2):
        learned, held_out = labels.to_learn_from(Path("voc/2007"), 3, 0.07)
        assert (learned.labels, len(learned), len(held_out)) == (("cat", "dog"), 3, 1)
    for boxes_there in learned.boxes:
        assert boxes_there.classes.tolist() == [1]
        np.testing.assert_allclose(boxes_there.corners, [[0.2, 0.1, 0.8, 0.5]], atol=1e-6)
    assert sorted(int(load_image(file).mean()) for file in learned.files) == [0, 40, 80]
    assert len(labels.read(Path("voc/2007"), "all")) == 4
    with pytest.raises(UserError, match="has the splits .*, not test"):
        labels.read(Path("voc/2007"), "test")


def test_what_no_network_can_learn_is_said_before(tmp_path, capsys):
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    for n in range(40):
        Image.new("RGB", (9, 9)).save(tmp_path / "images" / f"{n}.png")
        (tmp_path / "labels" / f"{n}.txt").write_text("0 0.5 0.5 0.03 0.03\n0 0.5 0.5 0.3 0.3")
    learned, _ = labels.to_learn_from(tmp_path, 3, 0.07)
    said = capsys.readouterr().err
    assert f"{len(learned)} of {2 * len(learned)} boxes are smaller than half of the smallest anchor" in said
    assert "No boxes to learn from: dog." in said


def test_an_xml_with_a_doctype_and_names_that_leave_the_folder(tmp_path):
    voc(tmp_path / "one", head='<!DOCTYPE x [<!ENTITY a "b">]>')
    with pytest.raises(UserError, match="has a DOCTYPE"):
        labels.read(tmp_path / "one", "test")
    voc(tmp_path / "two")
    (tmp_path / "two/ImageSets/Main/test.txt").write_text("../../secret\n")
    with pytest.raises(UserError, match="would leave"):
        labels.read(tmp_path / "two", "test")
    content = {
        "categories": [],
        "images": [{"id": 1, "file_name": "/etc/passwd", "width": 1, "height": 1}],
        "annotations": [],
    }
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="would leave"):
        labels.read(tmp_path / "c.json", "test")
    with pytest.raises(UserError, match="must be a Pascal VOC folder"):
        labels.read(tmp_path, "test")


# --------------------------------------------------------------------------------------------- Published and shipped


def test_a_file_that_is_no_tflite(tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"x" * 40)
    with pytest.raises(UserError, match="no TensorFlow Lite file"):
        read_tensors(tmp_path / "a.tflite")
    (tmp_path / "a.tflite").write_bytes(b"x" * 4 + b"TFL3" + b"x" * 40)
    with pytest.raises(UserError, match="is damaged"):
        read_tensors(tmp_path / "a.tflite")


def test_published_names():
    assert len(published.CLASSES) == 80
    assert published.ROWS[[0, 14, 79]].tolist() == [1, 16, 90]
    kernel, bias = np.arange(3 * 2 * 91, dtype=float).reshape(1, 1, 3, 182), np.arange(182.0)
    kept, biases = published._real_classes(kernel, bias)
    assert kept.shape == (1, 1, 3, 160)
    assert biases[:2].tolist() == [1, 2]
    assert biases[80] == 92


@pytest.mark.skipif(not saved_models.is_shipped("detector"), reason="no detector is shipped yet")
def test_the_cat_is_a_cat_and_the_cup_a_cup(monkeypatch):
    monkeypatch.undo()
    detector = app.load(batch=1)
    for stem, name in (("chelsea", "cat"), ("coffee", "cup"), ("astronaut", "person")):
        [path] = [path for path in sample_photos() if path.stem == stem]
        [found] = detector.find([load_image(path)], 0.5)
        assert name in {detector.labels[number] for number in found.classes}


# -------------------------------------------------------------------------------------------------------- Commands


def test_it_learns_and_is_evaluated(run, capsys):
    out = text_of(capsys, "evaluate", "--data", run.data, "--model", run.folder)
    assert "44 photos" in out
    assert "mAP50" in out
    assert "photos/s by the network" in out


@pytest.fixture
def small_photos(monkeypatch):
    monkeypatch.setattr(app, "GRIDS", (6, 3, 2, 1, 1, 1, 12))
    monkeypatch.setattr(app, "SIZE", 96)
    app.anchors.cache_clear()
    yield
    app.anchors.cache_clear()


@pytest.mark.slow
def test_it_begins_with_imagenets_weights(run, monkeypatch, tmp_path, small_photos):
    """MobileNetV2's, and then with a detector on it; its statistics and its first block stay as they are."""
    keras = import_keras()
    donor = mobilenet.mobilenet(keras.Input((96, 96, 3)), pretrained=False)
    weights = [0.9 * weight for weight in donor.get_weights()]
    monkeypatch.setattr(mobilenet, "imagenet_weights", lambda: weights)
    words = ["train", "--data", run.data, "--batch", 3, "--epochs", 1]
    assert main(*words, "--init", "imagenet", "--run", tmp_path / "a") == 0
    network = app.load(tmp_path / "a").network
    for name in ("Conv1", "block_1_expand", "block_9_expand_BN"):
        before, after = (each.get_layer(name).get_weights() for each in (donor, network))
        for old, new in zip(before, after, strict=True):
            np.testing.assert_allclose(new, 0.9 * old, rtol=2e-3, atol=1e-6)
    again = app.first_weights(app.Train(init=tmp_path / "a"))
    assert is_mobilenet_v2(again)
    other = app.ssd(5, v2=True)
    take_over(other, again)
    for name, same in (("block_9_expand", True), ("box_6", True), ("class_6", False)):
        kernels = (each.get_layer(name).get_weights()[0] for each in (again, other))
        assert np.array_equal(*kernels) == same


def test_boxes_as_json_and_counts(trained, capsys, tmp_path):
    Image.new("RGB", (300, 200), (110, 110, 110)).save(tmp_path / "a.png")
    found = json.loads(
        text_of(capsys, "a.png", "--model", trained, "--json", "--min-score", 0.001, "--tiles", 2, "-o", "b.png")
    )
    assert (found[0]["width"], found[0]["height"]) == (300, 200)
    for box in found[0]["boxes"]:
        assert box["label"] in ("red", "green")
        assert 0 <= box["box"][0] <= box["box"][2] <= 300
    out = text_of(capsys, "a.png", "--model", trained, "--count", "--classes", "red", "-o", "c.png")
    assert out.startswith("a.png: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--classes rad", "knows no 'rad'. Did you mean red"),
        ("evaluate --data nowhere", "There is no file or folder nowhere"),
        ("train", "--data is missing"),
        ("train --init x.tflite --run r", "cannot read x.tflite"),
    ],
)
def test_wrong_inputs(trained, capsys, words, said):
    more = [] if words.startswith("train") else ["--model", trained]
    assert main(*words.split(), *more) == 2
    assert said in capsys.readouterr().err
