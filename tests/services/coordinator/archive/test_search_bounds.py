"""Searches cost no more than their bounds, whatever is asked and however it is read."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1 import archive_service_pb2_grpc as pb_grpc
from services.coordinator.archive.searches import SearchBounds
from services.coordinator.archive.service import ArchiveService
from services.coordinator.archive.store import ArchiveStore
from services.runtime.client import error_info
from services.runtime.postgres import transaction
from tests.services.coordinator.archive.conftest import Archive
from tests.services.coordinator.archive.test_query import MANY_STUDIES, STUDY, wild
from tests.support.mesh import running_server

pytestmark = pytest.mark.postgres

_EVERYTHING = pb.QueryRequest(level=STUDY)


@pytest.fixture
async def bounded(archive: Archive, tmp_path: Path) -> AsyncIterator[Archive]:
    """An archive that lends one connection to searches, for a tenth of a second a statement."""
    folder = tmp_path / "bounded"
    folder.mkdir()
    store = ArchiveStore(archive.pool, SearchBounds(statement_s=0.1, connections=1))
    service = ArchiveService(store, archive.blobs, archive.results)
    async with running_server(
        folder, lambda server: pb_grpc.add_ArchiveServiceServicer_to_server(service, server)
    ) as server:
        stub = pb_grpc.ArchiveServiceStub(server.channel(Permission.PERMISSION_ARCHIVE_READ))
        yield Archive(stub, store, archive.pool, archive.blobs, archive.results)


async def _reason(call: grpc.aio.UnaryStreamCall[pb.QueryRequest, pb.QueryResponse]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    info = error_info(caught.value)
    return "" if info is None else f"{info.reason} {info.metadata['limit']}"


async def test_a_search_that_takes_too_long_is_refused_and_leaves_room_for_the_next(
    bounded: Archive,
) -> None:
    request = pb.QueryRequest(level=STUDY, matches=[wild("StudyDescription", "*a*b*c*")])
    async with transaction(bounded.pool) as blocking:
        await blocking.execute("LOCK TABLE archive.study IN ACCESS EXCLUSIVE MODE")
        refused = [
            await _reason(bounded.stub.Query(request)),
            await _reason(bounded.stub.Query(_EVERYTHING)),
        ]
        with pytest.raises(grpc.aio.AioRpcError) as listed:
            await bounded.stub.ListStudies(pb.ListStudiesRequest(text="a"))

    assert refused == ["ERROR_REASON_LIMIT_EXCEEDED query_time"] * 2
    assert listed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert [batch async for batch in bounded.stub.Query(request)] == []


async def test_a_caller_that_stops_reading_holds_nothing(bounded: Archive) -> None:
    async with transaction(bounded.pool) as connection:
        await connection.execute(MANY_STUDIES, 6000)
    stalled = [bounded.stub.Query(_EVERYTHING) for _ in range(3)]
    first = [await anext(aiter(call)) for call in stalled]
    await asyncio.sleep(0.2)

    others = [batch async for batch in bounded.stub.Query(pb.QueryRequest(level=STUDY, limit=5))]
    for call in stalled:
        call.cancel()

    assert [len(batch.rows) for batch in first] == [200, 200, 200]
    assert [len(batch.rows) for batch in others] == [5]
    async with bounded.store.searches.statement() as borrowed:
        assert await borrowed.fetchval("SELECT count(*) FROM archive.study") == 6000


@pytest.mark.soak
async def test_a_hundred_thousand_studies_are_read_in_flat_memory(
    archive: Archive, figure: Callable[[str], None]
) -> None:
    async with transaction(archive.pool) as connection:
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute(MANY_STUDIES, 100_000)
    await archive.pool.execute("VACUUM ANALYZE archive.study")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = 0
    began = asyncio.get_running_loop().time()

    async for batch in archive.stub.Query(_EVERYTHING):
        count += len(batch.rows)

    took = asyncio.get_running_loop().time() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    figure(f"100,000 studies by one query: {took:.1f} s, {grown:.0f} MiB more at most")
    assert count == 100_000
    assert grown < 64
