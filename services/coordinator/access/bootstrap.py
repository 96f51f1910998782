"""The first administrator of a new installation."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from services.coordinator.access.issuing import sign_in_token
from services.coordinator.access.store import AccessStore
from services.coordinator.access.user import Role
from services.runtime.signing_key import write_private
from services.runtime.tokens import Issuer

ADMINISTRATOR: Final = "administrator"


async def bootstrap(store: AccessStore, issuer: Issuer, sign_in_file: Path) -> None:
    """Make the first administrator and leave a one-time sign-in token in a file (mode 0600).

    A fresh token is left at each start until the administrator has signed in once, so that a
    crash or an expired token locks nobody out; after that the file is removed.
    """
    await store.create_first_user(ADMINISTRATOR, [Role.ADMINISTRATOR])
    user = await store.user_before_first_sign_in(ADMINISTRATOR)
    if user is None:
        await asyncio.to_thread(sign_in_file.unlink, missing_ok=True)
        return
    content = sign_in_token(issuer, user).token.encode("ascii") + b"\n"
    await asyncio.to_thread(write_private, sign_in_file, content, replace=True)
