"""Which files are photos, and all of them read: shared/data/photo_files.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.data.images import load_image
from shared.data.photo_files import image_files, iter_images, load_each, named_files, sample_photos
from shared.errors import UserError
from tests.shared.data.pictures import close, corners

ROOT = Path(__file__).parents[3]


def test_image_files_are_sorted_and_hidden_ones_left_out(tmp_path):
    for name in (
        "b/2.JPEG",
        "b/1.png",
        "a/z.webp",
        "c.gif",
        "notes.txt",
        ".cache/x.png",
        "a/._z.png",
        "__MACOSX/y.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path)]
    assert found == ["a/z.webp", "b/1.png", "b/2.JPEG", "c.gif"]


def test_named_files(tmp_path):
    for name in ("a/2.png", "a/b/1.jpg", "a/notes.txt", "empty/notes.txt", "c.anything"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = named_files([tmp_path / "c.anything", tmp_path / "a", tmp_path / "gone.png"])
    assert [path.name for path in found] == ["c.anything", "2.png", "1.jpg", "gone.png"]
    assert named_files([]) == []
    with pytest.raises(UserError, match="empty has no photos in it"):
        named_files([tmp_path / "a", tmp_path / "empty"])


def test_load_each_goes_on_after_a_broken_file(tmp_path, capsys):
    files = [tmp_path / name for name in ("0.png", "broken.png", "1.png")]
    for path in files[::2]:
        corners().save(path)
    files[1].write_bytes(b"no picture")
    found, photos, broken = load_each(files, longest=24)
    assert (found, broken) == (files[::2], [str(files[1])])
    assert [photo.shape for photo in photos] == [(24, 16, 3)] * 2, "a folder of large photos must fit in memory"
    assert capsys.readouterr().err.count("broken.png is not a photo") == 1
    with pytest.raises(UserError, match="broken.png is not a photo"):
        load_each(files[1:2], longest=24)
    with pytest.raises(UserError, match="not one of these photos can be read"):
        load_each(files[1:2] * 2, longest=24)


def test_iter_images_skips_counts_and_names_broken_files(tmp_path, capsys):
    for i in range(3):
        corners().save(tmp_path / f"{i}.png")
    (tmp_path / "1b.png").write_bytes(b"no picture")
    pairs = list(iter_images(image_files(tmp_path)))
    assert [path.name for path, _ in pairs] == ["0.png", "1.png", "2.png"]
    close(pairs[0][1], corners())
    said = capsys.readouterr().err
    assert "Skipped 1 broken photo (" in said
    assert "1b.png" in said
    assert "of 4 read" in said


def test_iter_images_names_a_few_of_many_and_reports_when_left_early(tmp_path, capsys):
    for i in range(8):
        (tmp_path / f"{i}.png").write_bytes(b"no picture")
    corners().save(tmp_path / "9.png")
    for _ in iter_images(image_files(tmp_path)):
        break
    said = capsys.readouterr().err
    assert "Skipped 8 broken photos" in said
    assert "and 3 more" in said


def test_iter_images_says_nothing_when_all_is_well_and_raises_when_nothing_is(tmp_path, capsys):
    corners().save(tmp_path / "good.png")
    assert len(list(iter_images(image_files(tmp_path)))) == 1
    (tmp_path / "good.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="Not one photo could be read"):
        list(iter_images(image_files(tmp_path)))
    assert capsys.readouterr().err == ""


def test_sample_photos_are_there_and_cost_no_import():
    program = "import sys; from shared.data.photo_files import sample_photos; print(*sample_photos(), sep='\\n'); "
    program += "assert not {'skimage', 'matplotlib'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    names = done.stdout.splitlines()
    assert names == [str(path) for path in sample_photos()]
    assert [load_image(name).shape[2] for name in names] == [3] * 6
