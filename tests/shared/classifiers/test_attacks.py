"""The attacks, against what can be worked out on paper for a linear network, and their promises for any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.classifiers import attacks
from shared.training.runtime import import_keras
from tests.parity_worker import build
from tests.shared.classifiers import networks
from tests.shared.classifiers.networks import SHAPE, cross_entropy, photos, sign_of


@pytest.fixture(scope="module")
def curved():
    return networks.curved()


def distance(one, other) -> float:
    return float(np.abs(one.astype(np.float64) - other).max())


# ---------------------------------------------------------------------------------------------------- gradients


def test_no_photos_give_none(curved):
    attacker, none = attacks.Attacker(curved, batch=2), photos(5)[:0]
    assert attacker.logits(none).shape == (0, 4)
    assert attacker.pgd(none, [], 2 / 255).shape == (0, *SHAPE)


def test_any_batch_size_gives_the_same_and_compiles_once(curved):
    x, labels, traced, real = photos(), np.array([0, 1, 2, 3, 0]), [], curved.call
    one_by_one = attacks.Attacker(curved, batch=1)
    expected = one_by_one.pgd(x, labels, 2 / 255), one_by_one.logits(x), one_by_one.gradient(attacks.margin, x, labels)
    attacker = attacks.Attacker(curved, batch=2)
    curved.call = lambda *given, **more: traced.append(1) or real(*given, **more)
    try:
        np.testing.assert_array_equal(attacker.pgd(x, labels, 2 / 255), expected[0])
        attacker.pgd(x[:1], labels[:1], 3 / 255, steps=4, seed=1)
        np.testing.assert_allclose(attacker.gradient(attacks.margin, x, labels), expected[2], atol=1e-6)
        np.testing.assert_allclose(attacker.logits(x), expected[1], atol=1e-5)
        np.testing.assert_allclose(attacker.logits(x.astype(np.float32)), expected[1], atol=1e-5)
    finally:
        del curved.call
    assert len(traced) == 2, "the gradient and the logits"


# ---------------------------------------------------------------------------------------------------------- PGD


def test_a_target_is_reached(curved):
    attacker, x = attacks.Attacker(curved, batch=5), photos()
    target = (attacker.logits(x).argmax(-1) + 1) % 4
    found = attacker.pgd(x, target, 32 / 255, steps=40, targeted=True)
    assert (attacker.logits(found).argmax(-1) == target).mean() >= 0.8
    assert (cross_entropy(attacker, found, target) < cross_entropy(attacker, x, target)).all()


def test_pgd_brings_the_best_other_class_past_the_label():
    keras = import_keras()
    network = build(keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(4)]))
    kernel = network.layers[-1].kernel.numpy().reshape(*SHAPE, 4)
    attacker, x, label = attacks.Attacker(network, batch=1), np.full((1, *SHAPE), 100, np.uint8), 2
    logits = attacker.logits(x)[0]
    best = max(set(range(4)) - {label}, key=lambda n: logits[n])
    expected = x + np.rint(2 * sign_of(kernel[..., best] - kernel[..., label]))
    np.testing.assert_array_equal(attacker.pgd(x, [label], 2 / 255, steps=1, step=2 / 255), expected)
    assert attacks.step_length(2 / 255, 5) == 1 / 255
    assert attacks.step_length(2 / 255, 40) == 0.5 / 255


def test_a_random_start_depends_on_its_seed_alone(curved):
    attacker, x, labels = attacks.Attacker(curved, batch=2), photos(), np.array([0, 1, 2, 3, 0])
    rules = {"epsilon": 8 / 255, "steps": 1, "step": 10 / 255}
    one, again, other = (attacker.pgd(x, labels, seed=seed, **rules) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert len(np.unique(one.astype(int) - x)) > 10, "1.25 epsilon from a random place, cut off at epsilon"


@pytest.fixture(scope="module")
def attackers(curved):
    return attacks.Attacker(curved, batch=3)


@given(
    epsilon=st.floats(1 / 255, 0.5),
    steps=st.integers(1, 4),
    step=st.none() | st.floats(1 / 255, 1.0),
    seed=st.none() | st.integers(0, 9),
    targeted=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_nothing_goes_beyond_epsilon(attackers, epsilon, steps, step, seed, targeted):
    x, labels = photos(3), np.array([0, 1, 2])
    found = attackers.pgd(x, labels, epsilon, steps, step, targeted=targeted, seed=seed)
    assert (found.dtype, found.shape) == (np.uint8, x.shape)
    assert distance(found, x) <= 255 * epsilon + 1e-4
    assert (found != x).any()


# -------------------------------------------------------------------------------------------- whole grey levels


@given(levels=st.floats(0, 260), data=st.data())
@settings(max_examples=100, deadline=None)
def test_rounding_never_leaves_the_ball_and_stays_near(levels, data):
    x = photos(1, seed=data.draw(st.integers(0, 99)))
    shift = np.random.default_rng(data.draw(st.integers(0, 99))).uniform(-levels, levels, x.shape)
    inside = np.clip(x + shift, 0, 255).astype(np.float32)
    found = attacks.rounded(inside, x, levels / 255)
    assert distance(found, x) <= levels + 1e-3
    assert distance(found, inside) <= 1.001, "the next grey level, at worst"


def test_epsilon_in_grey_levels_is_exact():
    for levels in range(1, 256):
        assert attacks.grey_levels(levels / 255) == levels
        assert attacks.grey_levels(float(np.float32(levels / 255))) == levels
        assert attacks.grey_levels((levels - 0.01) / 255) == levels - 1


def test_noise_is_as_large_as_an_attack_and_has_no_direction():
    x = np.full((4, 50, 50, 3), 100, np.uint8)
    noisy = attacks.noise(x, 3 / 255)
    assert set(np.unique(noisy)) == {97, 103}
    assert abs(noisy.mean() - 100) < 0.1
    np.testing.assert_array_equal(noisy, attacks.noise(x, 3 / 255))
    assert (noisy != attacks.noise(x, 3 / 255, seed=1)).any()
    assert set(np.unique(attacks.noise(np.uint8([[[[0, 255, 1]]]]), 3 / 255))) <= {0, 3, 252, 255, 4}


# ------------------------------------------------------------------------------------------ networks without kinks


@pytest.mark.parametrize("top", [None, 6.0])
def test_a_network_without_kinks_answers_the_same(top):
    keras = import_keras()
    relu = keras.layers.ReLU(max_value=top)
    inside = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(8, 3), relu])
    leaky = keras.layers.LeakyReLU(0.1)
    ends = [keras.layers.Rescaling(1 / 20, -6.0), inside, leaky, keras.layers.Flatten(), keras.layers.Dense(4)]
    network = build(keras.Sequential([keras.Input(SHAPE), *ends]))
    smooth, x = attacks.without_kinks(network), photos().astype(np.float32)
    difference = np.abs(np.asarray(smooth(x)) - np.asarray(network(x))).max()
    assert 0 < difference < 0.02, "a little: the ReLU within the inner network has gone"
    assert {id(v) for v in smooth.weights} == {id(v) for v in network.weights}
    labels, rules = [0, 1, 2, 3, 0], {"epsilon": 2 / 255, "steps": 1, "step": 2 / 255}
    found = [attacks.Attacker(net, batch=5).pgd(x, labels, **rules) for net in (network, smooth)]
    assert (found[0] == found[1]).mean() > 0.98


# ------------------------------------------------------------------------------------------------- both backends


@pytest.mark.slow
def test_tensorflow_and_jax_make_the_same_pictures(results):
    one, other = results("adversarial_photos")
    for name, change in one.items():
        assert np.abs(change).max() == 3, name
        assert np.abs(np.subtract(change, other[name])).max() <= 1, name


@pytest.mark.slow
def test_the_shipped_network_is_fooled_by_the_same_picture_on_both_backends(results):
    one, other = results("shipped_network_is_attacked")
    for name, text in one.items():
        change, again = (np.frombuffer(bytes.fromhex(x), np.uint8).astype(int) - 128 for x in (text, other[name]))
        levels = int(name)
        assert np.abs(change).max() == levels, name
        assert (np.abs(change) == levels).mean() > 0.5, "nearly all of what the network sees"
        assert np.abs(change - again).max() <= 1, name
