"""Hashes that take no time, for tests that are not about their strength."""

from __future__ import annotations

from argon2 import PasswordHasher


def quick_hasher() -> PasswordHasher:
    """Return a hasher with the least that Argon2 allows."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
