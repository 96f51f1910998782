"""The rows of sources, and the turns that gateways take at them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import asyncpg

from services.coordinator.sources.errors import SourceExistsError, TurnLostError
from services.coordinator.sources.rows import source_from_row, spec_json
from services.coordinator.sources.schedule import next_run
from services.coordinator.sources.source import Kind, Progress, Source, SourceSpec, Turn
from services.runtime.errors import SourceNotFoundError
from services.runtime.ids import is_id, new_id
from services.runtime.postgres import Connection, Pool, connection, transaction
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.sources")


class SourceStore:
    """Sources in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def sources(self) -> list[Source]:
        """Return every source by name."""
        async with connection(self._pool) as borrowed:
            return [source_from_row(row) for row in await borrowed.fetch(QUERIES["list_sources"])]

    async def source(self, key: str, value: str) -> Source:
        """Return one source.

        Args:
            key: "source_id" or "name".
            value: What it must be.

        Raises:
            SourceNotFoundError: Unknown.
        """
        if key == "source_id":
            return await self._one("source_by_id", value)
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["source_by_name"], value)
        if row is None:
            raise SourceNotFoundError("")
        return source_from_row(row)

    async def create(self, spec: SourceSpec) -> Source:
        """Register a source.

        Raises:
            SourceExistsError: Its name is taken.
        """
        values = new_id(), spec.name, spec.kind.value, spec_json(spec)
        try:
            async with connection(self._pool) as borrowed:
                row = await borrowed.fetchrow(QUERIES["insert_source"], *values)
        except asyncpg.UniqueViolationError:
            raise SourceExistsError from None
        assert row is not None  # noqa: S101 -- RETURNING of an insert
        return source_from_row(row)

    async def update(self, source_id: str, spec: SourceSpec) -> Source:
        """Replace what is registered of a source.

        Raises:
            SourceNotFoundError: Unknown.
            SourceExistsError: Another has the name.
        """
        before = (await self._one("source_by_id", source_id)).spec
        other = (before.kind, before.peer_id, before.rest_path, before.path) != (
            spec.kind,
            spec.peer_id,
            spec.rest_path,
            spec.path,
        )
        due = next_run(spec.schedule, datetime.now(UTC))
        values = spec.name, spec.kind.value, spec_json(spec), other, due
        try:
            return await self._one("update_source", source_id, *values)
        except asyncpg.UniqueViolationError:
            raise SourceExistsError from None

    async def delete(self, source_id: str) -> None:
        """Forget a source; an unknown one is forgotten already."""
        if is_id(source_id):
            async with connection(self._pool) as borrowed:
                await borrowed.execute(QUERIES["delete_source"], source_id)

    async def pause(self, source_id: str, *, paused: bool) -> Source:
        """Stop or resume the schedule of a source.

        Raises:
            SourceNotFoundError: Unknown.
        """
        return await self._one("pause_source", source_id, paused)

    async def request(self, source_id: str, *, reconcile: bool) -> Source:
        """Make a source due now.

        Raises:
            SourceNotFoundError: Unknown.
        """
        return await self._one("request_source", source_id, reconcile)

    async def notice(self, orthanc_id: str, source_name: str) -> str:
        """Note a study that a webhook told of; return the id of its source.

        Raises:
            SourceNotFoundError: None or several could be meant.
        """
        async with transaction(self._pool) as borrowed:
            found = await borrowed.fetch(QUERIES["orthancs"], source_name)
            if len(found) != 1:
                raise SourceNotFoundError("")
            source_id = found[0]["source_id"]
            await borrowed.execute(QUERIES["insert_notice"], source_id, orthanc_id)
            await borrowed.execute(QUERIES["request_source"], source_id, False)
        return str(source_id)

    async def take_turn(self, gateway_id: str, hold_s: int) -> Turn | None:
        """Give the source that is longest due to a gateway; None when nothing is."""
        turn_id = new_id()
        async with transaction(self._pool) as borrowed:
            taken = await borrowed.fetchrow(QUERIES["take_turn"], turn_id, gateway_id, hold_s)
            if taken is None:
                return None
            row = await borrowed.fetchrow(QUERIES["source_by_id"], taken["source_id"])
            notices = await borrowed.fetch(QUERIES["notices"], taken["source_id"])
        assert row is not None  # noqa: S101 -- it was just updated
        source = source_from_row(row)
        return Turn(
            turn_id=turn_id,
            source=source,
            cursor=row["cursor"],
            reconcile=source.spec.kind is Kind.ORTHANC and bool(taken["reconcile"]),
            noticed_orthanc_ids=tuple(notice["orthanc_id"] for notice in notices),
        )

    async def keep_turn(
        self, source_id: str, turn_id: str, progress: Progress, hold_s: int
    ) -> bool:
        """Keep what a turn did so far; return whether it should stop.

        Raises:
            TurnLostError: It is another's now.
        """
        counts = progress.counts
        async with transaction(self._pool) as borrowed:
            row = await borrowed.fetchrow(
                QUERIES["keep_turn"],
                source_id,
                turn_id,
                hold_s,
                progress.cursor,
                progress.text,
                counts.studies,
                counts.stored,
                counts.known,
                counts.refused,
            )
            if row is None:
                raise TurnLostError(source_id)
            await _forget_notices(borrowed, source_id, progress)
        return bool(row["stop"])

    async def end_turn(
        self, source_id: str, turn_id: str, progress: Progress, failure: str, *, reconciled: bool
    ) -> None:
        """Keep how a turn ended.

        Raises:
            TurnLostError: It is another's now.
        """
        counts = progress.counts
        async with transaction(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["lock_source"], source_id)
            if row is None:
                raise TurnLostError(source_id)
            source = source_from_row(row)
            failures = source.state.failures + 1 if failure else 0
            ended = await borrowed.fetchval(
                QUERIES["end_turn"],
                source_id,
                turn_id,
                progress.cursor,
                counts.studies,
                counts.stored,
                counts.known,
                counts.refused,
                failure,
                next_run(source.spec.schedule, row["read_time"], failures),
                reconciled,
            )
            if ended:
                await _forget_notices(borrowed, source_id, progress)
            elif not await borrowed.fetchval(QUERIES["ended_before"], source_id, turn_id):
                raise TurnLostError(source_id)

    async def _one(self, query: str, source_id: str, *values: object) -> Source:
        if not is_id(source_id):
            raise SourceNotFoundError("")
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES[query], source_id, *values)
        if row is None:
            raise SourceNotFoundError(source_id)
        return source_from_row(row)


async def _forget_notices(borrowed: Connection, source_id: str, progress: Progress) -> None:
    if progress.done_orthanc_ids:
        done = list(progress.done_orthanc_ids)
        await borrowed.execute(QUERIES["delete_notices"], source_id, done)
