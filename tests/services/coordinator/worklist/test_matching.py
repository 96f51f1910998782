"""What the worklist finds for a modality."""

from __future__ import annotations

import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from tests.services.coordinator.worklist.asking import HEAD, query, refused, schedule, values
from tests.services.coordinator.worklist.conftest import Worklist, scheduled

pytestmark = pytest.mark.postgres


def wildcard(keyword: str, wanted: str) -> archive_pb.AttributeMatch:
    return archive_pb.AttributeMatch(keyword=keyword, wildcard=wanted)


def span(keyword: str, low: str, high: str) -> archive_pb.AttributeMatch:
    ends = archive_pb.ValueRange(to=high)
    setattr(ends, "from", low)
    return archive_pb.AttributeMatch(keyword=keyword, range=ends)


async def test_every_matching_kind_of_the_worklist_finds_what_it_should(
    worklist: Worklist,
) -> None:
    await schedule(worklist, scheduled("Müller^Jürgen=X^Y", step_id="S1"))
    second = scheduled(
        "O'NEIL^ANN_%",
        patient_id="P2",
        accession="A2",
        station="MR1",
        modality="MR",
        start=("20260106", "1800"),
    )
    second.performing_physician_name = "Smith^Sue"
    await schedule(worklist, second)
    both = ["P1", "P2"]
    date, time = "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"

    for expected, matches in (
        (both, []),
        (["P1"], [values("ScheduledStationAETitle", "CT1")]),
        (both, [wildcard("ScheduledStationAETitle", "?*1")]),
        (["P2"], [values(date, "20260106")]),
        (both, [span(date, "20260105", "20260106")]),
        (["P2"], [span(date, "20260106", "")]),
        (["P1"], [span(time, "", "1200")]),
        # One range of moments: from the 5th at 10:00 to the 6th at 19:00.
        (["P2"], [span(date, "20260105", "20260106"), span(time, "1000", "1900")]),
        (both, [span(date, "20260105", "20260106"), span(time, "0930", "18")]),
        (["P1"], [values(time, "0930")]),
        (["P2"], [values("Modality", "MR")]),
        (both, [values("Modality", "MR", "CT")]),
        (["P1"], [wildcard("PatientName", "muller*")]),
        (["P1"], [values("PatientName", "MÜLLER^JÜRGEN^")]),
        (["P1"], [values("PatientName", "x^y")]),
        (["P2"], [wildcard("PatientName", "o'neil^ann_%")]),
        ([], [wildcard("PatientName", "o'neil^annx%")]),
        (["P2"], [wildcard("PatientName", "?'NEIL*")]),
        (["P2"], [wildcard("ScheduledPerformingPhysicianName", "smith*")]),
        (["P1"], [values("PatientID", "P1")]),
        (["P2"], [values("AccessionNumber", "A2")]),
        (["P1"], [values("ScheduledProcedureStepID", "S1")]),
        (["P2"], [values("RequestedProcedureID", "A2")]),
        (both, [values("ScheduledProcedureStepDescription", "Chest")]),
        (both, [values("ScheduledProcedureStepStatus", "SCHEDULED")]),
        ([], [values("ScheduledProcedureStepStatus", "STARTED")]),
        (both, [wildcard("ScheduledProcedureStepStatus", "SCHED*")]),
        ([], [wildcard("ScheduledProcedureStepStatus", "[S]*")]),
    ):
        assert await query(worklist, *matches) == expected, matches


async def test_what_is_no_matching_key_is_refused(worklist: Worklist) -> None:
    for match in (
        values("PixelData", "x"),
        wildcard("ScheduledProcedureStepStartDate", "2026*"),
        span("PatientID", "A", "B"),
        archive_pb.AttributeMatch(keyword="PatientID"),
        values("PatientID", "a\0b"),
    ):
        request = pb.QueryWorklistRequest(matches=[match])
        reason, _ = await refused(worklist.stub.QueryWorklist(request).read())
        assert reason == "ERROR_REASON_INVALID_FIELD"


async def test_a_long_worklist_comes_in_batches_and_stops_at_the_limit(worklist: Worklist) -> None:
    rows = [f"P{n},X,CT1,20260105,{n // 60:02}{n % 60:02},CT,A{n},\n" for n in range(450)]
    request = pb.ImportScheduledStepsRequest(csv=(HEAD + "".join(rows)).encode())
    await worklist.stub.ImportScheduledSteps(request)

    whole = [batch async for batch in worklist.stub.QueryWorklist(pb.QueryWorklistRequest())]
    some = [
        len(batch.steps)
        async for batch in worklist.stub.QueryWorklist(pb.QueryWorklistRequest(limit=250))
    ]

    assert [len(batch.steps) for batch in whole] == [200, 200, 50]
    assert len({step.scheduled_step_id for batch in whole for step in batch.steps}) == 450
    assert some == [200, 50]
