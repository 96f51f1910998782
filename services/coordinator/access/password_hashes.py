"""Hashes of passwords (Argon2id, RFC 9106): slow on purpose, and never many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from services.runtime.errors import LimitExceededError

TIME_COST: Final = 3
"""Passes over the memory."""

MEMORY_COST_KIB: Final = 64 * 1024
"""Memory of one hash: the second choice of RFC 9106 section 4, in one lane instead of four."""

LANES: Final = 1
_AT_ONCE: Final = 2
_WAITING: Final = 32
_Result = TypeVar("_Result")


class PasswordHashes:
    """Makes and checks hashes; each takes about a tenth of a second of one core.

    Args:
        hasher: Holds the parameters; those of this module unless given.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(
            time_cost=TIME_COST, memory_cost=MEMORY_COST_KIB, parallelism=LANES, type=Type.ID
        )
        # Checked in place of the hash that a name does not have, so that both take as long.
        self._nobodys = self._hasher.hash("nobody")
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def make(self, password: str) -> str:
        """Return a hash with a salt of its own.

        Raises:
            LimitExceededError: Too many passwords wait already.
        """
        return await self._in_turn(self._hasher.hash, password)

    async def fits(self, kept: str | None, password: str) -> bool:
        """Return whether a password is the one that was hashed; never when none was.

        Raises:
            LimitExceededError: Too many passwords wait already.
        """
        fits = await self._in_turn(self._verify, kept or self._nobodys, password)
        return fits and kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Return whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(kept)

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[..., _Result], *values: str) -> _Result:
        if self._waiting >= _WAITING:
            raise LimitExceededError("passwords_waiting")
        self._waiting += 1
        try:
            async with self._slots:
                # Argon2 lets go of the interpreter's lock while it works.
                return await asyncio.to_thread(work, *values)
        finally:
            self._waiting -= 1
