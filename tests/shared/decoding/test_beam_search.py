"""Beam search finds what an exhaustive search finds, ends every caption, and chance falls where it should."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest

from shared.decoding.beam_search import TokenRules, beam_search, sampler
from shared.training.runtime import import_keras
from tests.parity_worker import build, data
from tests.shared.layers.test_transformer import tiny_decoder

TOKENS, LONGEST = 7, 4  # three words, three positions and an end
END, START, FIRST_WORD = 0, 3, 4
RULES = TokenRules(START, END, forbidden=(1, 2, START), repeats=False)


@pytest.fixture(scope="module")
def decoder():
    import_keras()
    return build(tiny_decoder(TOKENS, START, LONGEST, blocks=1), seed=5)


FEATURES = data(3, 5, 6)


def next_scores(decoder, features: np.ndarray, words: tuple[int, ...]) -> np.ndarray:
    """Log-probabilities of what may follow, (words,), by the plain network."""
    return _next_scores(decoder, features.tobytes(), words)


@functools.cache
def _next_scores(decoder, features: bytes, words: tuple[int, ...]) -> np.ndarray:
    ids = np.array([[START, *words]], np.int32)
    cells = np.frombuffer(features, np.float32).reshape(1, *FEATURES.shape[1:])
    logits = np.asarray(decoder([cells, ids]), "float64")[0, -1]
    allowed = np.zeros(TOKENS, bool)
    allowed[FIRST_WORD:] = True
    allowed[END] = bool(words)
    if words:
        allowed[words[-1]] = False
    logits[~allowed] = -np.inf
    return logits - np.log(np.exp(logits).sum())


def total(decoder, features: np.ndarray, words: tuple[int, ...]) -> float:
    """The log-probability of a caption and its end."""
    whole = (*words, END)
    return sum(next_scores(decoder, features, whole[:n])[whole[n]] for n in range(len(whole)))


def every_caption() -> list[tuple[int, ...]]:
    """Without a word twice running."""
    found = [c for n in range(1, LONGEST) for c in itertools.product(range(FIRST_WORD, TOKENS), repeat=n)]
    return [caption for caption in found if all(a != b for a, b in itertools.pairwise(caption))]


def arrays(found: tuple) -> list[np.ndarray]:
    """Of the tensors of a compiled call: ids and their log-probabilities."""
    return [np.asarray(tensor) for tensor in found]


def trimmed(ids: np.ndarray) -> tuple[int, ...]:
    return tuple(int(n) for n in ids[: int(np.argmax(ids == END))])


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_many_beams_find_the_best_of_all_captions(decoder, weight):
    ids, sums = arrays(beam_search(decoder, RULES, beams=20, length_weight=weight)(FEATURES))
    for features, found, scores in zip(FEATURES, ids, sums, strict=True):
        ranks = {c: total(decoder, features, c) / (len(c) + 1) ** weight for c in every_caption()}
        best = max(ranks, key=ranks.get)
        assert trimmed(found[0]) == best
        assert scores[0] / (len(best) + 1) ** weight == pytest.approx(ranks[best], abs=1e-3)
        assert len({trimmed(row) for row in found}) == 20, "all of them are different"


def test_one_beam_takes_the_likeliest_word_each_time(decoder):
    ids, sums = arrays(beam_search(decoder, RULES, beams=1)(FEATURES))
    assert ids.shape == (3, 1, LONGEST)
    for features, found, score in zip(FEATURES, ids[:, 0], sums[:, 0], strict=True):
        words: tuple[int, ...] = ()
        while len(words) < LONGEST - 1 and END not in words:
            words += (int(np.argmax(next_scores(decoder, features, words))),)
        words = words[: words.index(END)] if END in words else words
        assert trimmed(found) == words
        if len(words) < LONGEST - 1:
            assert score == pytest.approx(total(decoder, features, words), abs=1e-3)


def test_every_caption_ends_and_none_is_empty(decoder):
    sample = sampler(decoder, RULES, 40)
    for ids, _ in (arrays(beam_search(decoder, RULES, beams=3)(FEATURES)), arrays(sample(FEATURES, chances(40), 5.0))):
        assert (ids[..., -1] == END).all()
        assert (ids[..., 0] >= FIRST_WORD).all()
        assert not ((ids[..., 1:] == ids[..., :-1]) & (ids[..., 1:] != END)).any(), "no word twice running"
        assert np.isin(ids, [END, *range(FIRST_WORD, TOKENS)]).all(), "no unknown word"


def test_rules_may_allow_a_word_twice_running(decoder):
    ids, _ = arrays(sampler(decoder, replace(RULES, repeats=True), 100)(FEATURES, chances(100), 5.0))
    assert ((ids[..., 1:] == ids[..., :-1]) & (ids[..., 1:] != END)).any()
    assert np.isin(ids, [END, *range(FIRST_WORD, TOKENS)]).all()


def chances(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((3, samples, LONGEST), np.float32)


def test_chance_falls_where_the_probabilities_say(decoder):
    samples, temperature = 2000, 1.5
    ids, sums = arrays(sampler(decoder, RULES, samples)(FEATURES, chances(samples), temperature))
    for features, found, scores in zip(FEATURES, ids, sums, strict=True):
        warm = next_scores(decoder, features, ()) / temperature
        expected = np.exp(warm) / np.exp(warm).sum()
        np.testing.assert_allclose(np.bincount(found[:, 0], minlength=TOKENS) / samples, expected, atol=0.04)
        words = trimmed(found[0])
        assert scores[0] == pytest.approx(total(decoder, features, words), abs=1e-3), "at temperature 1"


def test_a_low_temperature_is_greedy_and_a_seed_is_a_text(decoder):
    greedy, _ = arrays(beam_search(decoder, RULES, beams=1)(FEATURES))
    cold, _ = arrays(sampler(decoder, RULES, 5)(FEATURES, chances(5), 0.001))
    np.testing.assert_array_equal(cold, np.repeat(greedy, 5, axis=1))
    draw = sampler(decoder, RULES, 5)
    one, same, other = (arrays(draw(FEATURES, chances(5, seed), 2.0))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("beams", [1, 3])
def test_what_may_come_once_comes_once(decoder, beams):
    rules = replace(RULES, repeats=True, once=(FIRST_WORD, FIRST_WORD + 1))
    ids, _ = arrays(beam_search(decoder, rules, beams)(FEATURES))
    for row in ids.reshape(-1, LONGEST).tolist():
        assert row.count(FIRST_WORD) <= 1
        assert row.count(FIRST_WORD + 1) <= 1
    free, _ = arrays(beam_search(decoder, replace(RULES, repeats=True), beams)(FEATURES))
    assert any(row.count(FIRST_WORD + n) > 1 for row in free.reshape(-1, LONGEST).tolist() for n in range(3))
