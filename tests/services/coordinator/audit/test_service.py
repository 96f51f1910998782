"""The audit trail, called through a real channel with rows in a real PostgreSQL."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.audit.v1 import audit_service_pb2 as pb
from heimdallr.audit.v1 import audit_service_pb2_grpc as pb_grpc
from services.coordinator.audit.service import AuditService
from services.coordinator.audit.store import PostgresAuditTrail
from services.runtime.audit import AuditEntry, AuditOutcome, AuditTrail
from services.runtime.audit_client import RemoteAuditTrail
from services.runtime.audit_messages import entry_to_proto, outcome_to_proto
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.ids import new_id
from services.runtime.migrate import apply
from services.runtime.postgres import Pool
from tests.support.mesh import RunningServer, running_server
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]

pytestmark = pytest.mark.postgres

WRITE = Permission.PERMISSION_AUDIT_WRITE
READ = Permission.PERMISSION_AUDIT_READ
DENIED = AuditOutcome(
    datetime(2026, 1, 2, tzinfo=UTC), "PERMISSION_DENIED", "ERROR_REASON_PERMISSION_DENIED"
)
OK = AuditOutcome(datetime(2026, 1, 3, tzinfo=UTC), "OK", "")
Stub = Any


def new_entry(**changes: Any) -> AuditEntry:
    entry = AuditEntry(
        entry_id=new_id(),
        begin_time=datetime(2026, 1, 1, tzinfo=UTC),
        subject="anna",
        method="/heimdallr.workflow.v1.WorkflowService/ReplayStages",
        action=AuditAction.AUDIT_ACTION_REPLAY_WORK,
        service="conversion",
        correlation_id="work-1",
        object_id=new_id(),
    )
    return dataclasses.replace(entry, **changes)


@pytest.fixture
async def store(pool: Pool) -> PostgresAuditTrail:
    await apply(pool, ["services.coordinator.audit"])
    return PostgresAuditTrail(pool)


@pytest.fixture
async def server(store: PostgresAuditTrail, tmp_path: Path) -> AsyncIterator[RunningServer]:
    def add(target: grpc.aio.Server) -> None:
        pb_grpc.add_AuditServiceServicer_to_server(AuditService(store), target)

    async with running_server(tmp_path, add, trail=store) as running:
        yield running


@pytest.fixture
def remote(server: RunningServer) -> RemoteAuditTrail:
    return RemoteAuditTrail(server.channel(WRITE, subject="conversion"))


@pytest.fixture
def writer(server: RunningServer) -> Stub:
    return pb_grpc.AuditServiceStub(server.channel(WRITE, subject="conversion"))


@pytest.fixture
def reader(server: RunningServer) -> Stub:
    return pb_grpc.AuditServiceStub(server.channel(READ, subject="auditor"))


async def kept(reader: Stub, **wanted: Any) -> list[pb.AuditedCall]:
    answer = await reader.ListEntries(pb.ListEntriesRequest(**wanted))
    own = "/heimdallr.audit.v1.AuditService/ListEntries"
    return [call for call in answer.calls if call.entry.method != own]


@pytest.fixture(params=["direct", "remote"])
def trail(request: pytest.FixtureRequest, store: AuditTrail, remote: AuditTrail) -> AuditTrail:
    return store if request.param == "direct" else remote


async def test_a_call_is_kept_before_and_after_it_runs(trail: AuditTrail, reader: Stub) -> None:
    entry = new_entry()

    await trail.begin(entry)
    [before] = await kept(reader)
    await trail.end(entry.entry_id, OK)
    [after] = await kept(reader)

    assert before == pb.AuditedCall(entry=entry_to_proto(entry))
    assert after.entry == before.entry
    assert after.outcome == outcome_to_proto(OK)


async def test_a_denied_call_is_kept_with_its_outcome(trail: AuditTrail, reader: Stub) -> None:
    entry = new_entry(subject="", object_id="")

    await trail.deny(entry, DENIED)

    [call] = await kept(reader)
    assert call == pb.AuditedCall(entry=entry_to_proto(entry), outcome=outcome_to_proto(DENIED))


async def test_the_first_entry_and_outcome_stay(trail: AuditTrail, reader: Stub) -> None:
    entry = new_entry()
    await trail.begin(entry)
    await trail.begin(dataclasses.replace(entry, subject="mallory"))
    await trail.end(entry.entry_id, OK)
    await trail.end(entry.entry_id, DENIED)

    [call] = await kept(reader)
    assert (call.entry.subject, call.outcome.code) == ("anna", "OK")


async def test_reading_the_trail_leaves_a_row(reader: Stub, store: PostgresAuditTrail) -> None:
    await reader.ListEntries(pb.ListEntriesRequest())

    answer = await reader.ListEntries(
        pb.ListEntriesRequest(action=AuditAction.AUDIT_ACTION_READ_AUDIT)
    )

    running, finished = answer.calls
    assert finished.entry.subject == "auditor"
    assert finished.outcome.code == "OK"
    assert not running.HasField("outcome")


async def test_calls_are_listed_newest_first_in_pages(
    store: PostgresAuditTrail, reader: Stub
) -> None:
    entries = [new_entry(subject="paged") for _ in range(5)]
    for entry in entries:
        await store.begin(entry)
    found: list[str] = []
    token = ""
    while True:
        answer = await reader.ListEntries(
            pb.ListEntriesRequest(page_size=2, page_token=token, subject="paged")
        )
        found += [call.entry.entry_id for call in answer.calls]
        token = answer.next_page_token
        if not token:
            break

    assert found == [entry.entry_id for entry in reversed(entries)]


async def test_calls_are_found_by_subject_action_and_object(
    store: PostgresAuditTrail, reader: Stub
) -> None:
    wanted = new_entry(subject="bert", action=AuditAction.AUDIT_ACTION_FETCH)
    for entry in (wanted, new_entry(), new_entry(subject="carl")):
        await store.begin(entry)

    for query in (
        {"subject": "bert"},
        {"action": AuditAction.AUDIT_ACTION_FETCH},
        {"object_id": wanted.object_id},
    ):
        [call] = await kept(reader, **query)
        assert call.entry.entry_id == wanted.entry_id


@pytest.mark.parametrize(
    "query",
    [
        {"page_size": 1001},
        {"page_size": -1},
        {"page_token": "x"},
        {"object_id": "1.2.3"},
        {"action": 999},
        {"subject": "a\0b"},
    ],
    ids=str,
)
async def test_a_malformed_query_is_refused(reader: Stub, query: dict[str, Any]) -> None:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await reader.ListEntries(pb.ListEntriesRequest(**query))

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("entry_id", "x"),
        ("subject", "DOE^JOHN"),
        ("subject", "x" * 65),
        ("method", "method"),
        ("action", 999),
        ("service", "gateway"),
        ("correlation_id", "a b"),
        ("object_id", "1.2.840.1"),
    ],
)
async def test_a_malformed_entry_is_refused(
    writer: Stub, reader: Stub, field: str, value: Any
) -> None:
    entry = entry_to_proto(new_entry())
    setattr(entry, field, value)

    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await writer.BeginCall(pb.BeginCallRequest(entry=entry))

    assert caught.value.metadata["field"] == f"entry.{field}"
    assert await kept(reader) == []


@pytest.mark.parametrize(
    "outcome",
    [
        pb.Outcome(code="OK"),
        pb.Outcome(end_time=outcome_to_proto(OK).end_time, code="FINE"),
        pb.Outcome(end_time=outcome_to_proto(OK).end_time, code="OK", reason="because"),
    ],
    ids=["no time", "unknown code", "unknown reason"],
)
async def test_a_malformed_outcome_is_refused(writer: Stub, outcome: pb.Outcome) -> None:
    entry = new_entry()
    await writer.BeginCall(pb.BeginCallRequest(entry=entry_to_proto(entry)))

    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await writer.EndCall(pb.EndCallRequest(entry_id=entry.entry_id, outcome=outcome))

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("entry_id", ["x", "01890a5d-ac96-774b-bcce-b302099a8057"])
async def test_the_outcome_of_no_call_is_refused(writer: Stub, entry_id: str) -> None:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await writer.EndCall(pb.EndCallRequest(entry_id=entry_id, outcome=outcome_to_proto(OK)))

    assert caught.value.metadata["field"] == "entry_id"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.entry SET subject = 'nobody'",
        "DELETE FROM audit.entry",
        "TRUNCATE audit.entry CASCADE",
        "UPDATE audit.outcome SET code = 'OK'",
        "DELETE FROM audit.outcome",
        "TRUNCATE audit.outcome",
    ],
)
async def test_the_database_refuses_to_change_a_row(
    store: PostgresAuditTrail, pool: Pool, statement: str
) -> None:
    await store.deny(new_entry(), DENIED)

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await pool.execute(statement)
