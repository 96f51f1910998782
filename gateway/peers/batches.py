"""Many small results in few messages, without making anybody wait long."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, TypeVar

_T = TypeVar("_T")
MOST: Final = 200
_LONGEST_S: Final = 0.25


async def batches(items: AsyncIterator[_T]) -> AsyncGenerator[list[_T], None]:
    """Yield lists of at most 200 items, none empty, the first at once.

    A list is closed when an item comes a quarter of a second after the last list.
    """
    batch: list[_T] = []
    last = float("-inf")
    async for item in items:
        batch.append(item)
        if len(batch) == MOST or time.monotonic() - last > _LONGEST_S:
            yield batch
            batch, last = [], time.monotonic()
    if batch:
        yield batch
