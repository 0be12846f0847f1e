"""What a page is made of that can be told without opening one; tests/apps/test_gallery.py opens one."""

from __future__ import annotations

import os

import pytest

from apps.parts.gallery import page
from shared.errors import UserError


def test_the_folder_stays_small(tmp_path):
    for n in range(6):
        path = tmp_path / f"{n}" / "film.webp"
        path.parent.mkdir()
        path.write_bytes(b"x" * 100)
        os.utime(path, (n, n))
    for _ in range(2):
        page.prune(tmp_path, 250, kept={tmp_path / "0" / "film.webp"})
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "4", "5"]


def test_without_gradio_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(page.importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(UserError, match="run `pip install -r requirements-gallery.txt -c constraints.txt`"),
        page.opened(lambda: None),
    ):
        pass
