"""A sample of benchmarks/robustness.py: nothing that reads files answers a broken one with a traceback."""

from __future__ import annotations

import json
import zipfile
import zlib

import numpy as np
import pytest

from benchmarks.robustness import Try, through_reader
from tests.apps.command import APPS
from tests.robustness import mutations
from tests.robustness.readers import DEMOS, READERS

SHARES = sum(reader.share for reader in READERS.values())
SAMPLE = {name: 1 + 300 * reader.share // SHARES for name, reader in READERS.items()}


@pytest.mark.parametrize("name", READERS)
def test_a_broken_file_is_refused_or_read(name, tmp_path):
    tally = through_reader(Try(), name, SAMPLE[name], tmp_path)
    assert tally.tracebacks == []
    assert tally.leftovers == []
    assert tally.tried == SAMPLE[name]
    assert tally.refused or name == "Exif of photos", "odd metadata are no reason to fail"
    assert tally.answered


def test_every_app_takes_part():
    assert set(APPS) - set(DEMOS) == {"gallery"}


def test_a_fault_is_counted_and_can_be_made_again(tmp_path, monkeypatch):
    def hasty(file):
        (file.parent / ".half").touch()
        return json.loads(file.read_bytes())

    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setitem(READERS, "texts", READERS["texts"].__class__(READERS["texts"].good, hasty, 1))
    first, second = (through_reader(Try(), "texts", 5, folder) for folder in folders)
    assert len(first.tracebacks) == len(first.leftovers) == first.tried == 5
    assert "JSONDecodeError" in first.tracebacks[0]
    assert [fault[:40] for fault in first.tracebacks] == [fault[:40] for fault in second.tracebacks]


def test_changes_reach_what_is_behind_checksums(tmp_path):
    rng = np.random.default_rng(0)
    (path,) = [path for path in READERS["photos"].good(tmp_path) if path.name == "plain.png"]
    changed = mutations.png(path.read_bytes(), rng)
    assert changed != path.read_bytes()
    at = 8
    while at < len(changed):
        end = at + 8 + int.from_bytes(changed[at : at + 4], "big")
        assert changed[end : end + 4] == zlib.crc32(changed[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", '{"a": 1}')
    (tmp_path / "a.keras").write_bytes(mutations.archive((tmp_path / "a.keras").read_bytes(), rng))
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert archive.testzip() is None
