"""The numbers of recoloured photos, against their definitions."""

import numpy as np
import pytest

from apps.parts.colorizer import lab, metrics
from apps.parts.colorizer.metrics import Comparison, Table, Tally, VividnessCurve
from shared.errors import UserError
from shared.training.runtime import import_keras

CENTRES = np.float32([[a, b] for a in range(-80, 100, 20) for b in range(-80, 100, 20)])


def photo(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 20, 3), np.uint8)


def grey(rgb: np.ndarray) -> np.ndarray:
    L = lab.lightness(rgb)
    return lab.to_rgb(L, (0 * L, 0 * L))


def test_colourfulness_is_hasler_and_suesstrunks():
    rgb = photo()
    red, green, blue = rgb[..., 0].astype(float), rgb[..., 1].astype(float), rgb[..., 2].astype(float)
    rg, yb = red - green, 0.5 * (red + green) - blue
    expected = np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert metrics.colourfulness(rgb) == pytest.approx(expected, rel=1e-4)
    assert metrics.colourfulness(np.full((9, 9, 3), 77, np.uint8)) == 0


def test_psnr_and_ssim():
    rgb = photo() // 2
    assert metrics.psnr(rgb, rgb + 5) == pytest.approx(20 * np.log10(255 / 5), rel=1e-6)
    assert metrics.psnr(rgb, rgb) == np.inf
    assert metrics.ssim(rgb, rgb) == 1
    assert metrics.ssim(rgb, photo(1)) < 0.3
    assert np.isnan(metrics.ssim(rgb[:9], rgb[:9])), "too small for its window"


def test_auc_is_the_mean_share_of_pixels_within_a_distance():
    tally, originals, guesses = Tally(CENTRES), [photo(1), photo(2)], [grey(photo(1)), photo(2)]
    for original, guess in zip(originals, guesses, strict=True):
        tally.add(original, guess)
    ab, found = (np.stack(lab.from_rgb(np.stack(photos))[1], -1) for photos in (originals, guesses))
    distance = np.hypot(*np.moveaxis(ab - found, -1, 0))
    expected = [(distance <= threshold).mean() for threshold in range(151)]
    expected[-1] = 1  # what is farther counts as 150
    assert tally.auc(rebalanced=False) == pytest.approx(100 * np.mean(expected), abs=0.01)


def test_rebalanced_auc_counts_rare_colours_as_much():
    original = np.full((12, 12, 3), 128, np.uint8)
    original[0, :4] = 200, 40, 40
    tallies = [Tally(CENTRES), Tally(CENTRES)]
    red = original.copy()
    red[:] = 200, 40, 40
    for tally, guess in zip(tallies, (grey(original), red), strict=True):
        tally.add(original, guess)
    raw, fair = ([tally.auc(rebalanced) for tally in tallies] for rebalanced in (False, True))
    assert raw[0] > raw[1] + 30
    assert fair[0] == pytest.approx(fair[1], abs=3), "one bin right and one wrong, either way"


def test_nearest_bin():
    ab = np.random.default_rng(0).uniform(-90, 90, (7, 5, 2))
    expected = ((ab[:, :, None] - CENTRES) ** 2).sum(-1).argmin(-1)
    np.testing.assert_array_equal(metrics.nearest(CENTRES, ab), expected)


def test_smoothing_keeps_a_distribution_and_its_place():
    histogram = np.zeros(len(CENTRES))
    histogram[40] = 1
    smoothed = metrics.smoothed(CENTRES, histogram, sigma=10.0)
    assert smoothed.sum() == pytest.approx(1, abs=0.01)
    assert smoothed.argmax() == 40
    assert smoothed[41] == pytest.approx(smoothed[40] * np.exp(-2), rel=0.01)


def test_curve_reads_between_its_points():
    curve, original = VividnessCurve(), photo()
    L, (a, b) = lab.from_rgb(original)
    curve.add(original, {gain: lab.to_rgb(L, (a * gain, b * gain)) for gain in (0.0, 0.4, 0.8)})
    levels, shares = curve.means()
    assert shares[0] < 3
    assert list(shares) == sorted(shares)
    assert list(levels) == sorted(levels)
    assert curve.psnr_at(shares[1]) == pytest.approx(levels[1])
    assert levels[1] < curve.psnr_at((shares[1] + shares[2]) / 2) < levels[2]
    assert curve.psnr_at(shares[2] + 1) is None


def test_table_without_a_classifier():
    table = Table(CENTRES)
    for n in range(3):
        table.add(photo(n), {"grey": grey(photo(n))})
    lines = str(table).splitlines()
    assert lines[0].split()[:2] == ["3", "photos"]
    assert [line.split()[0] for line in lines[1:]] == ["grey", "original"]
    assert float(lines[2].split()[-1]) == 100


def test_comparison_measures_features_and_gives_answers(tmp_path):
    keras = import_keras()
    keras.utils.set_random_seed(1)
    pixels = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(keras.layers.Rescaling(1 / 255)(pixels))
    y = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    comparison = Comparison(keras.Model(pixels, y), ["n1", "n2", "n3"])
    original = photo()[:, 2:18]
    distances, answers = comparison(original, [grey(original), original])
    assert distances.shape == (2,)
    assert distances[0] > 0.001
    assert distances[1] == pytest.approx(0, abs=1e-6)
    assert answers.shape == (3,)
    assert answers[1] == answers[2]
    features = keras.Model(pixels, x)(np.stack([grey(original), original]).astype("float32"))
    unit = np.asarray(features) / (np.linalg.norm(np.asarray(features), axis=-1, keepdims=True) + 1e-9)
    expected = np.square(unit[0] - unit[1]).sum(-1).mean()
    assert distances[0] == pytest.approx(expected, rel=1e-3)
    flat = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(UserError, match="has no layers with features"):
        Comparison(flat, ["n1", "n2", "n3"])
