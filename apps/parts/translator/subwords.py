"""Sentences as ids of subwords, and back: one vocabulary for all languages, learned by SentencePiece.

Kudo & Richardson 2018, arXiv:1808.06226; byte-pair encoding, Sennrich et al. 2016, arXiv:1508.07909. A letter that the
vocabulary has not is written as its bytes, so that no word is unknown.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from shared.console import held_stderr
from shared.data.vocabulary import END, PAD, START, UNKNOWN
from shared.errors import UserError
from shared.files import write_atomically

FILE = "tokens.model"  # beside model.keras
BYTES = 256  # tokens of the byte fallback


class Subwords:
    """What turns sentences into ids.

    Args:
        content: a file that SentencePiece made.
        languages: those that can be written, as de: each has a token that asks for it.
    """

    def __init__(self, content: bytes, languages: Sequence[str]):
        from sentencepiece import SentencePieceProcessor

        self.content = content
        self.languages = tuple(languages)
        self._processor = SentencePieceProcessor(model_proto=content)
        self._language_ids = {language: self._processor.piece_to_id(f"<{language}>") for language in languages}
        self.never_written = (PAD, START, UNKNOWN, *self._language_ids.values())

    @classmethod
    def of(cls, sentences: Iterable[str], tokens: int, languages: Sequence[str]) -> Subwords:
        """Learn `tokens` subwords from sentences in all languages."""
        from sentencepiece import SentencePieceTrainer

        file = io.BytesIO()
        with held_stderr():
            try:
                SentencePieceTrainer.train(
                    sentence_iterator=iter(sentences),
                    model_writer=file,
                    vocab_size=tokens,
                    model_type="bpe",
                    byte_fallback=True,
                    character_coverage=0.9999,
                    pad_id=PAD,
                    bos_id=START,
                    eos_id=END,
                    unk_id=UNKNOWN,
                    control_symbols=[f"<{language}>" for language in languages],
                    hard_vocab_limit=False,
                )
            except RuntimeError as error:
                raise UserError(f"--tokens is {tokens:,}, which does not suit these texts ({error}).") from error
        return cls(file.getvalue(), languages)

    @classmethod
    def load(cls, folder: Path, languages: Sequence[str], digest: str) -> Subwords:
        """Those that `save` wrote; UserError if the file is missing or another one."""
        path = folder / FILE
        if not path.is_file():
            raise UserError(f"{path} is missing: a translator needs it beside its network.")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise UserError(f"{path} is not the vocabulary that this network learned with.")
        return cls(content, languages)

    def save(self, folder: Path) -> None:
        """Write FILE into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        with write_atomically(folder / FILE) as temporary:
            temporary.write_bytes(self.content)

    @property
    def digest(self) -> str:
        """What tells one vocabulary from another."""
        return hashlib.sha256(self.content).hexdigest()

    def __len__(self) -> int:
        return self._processor.get_piece_size()

    def source(self, english: str, language: str) -> list[int]:
        """The ids of a sentence to translate: the language that is asked for, the subwords, END."""
        return [self._language_ids[language], *self._processor.encode(english), END]

    def target(self, other: str) -> list[int]:
        """The ids of a translation: START, the subwords, END."""
        return [START, *self._processor.encode(other), END]

    def text(self, ids: Iterable[int]) -> str:
        """The sentence that ids stand for, up to the first END."""
        return self._processor.decode(list(_before_end(ids)))

    def words(self, ids: Iterable[int]) -> list[tuple[str, list[int]]]:
        """The words before the first END, each with the places of its subwords among the ids."""
        words: list[tuple[str, list[int]]] = []
        for place, n in enumerate(_before_end(ids)):
            if n <= UNKNOWN or n in self._language_ids.values():
                continue
            piece = self._processor.id_to_piece(n)
            if piece.startswith("▁") or not words:
                words.append((piece.lstrip("▁"), [place]))
            else:
                words[-1] = words[-1][0] + piece, [*words[-1][1], place]
        return words


def _before_end(ids: Iterable[int]) -> Iterator[int]:
    for n in map(int, ids):
        if n == END:
            return
        yield n
