"""Ends of associations."""

from __future__ import annotations

import pytest

from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.runtime.ids import new_id
from tests.services.coordinator.intake.conftest import Intake
from tests.services.coordinator.intake.counting import chunked
from tests.services.coordinator.intake.envelopes import (
    exchange,
)

pytestmark = pytest.mark.postgres


async def test_the_end_of_an_association_is_recorded_and_audited_once(intake: Intake) -> None:
    association_id = new_id()
    await intake.slices("1.2.1", 2, association_id)
    closed = pb.AssociationClosed(
        association_id=association_id,
        released=True,
        instance_count=2,
        source=pb.Source(door=pb.DOOR_DIMSE, calling_ae_title="CT1"),
    )
    request = pb.IngestRequest(sequence=7, association_closed=closed)

    answers = await exchange(intake.stub, [request])

    assert answers[7].HasField("association_recorded")
    row = await intake.pool.fetchrow("SELECT open, released FROM archive.association")
    assert row is not None
    assert (row["open"], row["released"]) == (False, True)
    entries = [e for e in intake.trail.entries if e.object_id == association_id]
    assert [(e.subject, e.entry_id) for e in entries] == [("gateway", association_id)]


async def test_an_association_that_closes_on_the_stream_of_its_instances_is_closed(
    intake: Intake,
) -> None:
    association_id = new_id()
    data = b"y" * 100_000
    requests = chunked(data, 1, 50_000)
    requests[0].instance.source.association_id = association_id
    closed = pb.AssociationClosed(
        association_id=association_id, released=False, source=pb.Source(door=pb.DOOR_DIMSE)
    )

    await exchange(
        intake.stub, [*requests, pb.IngestRequest(sequence=2, association_closed=closed)]
    )

    row = await intake.pool.fetchrow("SELECT open, released FROM archive.association")
    assert row is not None
    assert (row["open"], row["released"]) == (False, False)
