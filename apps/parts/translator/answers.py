"""Translations of whole texts, as a person and as a program reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from apps.parts.translator.writer import Translation, Translator

UNSURE = 0.4  # a translation whose subwords have a lower probability, on average, is called unsure: see `evaluate`

Found = dict[str, list[Translation]]
"""For each language the translation of a text, and others."""


def translated(
    translator: Translator, lines: Sequence[str], languages: Sequence[str], beams: int, most: int
) -> list[Found]:
    """Translations of lines of text, of which each may have several sentences; at most `most` of each line."""
    found: list[Found] = [{} for _ in lines]
    for language in languages:
        parts = [translator.parts(line, language) for line in lines]
        written = iter(translator.translate([part for line in parts for part in line], language, beams))
        for line, answer in zip(parts, found, strict=True):
            answer[language] = joined([next(written) for _ in line], most)
    return found


def joined(parts: Sequence[Sequence[Translation]], most: int) -> list[Translation]:
    """The best translations of a text whose parts were translated one by one; others of a single part alone."""
    if len(parts) == 1:
        return list(parts[0][:most])
    best = [part[0] for part in parts]
    ids = tuple(n for each in best for n in each.ids)
    return [Translation(" ".join(each.text for each in best), ids, sum(each.log_probability for each in best))]


def as_text(found: Found) -> str:
    """The translations into all languages as lines to read, with the probability of their subwords."""
    lines = []
    for language, (best, *others) in found.items():
        lines.append(f"  {language}  {best.text}  ({best.score:.0%}{', unsure' if best.score < UNSURE else ''})")
        lines += [f"      {other.text}  ({other.score:.0%})" for other in others]
    return "\n".join(lines)


def print_translation(line: str, found: Found, plain: bool) -> None:
    """Print a line and its translations: the translation alone where a program reads them."""
    if plain and len(found) == 1:
        print("".join(each[0].text for each in found.values()), flush=True)
    else:
        print(f"{line.strip()}\n{as_text(found)}", flush=True)


def as_json(line: str, found: Found) -> dict[str, Any]:
    """An answer as a program reads it."""
    answers = {
        language: [{"text": each.text, "score": round(each.score, 4), "unsure": each.score < UNSURE} for each in best]
        for language, best in found.items()
    }
    return {"sentence": line, "translations": answers}


def unsure_share(translations: Sequence[Translation]) -> float:
    """The share of translations that the demo warns of."""
    return float(np.mean([each.score < UNSURE for each in translations]))
