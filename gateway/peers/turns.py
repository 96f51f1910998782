"""A bound on how many exchanges with peers run at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from services.runtime.errors import LimitExceededError

LIMIT: Final = "peer_exchanges"


class Turns:
    """Lets so many exchanges run, and refuses more.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._free = most

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold one while the block runs.

        Raises:
            LimitExceededError: All are held.
        """
        if self._free < 1:
            raise LimitExceededError(LIMIT)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
