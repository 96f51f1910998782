"""The rows of passwords and of attempts to sign in."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from services.coordinator.access.store import QUERIES, user_from_row
from services.coordinator.access.user import User
from services.runtime.postgres import Pool, connection, transaction

FREE_ATTEMPTS: Final = 5
"""With this many in a row the name is refused for a while."""

FIRST_REFUSAL: Final = timedelta(minutes=1)
LONGEST_REFUSAL: Final = timedelta(minutes=15)
"""Each further failure doubles the time up to this."""


class PasswordStore:
    """Passwords in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin_attempt(self, name: str) -> bool:
        """Count an attempt and return whether its password may be looked at.

        It is counted before, so that many attempts at once get no more guesses than one by one.
        """
        async with transaction(self._pool) as borrowed:
            await borrowed.execute(QUERIES["delete_old_attempts"])
            limits = FREE_ATTEMPTS, FIRST_REFUSAL, LONGEST_REFUSAL
            begun = await borrowed.fetchval(QUERIES["begin_attempt"], name, *limits)
        return begun is not None

    async def forget_attempts(self, name: str) -> None:
        """Begin counting anew."""
        async with connection(self._pool) as borrowed:
            await borrowed.execute(QUERIES["forget_attempts"], name)

    async def user_and_hash(self, name: str) -> tuple[User, str] | None:
        """Return the enabled person of that name and their hash; None without either."""
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["user_and_hash_by_name"], name)
        return None if row is None else (user_from_row(row), row["hash"])

    async def hash_of(self, user_id: str) -> str | None:
        """Return the hash of a person's password; None when they have none."""
        async with connection(self._pool) as borrowed:
            kept: str | None = await borrowed.fetchval(QUERIES["password_hash"], user_id)
        return kept

    async def put(self, user_id: str, fresh: str, before: str | None) -> bool:
        """Set a hash and return whether it was; not when another came after ``before``."""
        async with connection(self._pool) as borrowed:
            put = await borrowed.fetchval(QUERIES["put_password_hash"], user_id, fresh, before)
        return put is not None

    async def note_sign_in(self, user_id: str) -> User | None:
        """Note that an enabled person signed in; None when they are no longer enabled."""
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["sign_in_user"], user_id)
        return None if row is None else user_from_row(row)
