"""The next batch is made while the network learns from the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterable[T]) -> Iterator[T]:
    """The same items in the same order, each made in another thread while the one before it is in use.

    What `items` reads and writes, random generators above all, belongs to that thread until the last item is made.
    """
    source, end = iter(items), object()
    with ThreadPoolExecutor(max_workers=1) as thread:
        following = thread.submit(next, source, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, source, end)
            yield item  # type: ignore[misc]  # not the end
