"""Files as they come from a broken disk, a cut-off download or an unfriendly person: seeded changes of good ones.

`mutated(content, name, rng)` changes the bytes of a file by its kind: any file is cut, overwritten or mixed up; a PNG's
chunks get the right checksums afterwards, a .keras archive is changed inside of its members, and JSON in its values, so
that the change reaches what lies behind the first check.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator

MARKS = (
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\r",
    b"\x1b[2J",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b'"',
)
LETTERS = (
    "\u0e01\u0e34",
    "\u0915\u094d\u0937",
    "\u4e2d\u6587",
    "\U0001f408",
    "e\u0301",
    "\u202e",
    "\ufeff",
    "\t",
    ",",
    "#1",
    "../",
)
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
VALUES: tuple[Any, ...] = (None, True, -1, 0, 2.5, 1e308, 10**30, "", "../../x", "\0", [], {}, [[[]]], "NaN", "x" * 999)


def mutated(content: bytes, name: str, rng: Rng) -> bytes:
    """The content of a file of that name, changed in one to four places."""
    special = SPECIAL.get(name.rsplit(".", 1)[-1].lower())
    for _ in range(rng.integers(1, 5)):
        change = special if special and rng.random() < 0.7 else ANY[rng.integers(len(ANY))]
        content = change(content, rng)
    return content


# ------------------------------------------------------------------------------------------------------- Any file


def _place(content: bytes, rng: Rng) -> tuple[int, int]:
    """A random part: half of them near the head of the file, where its sizes are told."""
    most = len(content) if rng.random() < 0.5 else min(len(content), 64)
    start = int(rng.integers(most + 1))
    return start, start + int(rng.integers(1, max(len(content) // 8, 2)))


def flip(content: bytes, rng: Rng) -> bytes:
    if not content:
        return b"\0"
    start, _ = _place(content[:-1], rng)
    return content[:start] + bytes([content[start] ^ (1 << int(rng.integers(8)))]) + content[start + 1 :]


def cut(content: bytes, rng: Rng) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def cut_a_few(content: bytes, rng: Rng) -> bytes:
    return content[: max(len(content) - int(rng.integers(1, 9)), 0)]


def delete(content: bytes, rng: Rng) -> bytes:
    start, end = _place(content, rng)
    return content[:start] + content[end:]


def repeat(content: bytes, rng: Rng) -> bytes:
    start, end = _place(content, rng)
    return content[:end] + content[start:]


def zero(content: bytes, rng: Rng) -> bytes:
    start, end = _place(content, rng)
    return content[:start] + bytes(len(content[start:end])) + content[end:]


def scramble(content: bytes, rng: Rng) -> bytes:
    start, end = _place(content, rng)
    return content[:start] + rng.bytes(len(content[start:end])) + content[end:]


def number(content: bytes, rng: Rng) -> bytes:
    """An extreme number in the place of one, two or four bytes."""
    start, _ = _place(content, rng)
    size = int(rng.choice((1, 2, 4)))
    value = int(rng.choice(NUMBERS)) & (256**size - 1)
    return content[:start] + value.to_bytes(size, str(rng.choice(("little", "big")))) + content[start + size :]  # type: ignore[arg-type]


def mark(content: bytes, rng: Rng) -> bytes:
    """Bytes that mean something to readers of text."""
    start, _ = _place(content, rng)
    return content[:start] + MARKS[rng.integers(len(MARKS))] + content[start:]


def swap(content: bytes, rng: Rng) -> bytes:
    a, b = sorted(int(n) for n in rng.integers(0, len(content) + 1, 2))
    return content[b:] + content[a:b] + content[:a]


ANY: tuple[Callable[[bytes, Rng], bytes], ...] = (
    flip,
    flip,
    cut,
    cut_a_few,
    delete,
    repeat,
    zero,
    scramble,
    number,
    mark,
    swap,
)


# ---------------------------------------------------------------------------------------------------- Kinds of files


def text(content: bytes, rng: Rng) -> bytes:
    """Letters of other alphabets, lines mixed up, another encoding."""
    choice = rng.integers(4)
    if choice == 0:
        start, _ = _place(content, rng)
        return content[:start] + LETTERS[rng.integers(len(LETTERS))].encode() + content[start:]
    if choice == 1:
        lines = content.splitlines(keepends=True) or [b""]
        return b"".join(lines[n] for n in rng.integers(0, len(lines), len(lines)))
    if choice == 2:
        return content.replace(b"\n", (b"\r\n", b"\r", b"\n\n", b" \n", b"\xe2\x80\xa8")[rng.integers(5)])
    encoding = str(rng.choice(("utf-16", "latin-1", "utf-8-sig", "utf-32", "cp1252")))
    return content.decode("utf-8", "replace").encode(encoding, "replace")


def png(content: bytes, rng: Rng) -> bytes:
    """One byte of a chunk, with a checksum that fits; or a chunk twice, or missing."""
    chunks, at = [], 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        chunks.append(content[at + 4 : at + 8 + size])
        at += 12 + size
    if not chunks:
        return flip(content, rng)
    n = int(rng.integers(len(chunks)))
    kind = rng.integers(6)
    if kind == 0:
        chunks.insert(n, chunks[n])
    elif kind == 1:
        del chunks[n]
    else:
        chunks[n] = chunks[n][:4] + (number if kind == 2 else flip)(chunks[n][4:], rng)
    parts = [len(c[4:]).to_bytes(4, "big") + c + zlib.crc32(c).to_bytes(4, "big") for c in chunks]
    return content[:8] + b"".join(parts)


def json_value(content: bytes, rng: Rng) -> bytes:
    """Another value, or a key less, somewhere in the tree; or so deep a tree that a reader may give up."""
    if rng.random() < 0.02:
        return b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return flip(content, rng)
    places: list[tuple[Any, Any]] = []

    def visit(node: Any) -> None:
        for key, child in list(node.items()) if isinstance(node, dict) else list(enumerate(node)):
            places.append((node, key))
            if isinstance(child, (dict, list)):
                visit(child)

    if not isinstance(tree, (dict, list)):
        return json.dumps(VALUES[rng.integers(len(VALUES))]).encode()
    visit(tree)
    if not places or rng.random() < 0.03:
        return json.dumps(VALUES[rng.integers(len(VALUES))]).encode()
    node, key = places[rng.integers(len(places))]
    if rng.random() < 0.25:
        del node[key]
    else:
        node[key] = VALUES[rng.integers(len(VALUES))]
    return json.dumps(tree).encode()


def archive(content: bytes, rng: Rng) -> bytes:
    """One member of a zip file changed, and packed again with the right checksum; or missing, or under another name."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            members = {name: packed.read(name) for name in packed.namelist()}
    except Exception:  # changed before
        return flip(content, rng)
    names = list(members)
    name = names[rng.integers(len(names))]
    kind = rng.integers(8)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[f"../{name}"] = members.pop(name)
    else:
        members[name] = mutated(members[name], name, rng)
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w", zipfile.ZIP_STORED) as packed:
        for each, value in members.items():
            packed.writestr(each, value)
    return changed.getvalue()


SPECIAL: dict[str, Callable[[bytes, Rng], bytes]] = {
    "txt": text,
    "csv": text,
    "tsv": text,
    "jsonl": text,
    "png": png,
    "json": json_value,
    "keras": archive,
    "npz": archive,
}
"""What else is changed in files with these endings."""
