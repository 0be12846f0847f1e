"""Painting in batches, the way through latents, sheets and films, and what is said of copies."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from apps.parts.gan_faces.latents import (
    added,
    compare,
    film_sheets,
    film_tour,
    painter,
    report_copies,
    save_sheet,
    time_painting,
    tour,
)
from shared.training.runtime import import_keras


@pytest.fixture(scope="module")
def colours():
    """A generator of plain colours: sigmoid of the latents."""
    keras = import_keras()
    network = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Activation("sigmoid"),
            keras.layers.Reshape((1, 1, 3)),
            keras.layers.UpSampling2D(4),
        ]
    )
    return network


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_more_than_a_batch_is_painted(colours):
    latents = normal(130, 3)
    pictures = painter(colours)(latents)
    assert (pictures.shape, pictures.dtype) == ((130, 4, 4, 3), np.uint8)
    np.testing.assert_allclose(pictures[:, 2, 1], 255 / (1 + np.exp(-latents)), atol=0.51)
    assert time_painting(colours, 5) > 0


def test_a_tour_goes_through_every_place_at_their_distance():
    latents = normal(3, 128)
    way = tour(latents, 10)
    assert way.shape == (30, 128)
    np.testing.assert_allclose(way[::10], latents, atol=1e-5)
    steps = np.linalg.norm(way - np.roll(way, 1, axis=0), axis=1)
    assert steps.max() < 1.5 * steps.min(), "the last step, back to the first place, too"
    assert np.linalg.norm(way, axis=1).min() > 0.9 * np.linalg.norm(latents, axis=1).min()


def test_a_tour_of_one_place_or_of_none():
    np.testing.assert_allclose(tour(np.ones((2, 4)), 3), 1, atol=1e-5)
    np.testing.assert_array_equal(tour(np.zeros((2, 4)), 3), 0)


def test_faces_add_up_to_one_as_far_out_as_they_are():
    latents = normal(3, 128)
    lengths = np.linalg.norm(latents, axis=1)
    np.testing.assert_allclose(added(latents[:1], [1]), latents[:1])
    total = added(latents, [1, 1, -1])
    assert total.shape == (1, 128)
    assert np.linalg.norm(total) == pytest.approx(lengths.mean())
    direction = latents[0] + latents[1] - latents[2]
    np.testing.assert_allclose(total[0] / np.linalg.norm(total), direction / np.linalg.norm(direction))
    np.testing.assert_array_equal(added(latents[[0, 0]], [1, -1]), 0)


def test_sheets_make_a_film_in_their_order(tmp_path):
    for n, name in enumerate(("000100", "000020")):
        save_sheet(tmp_path / "sheets" / f"{name}.jpg", np.full((6, 4, 4, 3), 255 * n, np.uint8), columns=3)
    path = film_sheets(tmp_path / "sheets", tmp_path / "film.webp")
    with Image.open(path) as film:
        assert (film.n_frames, film.size) == (2, (3 * 6 + 2, 2 * 6 + 2))
        shades = [np.asarray(film.convert("L"))[4, 4]]
        film.seek(1)
        shades.append(np.asarray(film.convert("L"))[4, 4])
    assert shades[0] > 200 > 50 > shades[1]


def test_a_film_of_a_tour_is_enlarged(tmp_path):
    film_tour(tmp_path / "tour.gif", np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8), 3)
    with Image.open(tmp_path / "tour.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (5, (12, 12), 0)


def test_every_two_sets_are_compared(capsys):
    sets = {"these": np.full((4, 2, 2, 3), 7, np.uint8), "those": np.zeros((5, 2, 2, 3), np.uint8)}
    sets["others"] = sets["those"] + np.arange(5, dtype=np.uint8)[:, None, None, None]
    seen = compare(("FD-x", "KD-x"), lambda pictures: pictures[:, 0, 0].astype(np.float32), sets)
    np.testing.assert_array_equal(seen["these"], 7)
    out, err = capsys.readouterr()
    head, *rows = out.splitlines()
    assert head.split() == ["FD-x", "KD-x"]
    assert [row[:52].strip() for row in rows] == [
        "4 these beside 5 those",
        "4 these beside 5 others",
        "5 those beside 5 others",
    ]
    assert float(rows[0][52:].split()[0]) == pytest.approx(3 * 49)
    assert "14 pictures" in err


def test_copies_and_repetitions_are_said(capsys):
    learned, held_out = normal(300, 8), normal(100, 8, seed=1)
    closest = report_copies(learned[50:150], learned, held_out)
    np.testing.assert_array_equal(closest, np.arange(50, 150))
    out = capsys.readouterr().out
    assert "the nearest photo is 0.000 away from a painting" in out
    assert float(re.search(r"([\d.]+) from a photo held out", out)[1]) > 1
    report_copies(np.ones((20, 8)), learned, held_out)
    assert "paintings lie 0.0% as far from each other" in capsys.readouterr().out
