"""Short-lived service tokens in files, as a Kubernetes volume would project them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from services.cli.stack.layout import Layout
from services.cli.stack.private_file import write_private
from services.runtime.permissions import SERVICE_PERMISSIONS
from services.runtime.tokens import CallerKind, Issuer

OPERATOR: Final = "operator"
"""Name of the token that commands of the data folder's owner use."""

LIFETIME: Final = timedelta(minutes=15)
RENEWAL: Final = timedelta(minutes=5)
RETRY: Final = timedelta(seconds=10)


class Credentials:
    """Writes the public keys, and a token for each process.

    Args:
        layout: Where key, key set and tokens lie.
        names: Processes that call or are called.
    """

    def __init__(self, layout: Layout, names: Iterable[str]) -> None:
        self._layout = layout
        self._names = (*(name for name in names if name in SERVICE_PERMISSIONS), OPERATOR)
        self._issuer = Issuer.load_or_create(layout.issuer_key)

    @property
    def issuer(self) -> Issuer:
        """The one issuer of this stack's tokens."""
        return self._issuer

    def write(self) -> None:
        """Write the key set and a fresh token for each process."""
        write_private(self._layout.jwks, self._issuer.jwks())
        for name in self._names:
            token = self._issuer.mint(
                subject=name,
                kind=CallerKind.SERVICE,
                permissions=SERVICE_PERMISSIONS[name],
                lifetime=LIFETIME,
            )
            write_private(self._layout.token(name), token)

    async def renew(self, every: timedelta = RENEWAL, retry: timedelta = RETRY) -> None:
        """Write fresh tokens again and again, until cancelled.

        A write that fails, as on a full disk, is tried again soon: old tokens still live longer.
        """
        pause = every
        while True:
            await asyncio.sleep(pause.total_seconds())
            try:
                self.write()
                pause = every
            except OSError:
                pause = retry
