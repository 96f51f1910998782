"""The rows of peers, their sealed credentials and the outcome of their last tests."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final, cast

import asyncpg

from services.coordinator.peers.errors import PeerExistsError
from services.coordinator.peers.peer import Credentials, Peer, PeerSpec, PeerTest
from services.coordinator.peers.rows import peer_from_row, spec_values, test_from_row
from services.coordinator.peers.vault import SealBrokenError, Vault
from services.runtime import logs
from services.runtime.errors import DependencyUnavailableError, PeerNotFoundError
from services.runtime.ids import is_id, new_id
from services.runtime.postgres import Connection, Pool, connection, transaction
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.peers")
NOT_OPENED: Final = "peers.credentials_not_opened"
_TAKEN: Final = {"peer_name": "spec.name", "peer_address": "spec.dimse"}


class PeerStore:
    """Peers in PostgreSQL.

    Args:
        pool: The database.
        vault: Seals credentials before they go there.
    """

    def __init__(self, pool: Pool, vault: Vault) -> None:
        self._pool = pool
        self._vault = vault

    async def create(self, spec: PeerSpec, credentials: Credentials) -> Peer:
        """Register a peer.

        Raises:
            PeerExistsError: Its name, or its AE title and address, is taken.
        """
        peer_id = new_id()
        values = spec_values(spec), self._secrets(credentials, peer_id)
        with _taken():
            async with connection(self._pool) as borrowed:
                row = await borrowed.fetchrow(
                    QUERIES["insert_peer"], peer_id, *values[0], *values[1]
                )
        return peer_from_row(cast("asyncpg.Record", row), ())

    async def update(self, peer_id: str, spec: PeerSpec, credentials: Credentials | None) -> Peer:
        """Replace what is registered of a peer; credentials stay when None is given.

        Raises:
            PeerNotFoundError: Unknown.
            PeerExistsError: Another has the name, or the AE title and address.
        """
        _check_id(peer_id)
        secrets = self._secrets(credentials or Credentials(), peer_id)
        values = (peer_id, *spec_values(spec), *secrets, credentials is not None)
        with _taken():
            async with transaction(self._pool) as borrowed:
                row = await borrowed.fetchrow(QUERIES["update_peer"], *values)
                if row is None:
                    raise PeerNotFoundError(peer_id)
                return (await _with_tests(borrowed, [row]))[0]

    async def delete(self, peer_id: str) -> None:
        """Forget a peer; an unknown one is forgotten already."""
        if is_id(peer_id):
            async with connection(self._pool) as borrowed:
                await borrowed.execute(QUERIES["delete_peer"], peer_id)

    async def peers(self) -> list[Peer]:
        """Return every peer by name."""
        async with connection(self._pool) as borrowed:
            return await _with_tests(borrowed, await borrowed.fetch(QUERIES["list_peers"]))

    async def peer(self, key: str, value: str) -> Peer:
        """Return one peer.

        Args:
            key: "peer_id", "name" or "ae_title".
            value: What it must be.

        Raises:
            PeerNotFoundError: Unknown, or more than one is called so.
        """
        async with connection(self._pool) as borrowed:
            row = await _row(borrowed, key, value)
            return (await _with_tests(borrowed, [row]))[0]

    async def resolve(self, key: str, value: str) -> tuple[Peer, Credentials]:
        """Return one peer and what we show it; see `peer`.

        Raises:
            PeerNotFoundError: Unknown, or more than one is called so.
            DependencyUnavailableError: The key that opens its credentials is not there.
        """
        async with connection(self._pool) as borrowed:
            row = await _row(borrowed, key, value)
        peer = peer_from_row(row, ())
        return peer, self._credentials(row["credentials"], peer.peer_id)

    async def record_test(self, peer_id: str, test: PeerTest) -> None:
        """Keep an outcome unless a later one is kept.

        Raises:
            PeerNotFoundError: Unknown.
        """
        _check_id(peer_id)
        values = peer_id, test.kind, test.succeeded, test.time, test.text, test.duration_ms
        async with connection(self._pool) as borrowed:
            if await borrowed.fetchval(QUERIES["record_test"], *values) is None:
                raise PeerNotFoundError(peer_id)

    def _secrets(self, given: Credentials, peer_id: str) -> tuple[bytes | None, bool, bool]:
        if given == Credentials():
            return None, False, False
        plain = json.dumps(asdict(given)).encode()
        return self._vault.seal(plain, peer_id), given.has_secret, given.has_certificate

    def _credentials(self, sealed: bytes | None, peer_id: str) -> Credentials:
        if sealed is None:
            return Credentials()
        try:
            return Credentials(**json.loads(self._vault.unseal(sealed, peer_id)))
        except SealBrokenError:
            logs.get_logger().error(NOT_OPENED)
            raise DependencyUnavailableError("peers-key") from None


async def _row(borrowed: Connection, key: str, value: str) -> asyncpg.Record:
    if key == "peer_id":
        _check_id(value)
        rows = await borrowed.fetch(QUERIES["peer_by_id"], value)
    elif key == "name":
        rows = await borrowed.fetch(QUERIES["peer_by_name"], value)
    else:
        rows = await borrowed.fetch(QUERIES["peers_by_ae_title"], value)
    if len(rows) != 1:
        raise PeerNotFoundError(value)
    return rows[0]


async def _with_tests(borrowed: Connection, rows: Sequence[asyncpg.Record]) -> list[Peer]:
    tests: defaultdict[Any, list[PeerTest]] = defaultdict(list)
    for row in await borrowed.fetch(QUERIES["list_tests"], [row["peer_id"] for row in rows]):
        tests[row["peer_id"]].append(test_from_row(row))
    return [peer_from_row(row, tests[row["peer_id"]]) for row in rows]


def _check_id(peer_id: str) -> None:
    if not is_id(peer_id):
        raise PeerNotFoundError("")


@contextmanager
def _taken() -> Iterator[None]:
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise PeerExistsError(_TAKEN.get(error.constraint_name or "", "spec")) from None
