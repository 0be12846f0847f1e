"""Characters become numbers and come back; strangers have a rule; copies are found."""

from __future__ import annotations

import numpy as np
import pytest

from apps.parts.char_rnn.texts import longest_copy, split, words
from shared.data.alphabet import Alphabet
from shared.errors import UserError


@pytest.mark.parametrize("text", ["hello\nworld", "\u6771\u4eac, \U0001f600!", "a"])
def test_there_and_back(text):
    alphabet = Alphabet.of(text)
    ids = alphabet.encode(text)
    assert ids.dtype == np.int32
    assert (ids.min(), ids.max()) == (0, len(set(text)) - 1)
    assert alphabet.decode(ids) == text
    assert Alphabet(alphabet.symbols).encode(text).tolist() == ids.tolist()


def test_start_is_a_new_line_if_there_is_one():
    assert Alphabet.of("b\na").start == "\n"
    assert Alphabet.of("ba").start == "a"


def test_strangers_are_named():
    with pytest.raises(UserError, match="without 'X', '\u20ac', which this text has"):
        Alphabet.of("abc").encode("aX\u20acc")


@pytest.mark.parametrize(
    ("text", "read", "told"),
    [
        ("Caf\u00e9", "Cafe", "'\u00e9' as 'e'"),
        ("\u2019t\u2014is", "'t-is", "'\u2019' as \"'\", '\u2014' as '-'"),
        ("a\tb\u00a0c", "a b c", "'\\t' as ' ', '\\xa0' as ' '"),
        ("Zoo", "zoo", "'Z' as 'z'"),
        ("x", "X", "'x' as 'X'"),
        ("a[1]", "a", "'[' as nothing, '1' as nothing, ']' as nothing"),
        ("\u2026", "...", "'\u2026' as '...'"),
        ("\udcff", "", "'\\udcff' as nothing"),
        ("plain", "plain", ""),
        ("", "", ""),
    ],
)
def test_a_prompt_is_spelled_in_the_alphabet(text, read, told):
    alphabet = Alphabet.of("CX.'-, abcdefghijklmnopqrstuvwyz")
    assert alphabet.spell(text) == (read, told)
    alphabet.encode(read)


def test_split_is_nanogpts():
    text = "".join(chr(i) for i in range(32, 1047))
    assert split(text) == (text[: int(0.9 * len(text))], text[int(0.9 * len(text)) :])


def test_words():
    assert words("O'er the To-morrow, 3 \u00c9tudes--all 'tis_x") == [
        "o'er", "the", "to-morrow", "\u00e9tudes", "all", "tis", "x"
    ]  # fmt: skip


def test_the_longest_copy():
    source = "it was the best of times, it was the worst of times"
    assert longest_copy("she said it was the best, it was the worst; times", source) == ", it was the worst"
    assert longest_copy("xyz", source) == ""
    assert longest_copy("", source) == ""
    assert longest_copy(source, source) == source
