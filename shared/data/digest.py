"""What tells one set of data from another: a resumed run must find the data that it was begun with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest_of(parts: Iterable[str]) -> str:
    """The first 16 digits of the SHA-256 of some texts, in their order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:16]


def described_file(path: Path) -> str:
    """A file by its name, its folder's name and its size, wherever the data set is; its content is not read."""
    return f"{path.parent.name}/{path.name} {path.stat().st_size}"
