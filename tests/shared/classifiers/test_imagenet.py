"""Probabilities, accuracies and names of classes."""

from __future__ import annotations

import numpy as np
import pytest

from shared.classifiers.imagenet import imagenet_classes
from shared.classifiers.metrics import accuracies, softmax
from shared.errors import UserError
from shared.files import downloading
from shared.training.runtime import import_keras


def test_softmax_of_large_logits():
    shares = softmax(np.array([[1e4, 1e4, -1e4], [0, np.log(3), -np.inf]], np.float32))
    np.testing.assert_allclose(shares, [[0.5, 0.5, 0], [0.25, 0.75, 0]], atol=1e-7)
    assert shares.dtype == np.float64


def test_accuracies_of_known_answers():
    """Ten photos with a confidence of 0.9, of which six are right; ten with 0.5 in one of two, of which five are."""
    logits = np.full((20, 8), -30.0)
    logits[:10, :2], logits[10:, :2] = np.log([0.9, 0.1]), np.log([0.5 + 1e-9, 0.5 - 1e-9])
    truth = np.array([0] * 6 + [1] * 4 + [0] * 5 + [7] * 5)
    found = accuracies(logits, truth)
    assert found["top-1"] == pytest.approx(11 / 20)
    assert found["top-5"] == pytest.approx(15 / 20)
    assert found["confidence"] == pytest.approx(0.7, abs=1e-6)
    assert found["calibration error"] == pytest.approx((10 * 0.3 + 10 * 0.0) / 20, abs=1e-6)


def test_errors_in_different_bins_do_not_cancel():
    """Half the photos are named too boldly, half too timidly: on average all seems well."""
    logits = np.log(np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10))
    truth = np.array([0] * 6 + [1] * 4 + [0] * 9 + [1] * 1)
    found = accuracies(logits, truth)
    assert found["confidence"] == pytest.approx(found["top-1"])
    assert found["calibration error"] == pytest.approx(0.3)


def test_certain_and_right():
    found = accuracies(np.eye(6) * 1000, np.arange(6))
    assert found == {"top-1": 1, "top-5": 1, "confidence": 1, "calibration error": 0}


def test_names_of_imagenets_classes_are_in_order(monkeypatch):
    keras = import_keras()

    def decode(answers, top):
        assert top == 1
        return [[(f"n{row.argmax():08}", f"golf_ball_{row.argmax()}", row.max())] for row in answers]

    monkeypatch.setattr(keras.applications.imagenet_utils, "decode_predictions", decode)
    labels, wnids = imagenet_classes()
    assert (len(labels), labels[574], wnids[574]) == (1000, "golf ball 574", "n00000574")


@pytest.mark.parametrize("error", [Exception("URL fetch failure on x:\nNone -- no route"), ValueError("checksum")])
def test_a_failed_download_is_one_sentence(error):
    with (
        pytest.raises(UserError, match=r"^the weights must be downloaded once.*(no route|checksum).*\.$") as caught,
        downloading("the weights"),
    ):
        raise error
    assert "\n" not in str(caught.value)


def test_an_interrupted_download_is_no_wrong_input():
    with pytest.raises(KeyboardInterrupt), downloading("the weights"):
        raise KeyboardInterrupt
