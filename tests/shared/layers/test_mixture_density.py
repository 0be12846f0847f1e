"""The density of the pen's next place: against SciPy's Gaussians, and against what is drawn from it."""

import numpy as np
from keras import ops
from scipy.stats import multivariate_normal

from shared.layers.mixture_density import chance_nats, density, drawn, numbers_of, place_nats

RNG = np.random.default_rng(0)


def numbers(gaussians=3):
    return RNG.normal(size=numbers_of(gaussians)).astype("float32")


def test_nats_are_those_of_a_mixture_of_gaussians():
    found, place = numbers(), np.float32([0.3, -0.8])
    weights, x, y, sx, sy, r, _ = np.split(found, [3, 6, 9, 12, 15, 18])
    weights = np.exp(weights) / np.exp(weights).sum()
    total = 0.0
    for n in range(3):
        sigma = np.exp([sx[n], sy[n]])
        across = 0.95 * np.tanh(r[n]) * sigma[0] * sigma[1]
        covariance = [[sigma[0] ** 2, across], [across, sigma[1] ** 2]]
        total += weights[n] * multivariate_normal([x[n], y[n]], covariance).pdf(place)
    np.testing.assert_allclose(place_nats(density(found[None]), place[None])[0], -np.log(total), rtol=1e-4)


def test_a_far_place_costs_much_and_not_infinitely():
    nats = place_nats(density(numbers()[None]), np.float32([[1e4, 1e4]]))
    assert 1e3 < float(nats[0]) < np.inf


def test_what_is_drawn_has_the_mixtures_mean_and_spread():
    found, count = np.zeros(numbers_of(2), "float32"), 40_000
    found[:2] = np.log([0.25, 0.75])
    found[2:4], found[4:6] = (4, 0), (-2, 2)  # means
    found[10:12] = 2.0  # correlation
    uniform, normal = RNG.random(count).astype("float32"), RNG.standard_normal((count, 2)).astype("float32")
    places = ops.convert_to_numpy(drawn(density(np.tile(found, (count, 1))), uniform, normal))
    np.testing.assert_allclose(places.mean(axis=0), [1, 1], atol=0.05)
    first = places[places[:, 0] - places[:, 1] > 3]  # those about (4, -2)
    np.testing.assert_allclose(np.corrcoef(first.T)[0, 1], 0.95 * np.tanh(2), atol=0.02)
    np.testing.assert_allclose(first.std(axis=0), 1, atol=0.05)


def test_a_bias_narrows_and_prefers_the_likeliest():
    found = numbers()[None]
    plain, neat = density(found), density(found, 2.0)
    np.testing.assert_allclose(neat.log_sigmas, np.maximum(plain.log_sigmas - 2, -4), rtol=1e-5)
    assert float(ops.max(neat.log_weights)) > float(ops.max(plain.log_weights))


def test_chances():
    np.testing.assert_allclose(
        chance_nats(np.float32([0, 2]), np.float32([1, 0])), [np.log(2), np.log1p(np.e**2)], rtol=1e-6
    )
