"""Text from what `--data` names: a file, or a TensorFlow Datasets (TFDS) name, such as tiny_shakespeare."""

from __future__ import annotations

import os
from pathlib import Path

from shared.data import tfds
from shared.errors import UserError


def open_text(data: str | Path) -> str:
    """The whole text of a UTF-8 file or a TFDS name; line ends become a single newline.

    Raises:
        UserError: missing, a folder, empty, not text, not UTF-8, or TFDS cannot provide it.
    """
    path = Path(data).expanduser()
    if os.path.isfile(path):
        return _decode(path, path.read_bytes())
    if os.path.exists(path):
        raise UserError(f"{path} is not a file; give one plain text file.")
    return _tfds_text(str(data))


def _decode(path: Path, content: bytes) -> str:
    if b"\0" in content:
        at = content.index(b"\0")
        raise UserError(f"{path} is not plain text: byte {at} is zero; give a text file, saved as UTF-8.")
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")  # Windows editors begin UTF-8 with a byte-order mark
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: byte {error.start} is wrong; save it again as UTF-8.") from error
    if not text.strip():
        raise UserError(f"{path} is empty; give a file with some text in it.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _tfds_text(name: str) -> str:
    builder = tfds.prepared(name)
    feature = tfds.needed(builder, "Text", "text")
    splits = [split for split in tfds.SPLITS if split in builder.info.splits] or list(builder.info.splits)
    # One split after the other: read together, TFDS would interleave them and the text would lose its order.
    parts = [[example[feature].decode() for example in tfds.examples(builder, split)] for split in splits]
    return "".join("\n".join(part) for part in parts)
