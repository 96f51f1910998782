"""An answer that many ask for, found once in a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_Answer = TypeVar("_Answer")


class Remembered(Generic[_Answer]):
    """Asks at most once per period, whoever asks; a failure is not remembered.

    Args:
        ask: Finds the answer.
        period_s: How long an answer is good, in seconds.
    """

    def __init__(self, ask: Callable[[], Awaitable[_Answer]], period_s: float) -> None:
        self._ask = ask
        self._period_s = period_s
        self._lock = asyncio.Lock()
        self._known: tuple[float, _Answer] | None = None

    async def get(self) -> _Answer:
        """Return the answer."""
        async with self._lock:
            if self._known is None or time.monotonic() - self._known[0] >= self._period_s:
                self._known = (time.monotonic(), await self._ask())
            return self._known[1]
