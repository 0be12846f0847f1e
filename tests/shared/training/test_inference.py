"""Inference in batches of one size gives the answers that one large batch would, for any number of rows."""

from __future__ import annotations

import numpy as np
import pytest

from shared.training.inference import compiled_inference, in_batches
from shared.training.runtime import import_keras
from tests.parity_worker import build


@pytest.fixture(scope="module")
def network():
    keras = import_keras()
    return build(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8])
def test_any_number_of_rows(network, count):
    sizes = []

    def answers(rows, others):
        sizes.append(rows.shape[0])
        logits = network(rows) + others
        return {"logits": logits, "both": (logits, others)}

    rng = np.random.default_rng(count)
    rows, others = rng.normal(size=(2, count, 3)).astype("float32")
    others = others[:, :1]
    found = compiled_inference(answers, network, batch=4)(rows, others)
    kernel, bias = network.get_weights()
    np.testing.assert_allclose(found["logits"], rows @ kernel + bias + others, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["both"][0], found["logits"])
    np.testing.assert_array_equal(found["both"][1], others)
    assert isinstance(found["logits"], np.ndarray)
    assert found["logits"].shape == (count, 2)
    assert sizes == [4], "compiled once"


def test_without_a_size_all_rows_go_at_once(network):
    infer = compiled_inference(network, network)
    for count in (0, 2, 5):
        assert infer(np.ones((count, 3), "float32")).shape == (count, 2)


def test_the_weights_are_those_of_the_moment(network):
    infer, rows, weights = (
        compiled_inference(network, network, batch=2),
        np.ones((3, 3), "float32"),
        network.get_weights(),
    )
    before = infer(rows)
    network.set_weights([2 * weight for weight in weights])
    np.testing.assert_allclose(infer(rows), 2 * before, rtol=1e-5)
    network.set_weights(weights)


def test_batches_are_full_ones_and_of_the_arrays_own_type():
    import_keras()
    seen = []

    def doubled(rows):
        seen.append((len(rows), rows.dtype))
        return rows * 2

    rows = np.arange(10, dtype="uint8")[:, None]
    np.testing.assert_array_equal(in_batches(doubled, 4, rows), rows * 2)
    assert in_batches(doubled, 4, rows[:0]).shape == (0, 1)
    assert seen == [(4, np.uint8)] * 4
