"""Sheets of images and the films of them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from apps.parts.gan_faces.sheets import film_sheets, save_animation, save_nearest, save_sheet


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


def test_an_animation_is_enlarged(tmp_path):
    save_animation(tmp_path / "faces.gif", np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8), 3)
    with Image.open(tmp_path / "faces.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (5, (12, 12), 0)


def test_generated_images_stand_beside_their_nearest_photos(tmp_path):
    photos = np.uint8([0, 100, 200])[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    save_nearest(tmp_path / "nearest.png", photos[[1, 2]] + np.uint8(9), photos, np.array([2, 0]))
    with Image.open(tmp_path / "nearest.png") as sheet:
        shades = np.asarray(sheet)[4, 4::6, 0]
    assert shades.tolist() == [109, 200, 100, 209, 0, 200], "each with the one given and the one nearest by pixels"
