"""The rows of people and of used sign-in tokens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import asyncpg

from services.coordinator.access.errors import (
    SignInUsedError,
    UserExistsError,
    UserNotFoundError,
)
from services.coordinator.access.user import Role, User
from services.runtime.ids import is_id, new_id
from services.runtime.postgres import Pool, connection, transaction
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.access")


class AccessStore:
    """People in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create_user(self, name: str, roles: Iterable[Role]) -> User:
        """Add a person.

        Raises:
            UserExistsError: The name is taken.
        """
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["insert_user"], new_id(), name, _names(roles))
        if row is None:
            raise UserExistsError
        return user_from_row(row)

    async def create_first_user(self, name: str, roles: Iterable[Role]) -> None:
        """Add a person unless there is one already."""
        async with connection(self._pool) as borrowed:
            await borrowed.execute(QUERIES["insert_first_user"], new_id(), name, _names(roles))

    async def user(self, user_id: str) -> User:
        """Return one person.

        Raises:
            UserNotFoundError: Unknown.
        """
        _check_id(user_id)
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["user_by_id"], user_id)
        if row is None:
            raise UserNotFoundError(user_id)
        return user_from_row(row)

    async def user_before_first_sign_in(self, name: str) -> User | None:
        """Return the enabled person of that name if they have never signed in."""
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["user_before_first_sign_in"], name)
        return user_from_row(row) if row is not None else None

    async def update_user(self, user_id: str, roles: Iterable[Role], *, enabled: bool) -> User:
        """Replace a person's roles and whether they are enabled.

        Raises:
            UserNotFoundError: Unknown.
        """
        _check_id(user_id)
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["update_user"], user_id, _names(roles), enabled)
        if row is None:
            raise UserNotFoundError(user_id)
        return user_from_row(row)

    async def list_users(self, after_name: str, limit: int) -> list[User]:
        """Return people by name, beginning after one name."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(QUERIES["list_users"], after_name, limit)
        return [user_from_row(row) for row in rows]

    async def sign_in(self, user_id: str, token_id: str, expire_time: datetime) -> User:
        """Use up a sign-in token and return its person, both or neither.

        Raises:
            SignInUsedError: The token was used before.
            UserNotFoundError: The person is unknown or disabled; the token stays unused.
        """
        _check_id(user_id)
        async with transaction(self._pool) as borrowed:
            await borrowed.execute(QUERIES["delete_expired_sign_ins"])
            row = await borrowed.fetchrow(QUERIES["sign_in_user"], user_id)
            if row is None:
                raise UserNotFoundError(user_id)
            used = await borrowed.fetchval(
                QUERIES["insert_used_sign_in"], token_id, user_id, expire_time
            )
            if used is None:
                raise SignInUsedError
        return user_from_row(row)


def _check_id(user_id: str) -> None:
    if not is_id(user_id):
        raise UserNotFoundError("")


def _names(roles: Iterable[Role]) -> list[str]:
    return sorted(role.value for role in set(roles))


def user_from_row(row: asyncpg.Record) -> User:
    """Return a person as their row has them."""
    return User(
        user_id=str(row["user_id"]),
        name=row["name"],
        roles=frozenset(Role(name) for name in row["roles"]),
        enabled=row["enabled"],
        create_time=row["create_time"],
    )
