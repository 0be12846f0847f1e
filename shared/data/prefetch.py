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
        self._seconds: list[float] = []
        self._items = _made(iter(items), self._seconds)

    def __iter__(self) -> Iterator[T]:
        return self._items

    def __next__(self) -> T:
        return next(self._items)

    @property
    def made_s(self) -> float:
        """Seconds that it took to make the items so far.

        That is not how long somebody waited for them, which cannot be seen from here where TensorFlow is the reader: it
        fetches some ahead.
        """
        return sum(self._seconds)


def _made(source: Iterator[T], seconds: list[float]) -> Iterator[T]:
    end = object()

    def make() -> T | object:
        began_s = time.perf_counter()
        try:
            return next(source, end)
        finally:
            seconds.append(time.perf_counter() - began_s)

    with ThreadPoolExecutor(max_workers=1) as thread:
        following = thread.submit(make)
        while (item := following.result()) is not end:
            following = thread.submit(make)
            yield item  # type: ignore[misc]  # not the end


def prefetch(items: Iterable[T]) -> Prefetched[T]:
    """`Prefetched`, of these items."""
    return Prefetched(items)
