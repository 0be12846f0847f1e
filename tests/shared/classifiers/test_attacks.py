"""The attacks, against what can be worked out on paper for a linear network, and their promises for any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.classifiers import attacks
from shared.training.runtime import import_keras
from tests.parity_worker import BACKENDS, build, results

SHAPE = (6, 5, 3)


def photos(count: int = 5, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Random pixels; some of them black and white, which cannot move both ways."""
    pixels = np.random.default_rng(seed).integers(-60, 316, (count, *shape))
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def linear():
    """Two classes, and the weights whose sign is the gradient's: (network, weights of class 1 minus class 0)."""
    keras = import_keras()
    flat = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(2)]
    network = build(keras.Sequential([keras.Input(SHAPE), *flat]))
    kernel = network.layers[-1].kernel.numpy()
    return network, (kernel[:, 1] - kernel[:, 0]).reshape(SHAPE)


@pytest.fixture(scope="module")
def curved():
    """A small convolutional network of four classes."""
    keras = import_keras()
    stack = [keras.layers.Rescaling(1 / 64, -2.0), keras.layers.Conv2D(8, 3, activation="tanh")]
    return build(keras.Sequential([keras.Input(SHAPE), *stack, keras.layers.Flatten(), keras.layers.Dense(4)]))


def sign_of(gradient: np.ndarray) -> np.ndarray:
    """Of one photo's gradient: in proportion where it is below a tenth of its mean."""
    return np.clip(gradient / (0.1 * np.abs(gradient).mean()), -1, 1)


def distance(one, other) -> float:
    return float(np.abs(one.astype(np.float64) - other).max())


# --------------------------------------------------------------------------------------------------------- FGSM


@pytest.mark.parametrize("targeted", [False, True])
def test_fgsm_moves_every_pixel_along_the_gradient(linear, targeted):
    network, towards_one = linear
    x, labels = photos(4), np.array([0, 1, 1, 0])
    found = attacks.Attacker(network, batch=4).fgsm(x, labels, 2 / 255, targeted=targeted)
    away = np.where((labels == 0) != targeted, 1, -1)[:, None, None, None]
    expected = np.clip(x.astype(int) + np.rint(2 * away * sign_of(towards_one)).astype(int), 0, 255)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_confident_answers_still_have_a_gradient(linear):
    network, towards_one = linear
    keras = import_keras()
    sure = keras.Sequential([keras.Input(SHAPE), network, keras.layers.Rescaling(100.0)])
    x = np.full((1, *SHAPE), 128, np.uint8)
    attacker = attacks.Attacker(sure, batch=1)
    logits = attacker.logits(x)[0]
    label = int(logits.argmax())
    assert abs(logits[1] - logits[0]) > 105, "the other class's probability is 0 in float32"
    sign = attacker.sign(x, [label])[0]
    np.testing.assert_allclose(sign, sign_of(towards_one) * (1 if label == 0 else -1), atol=1e-3)


def test_the_sign_is_that_of_cross_entropy(curved):
    from keras import ops

    from shared.training.steps import input_gradient

    def loss(x):
        return ops.sum(ops.sparse_categorical_crossentropy(labels, curved(x), from_logits=True))

    x, labels = photos().astype(np.float32), np.array([0, 1, 2, 3, 0], np.int32)
    expected = np.stack([sign_of(gradient) for gradient in np.asarray(input_gradient(loss, x)[1])])
    np.testing.assert_allclose(attacks.Attacker(curved, batch=5).sign(x, labels), expected, atol=1e-3)
    assert (np.abs(expected) == 1).mean() > 0.85, "nearly everywhere it is the sign"


def test_where_there_is_no_gradient_nothing_moves(linear):
    network, _ = linear
    weights = network.layers[-1].get_weights()
    network.layers[-1].set_weights([np.zeros_like(weights[0]), weights[1]])
    x = photos(2)
    try:
        np.testing.assert_array_equal(attacks.Attacker(network, batch=2).fgsm(x, [0, 1], 2 / 255), x)
    finally:
        network.layers[-1].set_weights(weights)


def test_a_sweep_is_fgsm_for_each_epsilon_from_one_gradient(curved):
    attacker, x, labels = attacks.Attacker(curved, batch=2), photos(), np.array([0, 1, 2, 3, 0])
    epsilons = [1 / 255, 3.5 / 255, 0.05]
    expected = [attacker.fgsm(x, labels, epsilon) for epsilon in epsilons]
    gradients, real = [], attacker._uphill
    attacker._uphill = lambda *batch: gradients.append(1) or real(*batch)
    np.testing.assert_array_equal(list(attacker.sweep(x, labels, epsilons)), expected)
    assert len(gradients) == 3, "batches of 5 photos"


def test_no_photos_give_none(curved):
    attacker, none = attacks.Attacker(curved, batch=2), photos(5)[:0]
    assert attacker.logits(none).shape == (0, 4)
    assert attacker.pgd(none, [], 2 / 255).shape == (0, *SHAPE)


def test_any_batch_size_gives_the_same_and_compiles_once(curved):
    x, labels, traced, real = photos(), np.array([0, 1, 2, 3, 0]), [], curved.call
    one_by_one = attacks.Attacker(curved, batch=1)
    expected = one_by_one.fgsm(x, labels, 2 / 255), one_by_one.logits(x)
    attacker = attacks.Attacker(curved, batch=2)
    curved.call = lambda *given, **more: traced.append(1) or real(*given, **more)
    try:
        np.testing.assert_array_equal(attacker.fgsm(x, labels, 2 / 255), expected[0])
        attacker.pgd(x, labels, 3 / 255, steps=4, seed=1)
        attacker.fgsm(x[:1], labels[:1], 2 / 255)
        np.testing.assert_allclose(attacker.logits(x), expected[1], atol=1e-5)
        np.testing.assert_allclose(attacker.logits(x.astype(np.float32)), expected[1], atol=1e-5)
    finally:
        del curved.call
    assert len(traced) == 3, "the gradients of FGSM and of PGD, and the logits"


# ---------------------------------------------------------------------------------------------------------- PGD


def cross_entropy(attacker, pictures, labels) -> np.ndarray:
    logits = attacker.logits(pictures).astype(np.float64)
    return np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(labels)), labels]


def test_pgd_finds_more_than_fgsm_and_fgsm_more_than_noise(curved):
    attacker, x = attacks.Attacker(curved, batch=20), photos(40, seed=3)
    labels = attacker.logits(x).argmax(-1)
    losses = [
        cross_entropy(attacker, pictures, labels).mean()
        for pictures in (
            x,
            attacks.noise(x, 16 / 255),
            attacker.fgsm(x, labels, 16 / 255),
            attacker.pgd(x, labels, 16 / 255, steps=20),
        )
    ]
    clean, noisy, fgsm, pgd = losses
    assert fgsm > noisy + 0.1
    assert fgsm > clean + 0.1
    assert pgd > fgsm + 0.01


def test_a_target_is_reached(curved):
    attacker, x = attacks.Attacker(curved, batch=5), photos()
    target = (attacker.logits(x).argmax(-1) + 1) % 4
    found = attacker.pgd(x, target, 32 / 255, steps=40, targeted=True)
    assert (attacker.logits(found).argmax(-1) == target).mean() >= 0.8
    assert (cross_entropy(attacker, found, target) < cross_entropy(attacker, x, target)).all()


def test_one_step_of_pgd_as_long_as_epsilon_is_fgsm(curved):
    attacker, x, labels = attacks.Attacker(curved, batch=5), photos(), np.array([0, 1, 2, 3, 0])
    np.testing.assert_array_equal(
        attacker.pgd(x, labels, 4 / 255, steps=1, step=4 / 255, margin=False), attacker.fgsm(x, labels, 4 / 255)
    )


def test_pgd_brings_the_best_other_class_past_the_label():
    keras = import_keras()
    network = build(keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(4)]))
    kernel = network.layers[-1].kernel.numpy().reshape(*SHAPE, 4)
    attacker, x, label = attacks.Attacker(network, batch=1), np.full((1, *SHAPE), 100, np.uint8), 2
    logits = attacker.logits(x)[0]
    best = max(set(range(4)) - {label}, key=lambda n: logits[n])
    expected = x + np.rint(2 * sign_of(kernel[..., best] - kernel[..., label]))
    np.testing.assert_array_equal(attacker.pgd(x, [label], 2 / 255, steps=1, step=2 / 255), expected)
    assert attacks.stride(2 / 255, 5) == 1 / 255
    assert attacks.stride(2 / 255, 40) == 0.5 / 255


def test_a_random_start_depends_on_its_seed_alone(curved):
    attacker, x, labels = attacks.Attacker(curved, batch=2), photos(), np.array([0, 1, 2, 3, 0])
    one, again, other = (attacker.fgsm(x, labels, 8 / 255, seed=seed, uint8=False) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert len(np.unique(np.abs(one - x).round(3))) > 10, "1.25 epsilon from a random place, cut off at epsilon"


@pytest.fixture(scope="module")
def attackers(curved):
    return attacks.Attacker(curved, batch=3)


@given(
    epsilon=st.floats(1 / 255, 0.5),
    steps=st.integers(1, 4),
    stride=st.none() | st.floats(0.001, 1.0),
    seed=st.none() | st.integers(0, 9),
    targeted=st.booleans(),
    uint8=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_nothing_goes_beyond_epsilon(attackers, epsilon, steps, stride, seed, targeted, uint8):
    x, labels = photos(3), np.array([0, 1, 2])
    found = attackers.pgd(x, labels, epsilon, steps, stride, targeted=targeted, seed=seed, uint8=uint8)
    assert found.dtype == (np.uint8 if uint8 else np.float32)
    assert found.shape == x.shape
    assert distance(found, x) <= 255 * epsilon + 1e-4
    assert found.min() >= 0
    assert found.max() <= 255
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


def test_noise_is_as_large_as_fgsm_and_has_no_direction():
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
    found = [attacks.Attacker(net, batch=5).fgsm(x, [0, 1, 2, 3, 0], 2 / 255) for net in (network, smooth)]
    assert (found[0] == found[1]).mean() > 0.98


# ------------------------------------------------------------------------------------------------- both backends


def on_both(scenario: str) -> list[dict]:
    """What a scenario gave on each backend; an error there fails here, with its text."""
    found = [results(backend)[scenario] for backend in BACKENDS]
    for outcome in found:
        assert isinstance(outcome, dict), outcome
    return found


@pytest.mark.slow
def test_tensorflow_and_jax_make_the_same_pictures():
    one, other = on_both("adversarial_photos")
    for name, change in one.items():
        assert np.abs(change).max() == 3, name
        assert np.abs(np.subtract(change, other[name])).max() <= 1, name


@pytest.mark.slow
def test_the_shipped_network_is_fooled_by_the_same_picture_on_both_backends():
    one, other = on_both("shipped_network_is_attacked")
    for name, text in one.items():
        change, again = (np.frombuffer(bytes.fromhex(x), np.uint8).astype(int) - 128 for x in (text, other[name]))
        levels = int(name.split()[-1])
        assert np.abs(change).max() == levels, name
        assert (np.abs(change) == levels).mean() > 0.5, "nearly all of what the network sees"
        assert np.abs(change - again).max() <= 1, name
