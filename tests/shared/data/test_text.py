"""Text from a file: shared/data/text.py."""

import pytest

from shared.data.text import open_text
from tests.shared.data.opened import refused


def test_open_text_reads_a_file(tmp_path):
    path = tmp_path / "play.txt"
    path.write_bytes("\ufeffFirst Citizen:\r\nÉtienne, 東京\rend\n".encode())
    assert open_text(path) == open_text(str(path)) == "First Citizen:\nÉtienne, 東京\nend\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"GIF89a\0\0", "byte 6 is zero"),
        ("Hello".encode("utf-16"), "byte 3 is zero"),
        ("naïve".encode("latin-1"), "byte 2 is wrong"),
        (b"\xef\xbb\xbfabc\xff", "byte 6 is wrong"),
        (b"cut off \xe6\x9d", "byte 8 is wrong"),
    ],
)
def test_open_text_refuses_what_is_not_text(tmp_path, content, says):
    path = tmp_path / "book.txt"
    path.write_bytes(content)
    sentence = refused(open_text, path)
    assert says in sentence
    assert str(path) in sentence


def test_open_text_refuses_a_folder_and_a_missing_file(tmp_path):
    assert "is not a file" in refused(open_text, tmp_path)
    assert "check its name" in refused(open_text, tmp_path / "gone.txt")
    assert "check its name" in refused(open_text, "gone.txt")
