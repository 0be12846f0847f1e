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

    Attributes:
        waited_s: seconds that whoever uses the items has waited for one, the first left out.
    """

    def __init__(self, items: Iterable[T]):
        self.waited_s = 0.0
        self._items = self._made(iter(items))

    def __iter__(self) -> Iterator[T]:
        return self._items

    def __next__(self) -> T:
        return next(self._items)

    def _made(self, source: Iterator[T]) -> Iterator[T]:
        end, is_first = object(), True
        with ThreadPoolExecutor(max_workers=1) as thread:
            following = thread.submit(next, source, end)
            while True:
                began_s = time.perf_counter()
                item = following.result()
                self.waited_s += 0.0 if is_first else time.perf_counter() - began_s
                if item is end:
                    return
                is_first, following = False, thread.submit(next, source, end)
                yield item  # type: ignore[misc]  # not the end


def prefetch(items: Iterable[T]) -> Prefetched[T]:
    """`Prefetched`, of these items."""
    return Prefetched(items)
