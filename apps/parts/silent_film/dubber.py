"""A network that dubs a film: from screens, as they come, to kinds of sounds and a soundtrack, in constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.parts.silent_film.sounds import LENGTH, Book
from shared.training.inference import compiled_inference

if TYPE_CHECKING:
    import keras


SUCCESSION = 0.3  # weight of what usually follows what, chosen on validation games
LATE = 12  # frames


class Dubber:
    """A network, the book of sounds that it chooses from, how many frames it looks ahead, and the games it learned."""

    def __init__(self, network: keras.Model, book: Book, ahead: int, games: Sequence[str]) -> None:
        self.network, self.book, self.ahead, self.games = network, book, ahead, games
        self._units, self._length = network.inputs[1].shape[-1], network.inputs[0].shape[1] - 1

        def answer(screens: Any, memory: Any) -> Any:
            return network([screens, memory], training=False)

        self._answer = compiled_inference(answer, network)

    @property
    def knows(self) -> str:
        """What its sounds are worth, in a sentence."""
        return f"This network has learned from {' and '.join(self.games)}: elsewhere its sounds mean nothing."

    def logits(self, screens: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Logits of every kind for each frame, float32 (kinds,).

        Args:
            screens: uint8 (105, 80): the one before the first frame, and then one for each frame.
        """
        memory, late, source = np.zeros((1, self._units), np.float32), self.ahead, iter(screens)
        rows = list(islice(source, 1))
        while True:
            rows += islice(source, self._length + 1 - len(rows))
            missing = self._length + 1 - len(rows)  # where the film ends, its last screen stays
            found, memory = self._answer(np.stack(rows + [rows[-1]] * missing)[None], memory)
            yield from found[0][late : self._length - max(missing - self.ahead, 0)]
            late = max(late - self._length, 0)
            if missing:
                break
            rows = rows[-1:]
        if missing < self.ahead:  # and what is said late is said of it, too
            found, _ = self._answer(np.stack([rows[-1]] * (self._length + 1))[None], memory)
            yield from found[0][: self.ahead - missing]

    def kinds(self, screens: Iterable[np.ndarray]) -> Iterator[int]:
        """The kind of sound of each frame: of the likeliest course, given what usually follows what.

        Viterbi's algorithm, which says LATE frames later what was heard.
        """
        best = np.zeros(0)  # log-likelihood of the best course to each kind, before the first frame none
        came_from: deque[np.ndarray] = deque(maxlen=LATE)

        def back(steps: int) -> int:
            kind = int(np.argmax(best))
            for n in range(1, steps + 1):
                kind = int(came_from[-n][kind])
            return kind

        count = 0
        for row in self.logits(screens):
            likely = row - row.max() - np.log(np.exp(row - row.max()).sum())
            if len(best):
                paths = best[:, None] + SUCCESSION * self.book.follows  # (kinds before, kinds)
                came_from.append(paths.argmax(axis=0))
                likely = likely + paths.max(axis=0)
            best = likely - likely.max()
            count += 1
            if count > LATE:
                yield back(LATE)
        for steps in reversed(range(min(count, LATE))):
            yield back(steps)

    def sounds(self, screens: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The sound of each frame, uint8 (512,)."""
        past: list[int] = []
        for kind in self.kinds(screens):
            yield self.book.soundtrack(np.array([kind]), np.array(past, int))[0]
            past = [*past, kind][-4 * LENGTH :]
