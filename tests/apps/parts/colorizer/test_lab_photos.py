"""Photos as packed CIELAB, and the batches that are made of them."""

import numpy as np

from apps.parts.colorizer import lab, lab_photos
from shared.data.datasets import ImageSet


def image_set(*photos: np.ndarray) -> ImageSet:
    return ImageSet((), len(photos), lambda: ((photo, None) for photo in photos))


def photo(seed: int, height: int = 20, width: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_packing_costs_next_to_nothing():
    rgb = photo(0, 50, 50)
    assert np.abs(lab_photos.unpack(lab_photos.pack(rgb)).astype(int) - rgb).mean() < 1.5
    grey = np.full((4, 4, 3), 130, np.uint8)
    np.testing.assert_array_equal(lab_photos.pack(grey)[..., 1:], 128)


def test_grey_photos_are_left_out_and_counted(capsys):
    grey = np.full((30, 20, 3), 99, np.uint8)
    packed = lab_photos.load_packed([image_set(photo(0), grey), image_set(photo(1, 10, 40))], side=16)
    assert (packed.shape, packed.dtype) == ((2, 16, 16, 3), np.uint8)
    assert "2 colour photos; 1 grey ones are left out." in capsys.readouterr().err


def test_pairs_are_lightness_and_smaller_chroma():
    rgb = np.repeat(np.repeat(photo(0, 4, 4), 8, 0), 8, 1)
    L, ab = lab_photos.inputs_and_targets([lab_photos.pack(rgb)] * 3, size=32, stride=4)
    assert (L.shape, ab.shape, L.dtype, ab.dtype) == ((3, 32, 32, 1), (3, 8, 8, 2), np.float32, np.float32)
    np.testing.assert_allclose(L[1, ..., 0], lab.lightness(rgb), atol=0.3)
    np.testing.assert_allclose(ab[:, 0, 0], np.tile([plane[0, 0] for plane in lab.from_rgb(rgb)[1]], (3, 1)), atol=15)


def test_an_epoch_depends_on_the_seed_and_its_number_alone():
    packed = lab_photos.pack(np.stack([photo(n) for n in range(7)]))
    rules = {"batch": 3, "size": 16, "stride": 4, "scale": 0.4, "seed": 1}
    straight = lab_photos.batches(packed, 0, **rules)
    first, second = [next(straight) for _ in range(2)], [next(straight) for _ in range(2)]
    again = lab_photos.batches(packed, 1, **rules)
    for (L, ab), (other_L, other_ab) in zip(second, again, strict=False):
        np.testing.assert_array_equal(L, other_L)
        np.testing.assert_array_equal(ab, other_ab)
    assert (first[0][0] != second[0][0]).any()
    assert first[0][0].shape == (3, 16, 16, 1)
    assert (first[0][0] != next(lab_photos.batches(packed, 0, **rules | {"seed": 2}))[0]).any()
