"""The next batch made while the one before is learned from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items in the same order, each made in another thread while the one before is in use.

    What `items` reads and writes, random generators above all, belongs to that thread until the last item is out.
    """
    source, end = iter(items), object()
    with ThreadPoolExecutor(max_workers=1) as thread:
        following = thread.submit(next, source, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, source, end)
            yield item  # type: ignore[misc]  # not the end
