"""How similar translations are to those of people: BLEU as sacreBLEU and as papers print it, and chrF."""

from __future__ import annotations

from collections.abc import Sequence

LOWER_CASE = "BLEU in lower case, punctuation split off as papers on Multi30k do"
BY_CHARACTERS = ("ja", "ko", "th", "zh")
"""Languages that are compared by characters: most have no spaces between words."""


def bleu(written: Sequence[str], references: Sequence[str], language: str) -> float:
    """sacreBLEU (Post 2018, arXiv:1804.08771) of a whole set: case counts, punctuation is split off."""
    from sacrebleu.metrics import BLEU

    return float(BLEU(tokenize=_tokenizer(language)).corpus_score(list(written), [list(references)]).score)


def summary(written: Sequence[str], references: Sequence[str], language: str) -> str:
    """All scores with sacreBLEU's signatures, which say how each was computed."""
    from sacrebleu.metrics import BLEU, CHRF

    split = _tokenizer(language)
    lower = BLEU(lowercase=True, tokenize="intl" if split == "13a" else split)
    lines = []
    for name, metric in (("BLEU", BLEU(tokenize=split)), (LOWER_CASE, lower), ("chrF", CHRF())):
        score = metric.corpus_score(list(written), [list(references)]).score
        lines.append(f"  {score:6.2f}  {name}  [{metric.get_signature()}]")
    return "\n".join(lines)


def _tokenizer(language: str) -> str:
    return "char" if language in BY_CHARACTERS else "13a"
