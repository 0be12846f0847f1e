"""The next batch is made while the network learns from the one before."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetched(Generic[T]):
    """The same items in the same order, each made in another thread while the one before it is in use.

    What `items` reads and writes, random generators above all, belongs to that thread until the last item is made.
    """

    def __init__(self, items: Iterable[T]):
        self._waits: list[float] = []
        self._items = _made(iter(items), self._waits)

    def __iter__(self) -> Iterator[T]:
        return self._items

    def __next__(self) -> T:
        return next(self._items)

    @property
    def waited_s(self) -> float:
        """Seconds that whoever uses the items has waited for one, the first left out."""
        return sum(self._waits[1:])


def _made(source: Iterator[T], waits: list[float]) -> Iterator[T]:
    end = object()
    with ThreadPoolExecutor(max_workers=1) as thread:
        following = thread.submit(next, source, end)
        while True:
            began_s = time.perf_counter()
            item = following.result()
            waits.append(time.perf_counter() - began_s)
            if item is end:
                return
            following = thread.submit(next, source, end)
            yield item  # type: ignore[misc]  # not the end


def prefetch(items: Iterable[T]) -> Prefetched[T]:
    """`Prefetched`, of these items."""
    return Prefetched(items)
