"""Sequences in one row do not see each other, and a token at a time is the same as all at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shared.layers.transformer import (
    BlockConfig,
    CachedDecoder,
    attention_maps,
    embed,
    packed_rows,
    token_table,
    transformer_block,
)
from shared.training.runtime import import_keras
from tests.parity_worker import build, data

START, LONGEST = 1, 7
CONFIG = BlockConfig(units=8, heads=2, hidden=12)


def tiny_decoder(tokens: int, start: int, longest: int, blocks: int, masked: bool = False) -> Any:
    """[features (batch, cells, 6), ids (batch, time)] -> logits; with a mask of the cells as a third input."""
    from keras import Input, Model, layers

    features, ids = Input((None, 6)), Input((None,), dtype="int32", name="ids")
    memory_mask = [Input((1, None), dtype="bool")] if masked else []
    memory = layers.Dense(8, name="memory")(features)
    mask, positions = packed_rows(ids, start, longest)
    table = token_table(tokens, CONFIG)
    x = embed(ids, positions, table, CONFIG)
    for n in range(blocks):
        x = transformer_block(n, x, mask, CONFIG, memory, *memory_mask)
    return Model([features, ids, *memory_mask], table(layers.LayerNormalization(name="norm")(x), reverse=True))


@pytest.fixture(scope="module")
def decoder():
    import_keras()
    return build(tiny_decoder(11, START, LONGEST, blocks=2))


def rows(*sequences: list[int]) -> np.ndarray:
    return np.array(sequences, np.int32)


def test_the_decoder_is_made_of_keras_own_layers(decoder, tmp_path):
    keras = import_keras()
    assert all(type(layer).__module__.startswith("keras.") for layer in decoder.layers)
    decoder.save(tmp_path / "decoder.keras")
    again = keras.saving.load_model(tmp_path / "decoder.keras", safe_mode=True)
    inputs = [data(2, 5, 6), rows([START, 5, 6, 7], [START, 8, START, 9])]
    np.testing.assert_allclose(np.asarray(again(inputs)), np.asarray(decoder(inputs)), atol=1e-6)


def test_a_token_sees_those_before_it_in_its_own_sequence_and_no_others(decoder):
    features = data(1, 5, 6)

    def logits(*ids: int) -> np.ndarray:
        return np.asarray(decoder([features, rows(list(ids))]))[0]

    alone, packed = logits(START, 5, 6), logits(START, 9, 10, START, 5, 6, 0)
    np.testing.assert_allclose(packed[3:6], alone, atol=1e-5)
    np.testing.assert_allclose(logits(START, 5, 7)[:2], alone[:2], atol=1e-5)
    assert np.abs(logits(START, 7, 6)[2] - alone[2]).max() > 1e-3, "the tokens before count"
    assert np.abs(logits(START, 6, 5)[2] - logits(START, 5, 6)[2]).max() > 1e-3, "and their order"
    other = np.asarray(decoder([features + 1, rows([START, 5, 6])]))[0]
    assert np.abs(other - alone).max() > 1e-3, "and the memory"


def stepwise(decoder: Any, features: np.ndarray, ids: np.ndarray, memory_mask: Any = None) -> np.ndarray:
    """Logits (rows, time, tokens), a token at a time."""
    cached, found = CachedDecoder(decoder), []
    memory_cache, kv_cache = cached.begin(features, len(ids) // len(features), memory_mask)
    for position in range(ids.shape[1]):
        logits, kv_cache = cached.step(memory_cache, kv_cache, ids[:, position], position)
        found.append(np.asarray(logits))
    return np.stack(found, axis=1)


def test_a_token_at_a_time_is_the_same_as_all_at_once(decoder):
    features = data(3, 5, 6)
    ids = np.random.default_rng(1).integers(4, 11, (6, LONGEST)).astype(np.int32)  # two sequences for each input
    ids[:, 0] = START
    expected = np.asarray(decoder([np.repeat(features, 2, axis=0), ids]))
    np.testing.assert_allclose(stepwise(decoder, features, ids), expected, atol=1e-4)


def test_the_memory_may_have_padding():
    import_keras()
    decoder, features, ids = build(tiny_decoder(11, START, LONGEST, 2, masked=True)), data(2, 5, 6), rows([START, 5, 6])
    padded = np.pad(features, ((0, 0), (0, 2), (0, 0)), constant_values=9)
    ids, mask = np.repeat(ids, 2, axis=0), np.repeat(np.arange(7)[None, None] < 5, 2, axis=0)  # (2, 1, 7)
    expected = np.asarray(decoder([features, ids, mask[..., :5]]))
    np.testing.assert_allclose(np.asarray(decoder([padded, ids, mask])), expected, atol=1e-5)
    np.testing.assert_allclose(stepwise(decoder, padded, ids, mask), expected, atol=1e-4)
    assert np.abs(stepwise(decoder, padded, ids) - expected).max() > 1e-3


def test_without_a_memory_a_block_is_an_encoders():
    keras = import_keras()
    x, mask = keras.Input((None, 8)), keras.Input((1, None), dtype="bool")
    encoder = build(keras.Model([x, mask], transformer_block(0, x, mask, CONFIG)))
    tokens, is_token = data(1, 5, 8), np.array([[[True, True, True, False, True]]])

    def first(changed: int) -> np.ndarray:
        """What becomes of the first token when another one changes."""
        others = tokens.copy()
        others[:, changed] = data(8, seed=1)
        return np.asarray(encoder([others, is_token]))[0, 0]

    unchanged = np.asarray(encoder([tokens, is_token]))[0, 0]
    np.testing.assert_allclose(first(changed=3), unchanged, atol=1e-5, err_msg="padding is not seen")
    assert np.abs(first(changed=4) - unchanged).max() > 1e-3, "what comes after is"


def test_attention_is_a_share_of_each_cell(decoder):
    maps = np.asarray(attention_maps(decoder)([data(2, 5, 6), rows([START, 5, 6], [START, 7, 8])]))
    assert maps.shape == (2, 3, 5)
    np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-5)
    assert maps.std() > 1e-3
