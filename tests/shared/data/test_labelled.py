"""Photos with the class that their names tell, spread evenly over what there is."""

from __future__ import annotations

import numpy as np
import pytest

from shared.data import labelled
from shared.data.datasets import ImageSet
from shared.data.labelled import labelled_photos, spread
from shared.drawing.pictures import save_image
from shared.errors import UserError


def save(path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(path, np.full((4, 5, 3), level, np.uint8))


def read(source, most: int = 100) -> list[tuple[int, str]]:
    return [(int(photo[0, 0, 0]), wnid) for photo, wnid in labelled_photos(source, most)]


def test_classes_come_from_files_or_their_folders(tmp_path):
    folder = tmp_path / "n09999999_photos"
    save(folder / "n01440764_tench.png", 1)
    save(folder / "n03028079" / "a.png", 2)
    save(folder / "n03028079" / "n01440764_3.png", 3)
    save(folder / "z.png", 4)
    assert read(folder) == [(1, "n01440764"), (2, "n03028079"), (3, "n01440764"), (4, "n09999999")]
    assert read(str(folder / "n03028079")) == [(2, "n03028079"), (3, "n01440764")]


def test_without_a_class(tmp_path):
    save(tmp_path / "n123_dog.png", 1)
    assert read(tmp_path) == [(1, "")]


def test_broken_files_are_skipped_and_named(tmp_path, capsys):
    save(tmp_path / "a.png", 1)
    (tmp_path / "b.png").write_bytes(b"\x89PNG nothing")
    assert read(tmp_path) == [(1, "")]
    assert "b.png" in capsys.readouterr().err


def test_a_few_of_many_are_spread_evenly(tmp_path):
    for n in range(9):
        save(tmp_path / f"{n}.png", n)
    assert [level for level, _ in read(tmp_path, 3)] == [0, 4, 8]
    assert spread(5, 10) == [0, 1, 2, 3, 4]
    assert spread(1000, 2) == [0, 999]
    assert spread(7, 1) == [0]
    for most in (1, 7, 100, 199):
        assert len(spread(250, most)) == most


def test_a_data_set_tells_its_classes(monkeypatch):
    def opened(name, split):
        assert (name, split) == ("imagenette/160px-v2", "validation")
        examples = [(np.full((2, 2, 3), n, np.uint8), n % 2) for n in range(5)]
        return ImageSet(("n01440764", "n03028079"), 5, lambda: iter(examples))

    monkeypatch.setattr(labelled, "open_images", opened)
    assert read("imagenette/160px-v2", 3) == [(0, "n01440764"), (2, "n01440764"), (4, "n01440764")]
    assert read("imagenette/160px-v2")[1] == (1, "n03028079")


def test_what_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="has no photos in it"):
        read(tmp_path)
    with pytest.raises(UserError, match="nowhere"):
        read(tmp_path / "nowhere")
