"""What tabs are made of, by itself; tests/apps/test_gallery.py has them in a page."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from shared import saved_models
from shared.drawing.pictures import save_image
from shared.errors import UserError


@pytest.fixture
def tabs():
    """The module, which imports Gradio."""
    return pytest.importorskip("shared.tabs", reason="Gradio is not installed", exc_type=ImportError)


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """saved_models with something in it that looks like a model."""
    monkeypatch.setattr(saved_models, "MODELS", tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / saved_models.MODEL).touch()
    return tmp_path


def test_a_model_is_loaded_once_whoever_asks_and_not_before(models, tabs):
    calls: list[str] = []

    def load(name: str) -> str:
        time.sleep(0.02)
        calls.append(name)
        return name.upper()

    get = tabs.load_once("here", load)
    assert calls == []
    threads = [threading.Thread(target=get, args=("ab"[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(calls) == ["a", "b"]
    assert get("a") == "A"


def test_what_failed_to_load_is_tried_again(models, tabs):
    tries: list[int] = []

    def load() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise UserError("the disk is full.")
        return "loaded"

    get = tabs.load_once("here", load)
    with pytest.raises(UserError):
        get()
    assert get() == get() == "loaded"


def test_a_model_that_is_not_shipped_is_missed_at_once(models, tabs):
    def load() -> None:
        raise UserError("there is no model yet.")

    with pytest.raises(UserError, match="no model yet"):
        tabs.load_once("gone", load)
    assert tabs.shipped("gone", "here") == ["here"]


def test_what_is_typed_has_an_end(tabs):
    assert tabs.checked_text(None, 3) == tabs.checked_text("", 3) == ""
    assert tabs.checked_text("red", 3) == "red"
    with pytest.raises(UserError, match="a text of 4 characters is too long: at most 3 are read"):
        tabs.checked_text("blue", 3)


def test_photos_are_read_small_and_their_names_told_without_the_folder(tmp_path, tabs):
    save_image(tmp_path / "large.png", np.zeros((10, 2 * tabs.MAX_SIDE, 3), np.uint8))
    photo, size = tabs.read_photo(str(tmp_path / "large.png"))
    assert photo.shape == (5, tabs.MAX_SIDE, 3)
    assert size == (10, 2 * tabs.MAX_SIDE)
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    with pytest.raises(UserError, match=r"^notes\.txt is not a photo"):
        tabs.read_photo(str(tmp_path / "notes.txt"))
    with pytest.raises(UserError, match="there is no photo yet"):
        tabs.read_photo(None)
