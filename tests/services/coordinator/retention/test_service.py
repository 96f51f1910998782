"""Deleting studies, holding them, and rules, over real gRPC and a real database."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.retention.v1 import retention_service_pb2 as pb
from heimdallr.retention.v1 import retention_service_pb2_grpc as pb_grpc
from services.coordinator.archive.indexer import Indexer
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.ids import new_id
from services.runtime.postgres import transaction
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.retention.conftest import Retention

pytestmark = pytest.mark.postgres

OUTLIVES = {"events.event", "retention.deletion", "retention.hold"}
"""Tables that may speak of a study that is gone, by our id alone."""

GONE_WITH_IT = {
    "archive.association",
    "archive.conflict",
    "archive.instance",
    "archive.series",
    "archive.study",
    "deidentification.request",
    "deidentification.series",
    "storage.damage",
    "workflow.plan",
    "workflow.requested_analysis",
    "workflow.result_blob",
    "workflow.stage",
}
BY_UID = {"archive.study", "workflow.manifest", "workflow.confirmed_count"}
ORDERS = {"worklist.scheduled_step", "worklist.performed_step"}
"""What was ordered and performed is another record than the images of it."""

_STUDY_TABLES = """
SELECT c.table_schema || '.' || c.table_name AS name FROM information_schema.columns AS c
JOIN information_schema.tables AS t USING (table_schema, table_name)
WHERE c.column_name = 'study_id' AND t.table_type = 'BASE TABLE'
"""


async def refusal(retention: Retention, study_id: str) -> ServiceCallError:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await retention.stub.DeleteStudy(pb.DeleteStudyRequest(study_id=study_id))
    return caught.value


async def test_a_deleted_study_leaves_nothing_but_its_id(retention: Retention) -> None:
    conflict = arrival(data=b"other bytes")
    study_id = await retention.receive(arrival(), arrival(number=2), conflict)
    await retention.add_stage(study_id)

    answer = await retention.stub.DeleteStudy(pb.DeleteStudyRequest(study_id=study_id))

    assert (answer.scope.series_count, answer.scope.instance_count) == (1, 2)
    assert (answer.scope.conflict_count, answer.scope.result_count) == (1, 1)
    assert answer.scope.size_bytes == 2 * len(b"bytes") + len(b"other bytes") + 100
    tables = {row["name"] for row in await retention.rows(_STUDY_TABLES)}
    for table in tables - OUTLIVES:
        found = await retention.rows(f"SELECT FROM {table} WHERE study_id = $1", study_id)
        assert found == [], table
    assert await retention.rows("SELECT FROM workflow.attempt") == []
    assert await retention.rows("SELECT FROM archive.patient") == []
    events = await retention.rows("SELECT type FROM events.event ORDER BY event_id DESC LIMIT 1")
    assert [row["type"] for row in events] == ["STUDY_DELETED"]


async def test_every_table_that_names_studies_is_known_to_deletion(retention: Retention) -> None:
    by_id = {row["name"] for row in await retention.rows(_STUDY_TABLES)}
    by_uid = await retention.rows(
        _STUDY_TABLES.replace("= 'study_id'", "LIKE 'study_instance_uid%'")
    )

    assert by_id == GONE_WITH_IT | OUTLIVES
    assert {row["name"] for row in by_uid} == BY_UID | ORDERS


async def test_what_was_said_of_a_study_goes_with_it(retention: Retention) -> None:
    study_id = await retention.receive(arrival(study("1.2.1")))
    await retention.pool.execute(
        "INSERT INTO workflow.manifest (manifest_id, study_instance_uid, name, open)"
        " VALUES ($1, '1.2.1', 'sender:', false)",
        new_id(),
    )
    await retention.pool.execute("INSERT INTO workflow.confirmed_count VALUES ('1.2.1', 's', 1)")

    await retention.stub.DeleteStudy(pb.DeleteStudyRequest(study_id=study_id))

    assert await retention.rows("SELECT FROM workflow.manifest") == []
    assert await retention.rows("SELECT FROM workflow.confirmed_count") == []


async def test_a_deletion_is_in_the_audit_trail(retention: Retention) -> None:
    study_id = await retention.receive(arrival())

    await retention.stub.DeleteStudy(pb.DeleteStudyRequest(study_id=study_id))

    entry = retention.server.trail.entries[-1]
    assert entry.action == AuditAction.AUDIT_ACTION_DELETE_STUDY
    assert (entry.object_id, entry.subject) == (study_id, "tester")


async def test_a_patient_with_another_study_stays(retention: Retention) -> None:
    first = await retention.receive(arrival(study("1.2.1")))
    await retention.receive(arrival(study("1.2.2")))

    await retention.stub.DeleteStudy(pb.DeleteStudyRequest(study_id=first))

    assert len(await retention.rows("SELECT FROM archive.patient")) == 1


async def test_a_preview_counts_and_deletes_nothing(retention: Retention) -> None:
    study_id = await retention.receive(arrival(), state="receiving")
    await retention.add_stage(study_id, "running")

    answer = await retention.stub.PreviewDeletion(pb.PreviewDeletionRequest(study_id=study_id))

    assert answer.scope.instance_count == 1
    assert list(answer.keepers) == [pb.KEEPER_RECEIVING, pb.KEEPER_WORK]
    assert len(await retention.rows("SELECT FROM archive.study")) == 1


@pytest.mark.parametrize(
    ("state", "stage", "rule"),
    [("receiving", None, "receiving"), ("processing", "running", "work"), ("ready", None, "hold")],
)
async def test_what_keeps_a_study_refuses_its_deletion(
    retention: Retention, state: str, stage: str | None, rule: str
) -> None:
    study_id = await retention.receive(arrival(), state=state)
    if stage is not None:
        await retention.add_stage(study_id, stage)
    if rule == "hold":
        await retention.stub.HoldStudy(pb.HoldStudyRequest(study_id=study_id, reason="a trial"))

    error = await refusal(retention, study_id)

    assert error.code is grpc.StatusCode.FAILED_PRECONDITION
    assert (error.reason, error.metadata["rule"]) == ("ERROR_REASON_STUDY_KEPT", rule)
    assert len(await retention.rows("SELECT FROM archive.instance")) == 1


async def test_a_released_study_can_be_deleted(retention: Retention) -> None:
    study_id = await retention.receive(arrival())
    await retention.stub.HoldStudy(pb.HoldStudyRequest(study_id=study_id, reason="a trial"))
    holds = (await retention.stub.ListHolds(pb.ListHoldsRequest())).holds

    await retention.stub.ReleaseStudy(pb.ReleaseStudyRequest(study_id=study_id))
    await retention.stub.DeleteStudy(pb.DeleteStudyRequest(study_id=study_id))

    assert [(hold.study_id, hold.reason, hold.subject) for hold in holds] == [
        (study_id, "a trial", "tester")
    ]
    assert (await retention.stub.ListHolds(pb.ListHoldsRequest())).holds == []


async def test_an_unknown_study_is_not_found(retention: Retention) -> None:
    error = await refusal(retention, new_id())

    assert error.reason == "ERROR_REASON_STUDY_NOT_FOUND"


async def test_a_reader_cannot_delete(retention: Retention) -> None:
    study_id = await retention.receive(arrival())
    channel = retention.server.channel(Permission.PERMISSION_ARCHIVE_READ)

    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await pb_grpc.RetentionServiceStub(channel).DeleteStudy(
            pb.DeleteStudyRequest(study_id=study_id)
        )

    assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED


async def test_instances_that_come_after_the_deletion_make_a_new_study(
    retention: Retention,
) -> None:
    old = await retention.receive(arrival())
    await retention.stub.DeleteStudy(pb.DeleteStudyRequest(study_id=old))

    new = await retention.receive(arrival(), state="receiving")

    assert new != old
    assert len(await retention.rows("SELECT FROM archive.instance")) == 1


async def test_a_study_that_grows_meanwhile_is_deleted_whole_or_made_anew(
    retention: Retention,
) -> None:
    study_id = await retention.receive(arrival())

    async def grow(number: int) -> None:
        async with transaction(retention.pool) as connection:
            await Indexer().index(connection, [arrival(number=number)])

    deletion = retention.stub.DeleteStudy(pb.DeleteStudyRequest(study_id=study_id))
    await asyncio.gather(grow(2), deletion, grow(3), return_exceptions=True)

    counts = await retention.rows(
        "SELECT s.instance_count, (SELECT count(*) FROM archive.instance AS i"
        " WHERE i.study_id = s.study_id) AS there FROM archive.study AS s"
    )
    assert all(row["instance_count"] == row["there"] > 0 for row in counts)
    orphans = (
        "SELECT FROM archive.series WHERE study_id NOT IN (SELECT study_id FROM archive.study)"
    )
    assert await retention.rows(orphans) == []
