"""What a page is made of that can be told without opening one; tests/apps/test_gallery.py opens one."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from apps.parts.gallery import page
from shared import saved_models
from shared.drawing.pictures import save_image
from shared.errors import UserError


@pytest.fixture
def box(tmp_path, monkeypatch) -> Path:
    """saved_models with something in it that looks like a model."""
    monkeypatch.setattr(saved_models, "MODELS", tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / saved_models.MODEL).touch()
    return tmp_path


def test_a_model_is_loaded_once_whoever_asks_and_not_before(box):
    calls: list[str] = []

    def load(name: str) -> str:
        time.sleep(0.02)
        calls.append(name)
        return name.upper()

    get = page.once("here", load)
    assert calls == []
    threads = [threading.Thread(target=get, args=("ab"[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(calls) == ["a", "b"]
    assert get("a") == "A"


def test_what_failed_to_load_is_tried_again(box):
    tries: list[int] = []

    def load() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise UserError("the disk is full.")
        return "loaded"

    get = page.once("here", load)
    with pytest.raises(UserError):
        get()
    assert get() == get() == "loaded"


def test_a_model_that_is_not_in_the_box_is_missed_at_once(box):
    def load() -> None:
        raise UserError("there is no model in the box yet.")

    with pytest.raises(UserError, match="in the box yet"):
        page.once("gone", load)
    assert page.boxed("gone", "here") == ["here"]


def test_what_is_typed_has_an_end():
    assert page.typed(None, 3) == page.typed("", 3) == ""
    assert page.typed("red", 3) == "red"
    with pytest.raises(UserError, match="a text of 4 characters is too long: at most 3 are read"):
        page.typed("blue", 3)


def test_the_folder_stays_small(tmp_path):
    for n in range(6):
        path = tmp_path / f"{n}" / "film.webp"
        path.parent.mkdir()
        path.write_bytes(b"x" * 100)
        os.utime(path, (n, n))
    for _ in range(2):
        page.prune(tmp_path, 250, kept={tmp_path / "0" / "film.webp"})
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "4", "5"]


def test_photos_are_read_small_and_their_names_told_without_the_folder(tmp_path):
    save_image(tmp_path / "large.png", np.zeros((10, 2 * page.SIDE, 3), np.uint8))
    photo, size = page.read(str(tmp_path / "large.png"))
    assert photo.shape == (5, page.SIDE, 3)
    assert size == (10, 2 * page.SIDE)
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    with pytest.raises(UserError, match=r"^notes\.txt is not a picture"):
        page.read(str(tmp_path / "notes.txt"))
    with pytest.raises(UserError, match="there is no photo yet"):
        page.read(None)


def test_without_gradio_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(page.importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(UserError, match="run `pip install -r requirements-gallery.txt -c constraints.txt`"),
        page.opened(lambda: None),
    ):
        pass
