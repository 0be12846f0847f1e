"""The decoder: captions in one row do not see each other, and a word at a time is the same as all at once."""

from __future__ import annotations

import numpy as np
import pytest

from shared.data.vocabulary import START
from shared.layers.transformer import Stepwise, attention_maps, caption_decoder
from shared.training.runtime import import_keras
from tests.parity_worker import build, data

SIZES = {"size": 8, "layers": 2, "heads": 2, "hidden": 12, "longest": 7}


@pytest.fixture(scope="module")
def decoder():
    import_keras()
    return build(caption_decoder(11, 6, **SIZES))


def rows(*captions: list[int]) -> np.ndarray:
    return np.array(captions, np.int32)


def test_the_decoder_is_made_of_keras_own_layers(decoder, tmp_path):
    keras = import_keras()
    assert all(type(layer).__module__.startswith("keras.") for layer in decoder.layers)
    decoder.save(tmp_path / "decoder.keras")
    again = keras.saving.load_model(tmp_path / "decoder.keras", safe_mode=True)
    inputs = [data(2, 5, 6), rows([START, 5, 6, 7], [START, 8, START, 9])]
    np.testing.assert_allclose(np.asarray(again(inputs)), np.asarray(decoder(inputs)), atol=1e-6)


def test_a_word_sees_those_before_it_in_its_own_caption_and_no_others(decoder):
    features = data(1, 5, 6)

    def logits(*ids: int) -> np.ndarray:
        return np.asarray(decoder([features, rows(list(ids))]))[0]

    alone, packed = logits(START, 5, 6), logits(START, 9, 10, START, 5, 6, 0)
    np.testing.assert_allclose(packed[3:6], alone, atol=1e-5)
    np.testing.assert_allclose(logits(START, 5, 7)[:2], alone[:2], atol=1e-5)
    assert np.abs(logits(START, 7, 6)[2] - alone[2]).max() > 1e-3, "the words before count"
    assert np.abs(logits(START, 6, 5)[2] - logits(START, 5, 6)[2]).max() > 1e-3, "and their order"
    other = np.asarray(decoder([features + 1, rows([START, 5, 6])]))[0]
    assert np.abs(other - alone).max() > 1e-3, "and the photo"


def test_a_word_at_a_time_is_the_same_as_all_at_once(decoder):
    features = data(3, 5, 6)
    ids = np.random.default_rng(1).integers(4, 11, (6, 7)).astype(np.int32)  # two captions for each photo
    ids[:, 0] = START
    expected = np.asarray(decoder([np.repeat(features, 2, axis=0), ids]))
    stepwise = Stepwise(decoder)
    photos, kept = stepwise.begin(features, beams=2)
    for at in range(7):
        logits, kept = stepwise.step(photos, kept, ids[:, at], at)
        np.testing.assert_allclose(np.asarray(logits), expected[:, at], atol=1e-4)


def test_attention_is_a_share_of_each_cell(decoder):
    maps = np.asarray(attention_maps(decoder)([data(2, 5, 6), rows([START, 5, 6], [START, 7, 8])]))
    assert maps.shape == (2, 3, 5)
    np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-5)
    assert maps.std() > 1e-3
