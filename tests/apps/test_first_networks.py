"""The first networks: the perceptron rule, many networks at once, the graph, tables of one's own, the commands."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from apps import first_networks as app
from apps.parts.first_networks import graph, statements, tasks
from apps.parts.first_networks.table import read_task
from shared.errors import UserError
from shared.training.runtime import import_keras
from tests.apps.command import Command

COMMAND = Command("first_networks")


def constant(t: int) -> float:
    return 1.0


# ------------------------------------------------------------------------------------------------ The perceptron


def test_the_perceptron_rule_is_rosenblatts():
    task = tasks.Task("two", np.array([[0.0], [2.0]], np.float32), np.array([0, 1], np.int32), ("0", "1"))
    *_, (count, weights) = app.perceptron(task, constant, 50, seeds=3)
    assert count == 50
    assert (app.share_right(task, weights) == 1).all()
    (_, first), *_ = app.perceptron(task, constant, 1, seeds=100)
    # The sum is 0 at first, so the answer is 0: wrong for the second point alone, which is at 1 from the mean.
    assert {tuple(row) for row in first.round(6)} == {(0.0, 0.0), (1.0, 0.0)}


def test_it_settles_where_a_line_divides_and_only_there():
    clean, noisy = tasks.earthquakes(0.0, 1), tasks.earthquakes(0.7, 1)
    shares = [app.share_right(clean, weights) for _, weights in app.perceptron(clean, constant, 3000, 5)]
    assert (shares[-1] == 1).all()
    shares = [app.share_right(noisy, weights) for _, weights in app.perceptron(noisy, constant, 3000, 5)]
    assert np.ptp(shares[-500:], axis=0).min() > 0.02, "it goes on moving"


# ------------------------------------------------------------------------------------------- Many networks at once


def test_a_network_learns_in_company_what_it_learns_alone():
    task = tasks.spirals(0.02, 1)
    learned = [app.learn(task, app.Learn(layers="6,5", updates=12, batch=200, seeds=seeds)) for seeds in (1, 3)]
    np.testing.assert_allclose(learned[0].curve[:, 0], learned[1].curve[:, 0], rtol=1e-4)
    assert np.ptp(learned[1].curve[-1]) > 1e-3, "each has weights of its own"


def test_the_layer_is_keras_dense_for_each(tmp_path):
    keras = import_keras()
    from shared.layers.parallel_dense import ParallelDense

    layer = ParallelDense(4, "tanh", seed=3)
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    found = np.asarray(layer(x))
    for n in range(2):
        dense = keras.layers.Dense(4, "tanh")
        dense.build((None, 3))
        dense.set_weights([np.asarray(layer.kernel)[n], np.asarray(layer.bias)[n, 0]])
        np.testing.assert_allclose(found[n], np.asarray(dense(x[n])), atol=1e-6)
    again = ParallelDense.from_config(layer.get_config())
    np.testing.assert_array_equal(np.asarray(again(x)), found)


def test_a_hidden_layer_folds_xor_and_none_does_not():
    solved = {
        layers: (app.learn(tasks.gate("XOR"), app.Learn(layers=layers, rate=0.1, updates=150)).right() == 1).mean()
        for layers in ("0", "8")
    }
    assert solved["0"] == 0
    assert solved["8"] >= 0.8


def test_dropout_l2_sine_and_other_optimizers_learn():
    for words in ({"dropout": 0.2}, {"l2": 1e-4}, {"activation": "sine"}, {"optimizer": "momentum", "rate": 0.05}):
        learned = app.learn(tasks.earthquakes(0.0, 1), app.Learn(layers="8", updates=150, seeds=2, **words))
        assert learned.curve[-1].mean() < learned.curve[0].mean(), words


@pytest.mark.parametrize(
    ("layers", "weights"), [("125", 501), ("20,20", 501), ("14,14,14", 477), ("15,15,15", 541), ("19,19,19", 837)]
)
def test_the_ladder_has_the_weights_that_the_lecture_says(layers, weights):
    import_keras()
    assert layers in statements.LADDER
    assert app.networks(2, 2, 1, app.Learn(layers=layers)).count_params() == 2 * weights


# --------------------------------------------------------------------------------------------------------- Tasks


def test_the_tasks_are_what_they_say():
    quakes = tasks.earthquakes(0.0, 1)
    side = tasks.LINE[0] + quakes.inputs @ np.array(tasks.LINE[1:])
    assert ((side > 0) == quakes.targets).all()
    bits = tasks.majority(50, 1)
    assert ((bits.inputs.sum(axis=1) >= 6) == bits.targets).all()
    surface = tasks.surface()
    assert surface.inputs.shape == (4096, 2)
    assert abs(surface.targets.mean()) < 1e-5
    assert surface.targets.std() == pytest.approx(1, abs=1e-4)
    always = {"alternate": 1, "bar": 0, "weekend": 1, "hungry": 1, "rain": 0, "reservation": 0}
    assert tasks._waits(always | {"patrons": 1, "wait": 3})
    assert not tasks._waits(always | {"patrons": 0, "wait": 0})
    assert tasks._waits(always | {"patrons": 2, "wait": 2})
    assert not tasks._waits(always | {"patrons": 2, "wait": 1})
    assert tasks._waits(always | {"patrons": 2, "wait": 1, "rain": 1})


def test_the_graph_has_the_gradients_of_autodiff_and_of_finite_differences():
    import_keras()
    from keras import ops

    from shared.training.steps import input_gradient

    at = np.array([1.0, -2.0, 3.0, 1.0], np.float32)
    nodes = graph.forward(*at.tolist())
    graph.backward(nodes)
    ours = [nodes[name].gradient for name in "abcd"]
    _, found = input_gradient(lambda x: (3 * x[0] + x[1]) * (2 * x[2] + x[3]), ops.convert_to_tensor(at))
    np.testing.assert_allclose(ours, np.asarray(found))
    for n, gradient in enumerate(ours):
        step = 1e-4 * np.eye(4)[n]
        slope = (graph.forward(*(at + step))["g"].value - graph.forward(*(at - step))["g"].value) / 2e-4
        assert slope == pytest.approx(gradient, abs=1e-5)


# ----------------------------------------------------------------------------------------------------- One's own data


@pytest.mark.parametrize(
    "text",
    [
        "x,y,kind\n1,2,a\n3,4,b\n",
        "1;2;a\r\n3;4;b\r\n",
        "1\t2\ta\n3\t4\tb\n",
        "1,5;2,5;a\n3,5;4,5;b\n",
        '"1","2","a"\n"3","4","b"\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_table_in_any_common_form(tmp_path, text, encoding):
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    task = read_task(tmp_path / "t.csv")
    assert task.labels == ("a", "b")
    assert task.targets.tolist() == [0, 1]
    np.testing.assert_allclose(task.inputs, [[-1, -1], [1, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"x,y,z\n", "has names of columns and no rows"),
        (b"1,2,a\n1,two,b\n", "row 2 of the data: 'two' must be a number"),
        (b"1,2,a\n3,,b\n", "row 2 of the data: '' must be a number"),
        (b"1,2,a\n3,nan,b\n", "row 2 of the data"),
        (b"1,2,a\n3,inf,b\n", "row 2 of the data"),
        (b"1,2,a\n3,4\n", "3 cells in its first row and 2 in row 2"),
        (b"1,2\n3,4\n", "has 2 columns, and needs three"),
        (b"1,2,a,b\n3,4,c,d\n", "has 4 columns, and needs three"),
        (b"1,2,a\n3,4,\n", "row 2 of the data: the third column is empty"),
        (b"1,2,a\n3,4,a\n", "has one class only, a"),
        (b"1,2,a\n1,4,b\n", "the same number in all rows"),
        (b"1,2,0.5\n3,4,0.5\n", "has the same value, or no number, in all rows"),
        (b"PK\x03\x04\0\0\0\0" * 50, "an Excel file or a zip, and no text"),
        ("".join(f"{n},{n},c{n}\n" for n in range(30)).encode(), "more than 20 classes"),
        (b"1,2,a\n" * 100_001, "has 100,001 rows: give at most 100,000"),
    ],
)
def test_a_broken_table_is_one_sentence(tmp_path, content, said):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=re.escape(said)):
        read_task(tmp_path / "t.csv")


# ------------------------------------------------------------------------------------------------------- Commands


@pytest.mark.slow
def test_the_demo_is_a_sheet(elsewhere, capsys, monkeypatch):
    monkeypatch.setattr(app, "learn", lambda task, config: LEARN(task, dataclasses.replace(config, updates=3, seeds=2)))
    told = COMMAND.text_of(capsys, "--seeds", 2, "-o", "sheet.png")
    assert "surface, --layers 15,15,15: squared error" in told
    with Image.open("sheet.png") as sheet:
        assert sheet.width > 1000


LEARN = app.learn


@pytest.mark.parametrize("task", ["majority", "letters", "rosenbrock", "graph", "own.csv"])
def test_every_task_is_drawn(elsewhere, capsys, tmp_path, task):
    (tmp_path / "own.csv").write_text("".join(f"{n % 7},{n % 5},{n / 3}\n" for n in range(40)), encoding="utf-8")
    words = ["--task", task, "--layers", 3, "--updates", 4, "--seeds", 2, "-o", "result.png"]
    COMMAND.text_of(capsys, *words)
    with Image.open("result.png") as picture:
        assert picture.width > 500


def test_a_film_and_the_perceptron_rule(elsewhere, capsys):
    COMMAND.text_of(capsys, "--task", "gates", "--film", "--updates", 20, "--seeds", 2, "-o", "a.png")
    with Image.open("a.webp") as film:
        assert film.n_frames >= 5
    told = COMMAND.text_of(
        capsys, "--task", "earthquakes", "--optimizer", "perceptron", "--updates", 800, "-o", "b.png"
    )
    assert "100.0% right after 800 examples" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--task spirls", "there is no task spirls. Did you mean spirals?"),
        ("--task nowhere.csv", "nowhere.csv is no file and no task"),
        ("--task gates --layers 0,5", "--layers is 0,5: give up to 20 layers of 1 to 1,000 units"),
        ("--task gates --layers 10000", "--layers is 10000"),
        ("--task gates --layers two", "--layers is two"),
        ("--task majority --film", "--film is for tasks of two inputs, and majority has 11"),
        ("--task letters --optimizer perceptron", "the perceptron rule is for two classes, and letters has 3"),
        ("--task gates -o x.ico", "does not end in a picture format"),
    ],
)
def test_a_wrong_input_is_one_sentence(elsewhere, capsys, words, said):
    assert said in COMMAND.sentence(capsys, *words.split())


def test_evaluate_measures_the_statements(elsewhere, capsys, monkeypatch):
    told = COMMAND.text_of(capsys, "evaluate", "--statement", "overfitting")
    errors = [float(word) for word in re.findall(r": (\d\.\d+) on the 12 points", told)]
    assert errors == sorted(errors, reverse=True), "the higher the degree, the smaller the error on what was learned"
    told = COMMAND.text_of(capsys, "evaluate", "--statement", "gradients", "--seeds", 3)
    assert len(re.findall(r"e[-+]\d\d", told)) == 30
