"""Two languages that are English with other words."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.apps.toy import Toy

WORDS = {
    "de": {"a": "ein", "dog": "Hund", "man": "Mann", "boy": "Junge", "runs": "rennt", "sits": "sitzt", "here": "hier"},
    "fr": {"a": "un", "dog": "chien", "man": "homme", "boy": "garçon", "runs": "court", "sits": "siège", "here": "ici"},
}


def pairs(folder: Path) -> list:
    folder.mkdir()
    who, does, where = ("dog", "man", "boy"), ("runs", "sits"), ("here", "here here", "")
    sentences = [" ".join(words).strip() for words in itertools.product(("a",), who, does, where)] * 12
    for split, chosen in (("train", sentences), ("val", sentences[:6]), ("test", sentences[6:12])):
        lines = {"en": [f"{n} {line}." for n, line in enumerate(chosen)] if split == "train" else chosen}
        for language, words in WORDS.items():
            lines[language] = [
                " ".join(words.get(word.strip("."), word) for word in line.split()) for line in lines["en"]
            ]
        for language, found in lines.items():
            (folder / f"{split}.{language}").write_text("\n".join(found) + "\n", encoding="utf-8")
    return ["--data", folder]


TOY = Toy(
    data=pairs,
    train="--units 16 --hidden 16 --heads 2 --encoder-layers 1 --layers 1 --tokens 340 --batch 400 --epochs 2 "
    "--average 0.2 --learning-rate 0.01 --dropout 0.1",
    demo="dog --attention --beams 2",
    output="attention.png",
)
