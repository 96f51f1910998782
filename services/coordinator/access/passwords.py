"""How people sign in by password, and set one."""

from __future__ import annotations

from typing import Final

from services.coordinator.access.errors import SignInRefusedError
from services.coordinator.access.password_hashes import PasswordHashes
from services.coordinator.access.password_store import PasswordStore
from services.coordinator.access.user import User, is_name
from services.runtime.errors import InvalidFieldError, LimitExceededError

SHORTEST_BYTES: Final = 12
LONGEST_BYTES: Final = 1024
_RULE: Final = f"{SHORTEST_BYTES} to {LONGEST_BYTES} bytes"


class Passwords:
    """Checks and sets passwords; whoever guesses is slowed down name by name."""

    def __init__(self, store: PasswordStore, hashes: PasswordHashes) -> None:
        self._store = store
        self._hashes = hashes

    async def sign_in(self, name: str, password: str) -> User:
        """Return the person whose name and password these are.

        Raises:
            SignInRefusedError: They do not fit, whichever of them is wrong.
            LimitExceededError: The name failed too often of late, or too many sign in now.
        """
        if not is_name(name) or _size(password) > LONGEST_BYTES:
            raise SignInRefusedError
        await self._begin(name)
        found = await self._store.user_and_hash(name)
        kept = found[1] if found is not None else None
        if not await self._hashes.fits(kept, password) or found is None:
            raise SignInRefusedError
        await self._store.forget_attempts(name)
        user = await self._store.note_sign_in(found[0].user_id)
        if user is None:
            raise SignInRefusedError
        await self._renew_outdated(user, found[1], password)
        return user

    async def set(self, user: User, present: str, fresh: str) -> None:
        """Give a person another password, or their first.

        Raises:
            InvalidFieldError: It is too short or too long.
            SignInRefusedError: The present one is not the one given.
            LimitExceededError: The present one was wrong too often of late.
        """
        if not SHORTEST_BYTES <= _size(fresh) <= LONGEST_BYTES:
            raise InvalidFieldError("new_password", _RULE)
        kept = await self._store.hash_of(user.user_id)
        if kept is not None:
            await self._require(user, kept, present, fresh)
        if not await self._store.put(user.user_id, await self._hashes.make(fresh), kept):
            # Somebody else has set one in between.
            raise SignInRefusedError

    async def has(self, user_id: str) -> bool:
        """Return whether a person has a password."""
        return await self._store.hash_of(user_id) is not None

    async def _require(self, user: User, kept: str, present: str, fresh: str) -> None:
        await self._begin(user.name)
        # A call that is made again, because its answer was lost, finds the new one already there.
        if not await self._fits(kept, present) and not await self._fits(kept, fresh):
            raise SignInRefusedError
        await self._store.forget_attempts(user.name)

    async def _fits(self, kept: str, password: str) -> bool:
        return _size(password) <= LONGEST_BYTES and await self._hashes.fits(kept, password)

    async def _begin(self, name: str) -> None:
        if not await self._store.begin_attempt(name):
            raise LimitExceededError("sign_in_attempts")

    async def _renew_outdated(self, user: User, kept: str, password: str) -> None:
        if self._hashes.is_outdated(kept):
            await self._store.put(user.user_id, await self._hashes.make(password), kept)


def _size(password: str) -> int:
    return len(password.encode())
