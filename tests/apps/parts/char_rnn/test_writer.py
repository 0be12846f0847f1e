"""The compiled writer agrees with the network called plainly, and chooses by its rules."""

from __future__ import annotations

import numpy as np
import pytest

from apps.parts.char_rnn.writer import BLOCK, Writer, compile_block_losses, joined
from shared.training.runtime import import_keras
from tests.parity_worker import build


@pytest.fixture(scope="module")
def network():
    import_keras()
    from apps.char_rnn import Train, char_model

    return build(char_model(11, Train(layers=2, units=8, embedding=6)))


def log_probabilities(network, ids: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Of every next symbol, (time, symbols), from one plain call."""
    logits = np.asarray(network(ids[None]), "float64")[0] / temperature
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def write(network, prompt, length: int, seed: int = 0, temperature: float = 1.0, chunk: int = 64):
    return joined(Writer(network, chunk).write(np.array(prompt), length, np.random.default_rng(seed), temperature))


def test_a_text_is_scored_as_the_network_scores_it(network):
    ids = np.random.default_rng(1).integers(0, 11, 200).astype("int32")
    given, scores = write(network, ids, 0, chunk=64)
    np.testing.assert_array_equal(given, ids[1:])
    expected = log_probabilities(network, ids[:-1])[np.arange(199), ids[1:]]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_what_it_writes_is_what_chance_falls_on(network):
    prompt, length, seed, heat = [4, 2, 7], 50, 3, 0.7
    ids, scores = write(network, prompt, length, seed, heat, chunk=16)
    text = np.concatenate([prompt[:1], ids]).astype("int32")
    chances = np.random.default_rng(seed).random(64, np.float32)
    cool, plain = log_probabilities(network, text[:-1], heat), log_probabilities(network, text[:-1])
    assert len(ids) == 2 + length
    for t in range(2, len(ids)):
        order = np.argsort(-cool[t])
        sums = np.cumsum(np.exp(cool[t][order]))
        assert ids[t] in {order[np.searchsorted(sums, chances[t] + nudge)] for nudge in (-1e-4, 1e-4)}
        assert scores[t] == pytest.approx(plain[t][ids[t]], abs=1e-4), "its own probability, at temperature 1"


def test_the_first_of_the_prompt_is_not_given_back(network):
    assert len(write(network, [3], 5)[0]) == 5
    assert write(network, [3, 4, 5], 5)[0][:2].tolist() == [4, 5]


def first_choices(network, **rules) -> set[int]:
    """What it writes after a 5, with 300 seeds."""
    writer = Writer(network, chunk=1)
    pieces = (next(writer.write(np.array([5]), 1, np.random.default_rng(seed), **rules)) for seed in range(300))
    return {int(ids[0]) for ids, _ in pieces}


@pytest.mark.parametrize(("rules", "seen"), [({"top_k": 1}, 1), ({"top_k": 3}, 3), ({"top_p": 0.001}, 1), ({}, 11)])
def test_top_k_and_top_p_leave_out_the_unlikely(network, rules, seen):
    first = first_choices(network, temperature=3.0, **rules)
    likely = np.argsort(-log_probabilities(network, np.array([5], "int32"))[0])
    assert first <= set(likely[:seen].tolist())
    assert len(first) == seen if seen < 11 else len(first) > 5


def test_top_p_takes_the_fewest_that_reach_it(network):
    probabilities = np.exp(log_probabilities(network, np.array([5], "int32"))[0])
    likely = np.argsort(-probabilities)
    share = float(probabilities[likely[:3]].sum() - probabilities[likely[2]] / 2)  # within the third
    assert first_choices(network, top_p=share) == set(likely[:3].tolist())


def test_blocks_are_read_from_an_empty_memory(network):
    ids = np.random.default_rng(2).integers(0, 11, 3 * BLOCK + 5).astype("int32")
    starts = np.array([0, 77, 400])
    expected = []
    for start in starts:
        block = ids[start : start + BLOCK + 1]
        expected.append(-log_probabilities(network, block[:-1])[np.arange(BLOCK), block[1:]].mean())
    np.testing.assert_allclose(compile_block_losses(network, batch=2)(ids, starts), expected, rtol=1e-4)
    assert len(compile_block_losses(network)(ids)) == 3, "one after the other"
    assert len(compile_block_losses(network)(ids[:30])) == 1, "all there is of a short text"


@pytest.mark.slow
def test_both_backends_write_the_same(results):
    tensorflow, jax = results("char_rnn_writes")
    for way in ("greedy", "chance", "chunks"):
        assert tensorflow[way]["ids"] == jax[way]["ids"], way
        np.testing.assert_allclose(tensorflow[way]["scores"], jax[way]["scores"], atol=1e-4)
    assert len(tensorflow["greedy"]["ids"]) == 152
