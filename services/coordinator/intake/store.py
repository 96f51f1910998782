"""One transaction for a batch of instances and departures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import asyncpg

from services.coordinator.archive.arrival import Arrival, Indexed
from services.coordinator.archive.indexer import AssociationEnd, Indexer, IndexRaceError
from services.coordinator.archive.known import add_to_known
from services.coordinator.intake.acquaintances import Acquaintances
from services.coordinator.intake.envelope import Departure, Envelope, Source
from services.runtime.database_metrics import transaction_ends
from services.runtime.errors import DependencyUnavailableError, StorageFullError
from services.runtime.held_connection import HeldConnection
from services.runtime.postgres import Connection, Pool, transaction
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.intake")
_ATTEMPTS: Final = 8
_RACES: Final = (IndexRaceError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
# What a value in an envelope can cause, however odd: only its own instance may suffer.
_CAUSED_BY_VALUES: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)


class UnfitBatchError(Exception):
    """Something in the batch cannot be stored; parts of it may."""


class IntakeStore:
    """Commits batches durably."""

    def __init__(self, pool: Pool, indexer: Indexer) -> None:
        self._pool = pool
        self._indexer = indexer
        self._held = HeldConnection(pool)
        self._met = Acquaintances()

    async def commit_known(
        self,
        envelopes: Sequence[Envelope],
        durable: Callable[[], Awaitable[None]] | None = None,
    ) -> dict[str, Indexed]:
        """Write those that only add to what is being received; on return they are flushed to disk.

        Args:
            envelopes: Instances in order of arrival.
            durable: Awaited before the commit: their bytes are durable then. None: they are.

        Returns:
            What became of them, by our instance id; what is left out is for `commit`.

        Raises:
            UnflushedError: From `durable`; nothing was stored.
            StorageFullError: No room; nothing was stored.
            DependencyUnavailableError: The database cannot be reached or is overloaded.
        """
        arrivals = [e.arrival for e in envelopes if self._met.knows(e)]
        if not arrivals:
            return {}
        try:
            return await self._add(arrivals, durable)
        except (*_RACES, *_CAUSED_BY_VALUES):
            return {}
        except asyncpg.DiskFullError:
            raise StorageFullError from None
        except (asyncpg.QueryCanceledError, asyncpg.OperatorInterventionError):
            raise DependencyUnavailableError("postgres") from None

    async def _add(
        self, arrivals: Sequence[Arrival], durable: Callable[[], Awaitable[None]] | None
    ) -> dict[str, Indexed]:
        tell = self._met.may_tell({arrival.study.study_instance_uid for arrival in arrivals})
        async with self._held.use() as connection:
            with transaction_ends():
                if not tell and durable is None:
                    return await add_to_known(connection, arrivals, tell=False)
                async with connection.transaction():
                    indexed = await add_to_known(connection, arrivals, tell=tell)
                    if durable is not None:
                        await durable()
                    return indexed

    async def commit(
        self, envelopes: Sequence[Envelope], departures: Sequence[Departure]
    ) -> list[Indexed]:
        """Write a batch; on return it is flushed to disk.

        Returns:
            What became of each envelope, in the order given.

        Raises:
            UnfitBatchError: A value in it cannot be stored; nothing was.
            StorageFullError: No room; nothing was stored.
            DependencyUnavailableError: The database cannot be reached or is overloaded.
        """
        for _ in range(_ATTEMPTS):
            try:
                return await self._commit_once(envelopes, departures)
            except _RACES:
                continue
            except _CAUSED_BY_VALUES as error:
                raise UnfitBatchError(type(error).__name__) from None
            except asyncpg.DiskFullError:
                raise StorageFullError from None
            except (asyncpg.QueryCanceledError, asyncpg.OperatorInterventionError):
                break
        raise DependencyUnavailableError("postgres")

    async def _commit_once(
        self, envelopes: Sequence[Envelope], departures: Sequence[Departure]
    ) -> list[Indexed]:
        async with transaction(self._pool) as connection:
            # An answer promises a flushed WAL, whatever the server's own setting.
            await connection.execute("SET LOCAL synchronous_commit TO on")
            indexed: list[Indexed] = []
            if envelopes:
                arrivals = [envelope.arrival for envelope in envelopes]
                indexed = await self._indexer.index(connection, arrivals)
            await self._note_sources(connection, envelopes, departures)
            if departures:
                await self._note_departures(connection, departures)
        self._met.meet(envelopes)
        return indexed

    async def close(self) -> None:
        """Give back what is held."""
        await self._held.close()

    async def _note_sources(
        self,
        connection: Connection,
        envelopes: Sequence[Envelope],
        departures: Sequence[Departure],
    ) -> None:
        sources: dict[str, Source] = {}
        for source in (*(e.source for e in envelopes), *(d.source for d in departures)):
            if not self._met.knows_source(source):
                sources.setdefault(source.association_id, source)
        if not sources:
            return
        await connection.execute(
            _QUERIES["note_sources"],
            list(sources),
            [source.door.value for source in sources.values()],
            [source.calling_ae_title for source in sources.values()],
            [source.called_ae_title for source in sources.values()],
            [source.peer_address for source in sources.values()],
        )

    async def _note_departures(
        self, connection: Connection, departures: Sequence[Departure]
    ) -> None:
        last = {departure.source.association_id: departure for departure in departures}
        columns: list[list[Any]] = [
            list(last),
            [departure.released for departure in last.values()],
            [departure.instance_count for departure in last.values()],
        ]
        await connection.execute(_QUERIES["note_ends"], *columns)
        ends = [AssociationEnd(key, departure.released) for key, departure in last.items()]
        await self._indexer.close_associations(connection, ends)
