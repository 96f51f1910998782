"""Scheduling, through a real channel."""

from __future__ import annotations

from collections.abc import Awaitable

import grpc
import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.worklist.v1 import scheduled_step_pb2 as step_pb
from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from services.runtime.client import error_info
from services.runtime.ids import new_id
from tests.services.coordinator.worklist.conftest import Worklist, scheduled

pytestmark = pytest.mark.postgres

STATE = "ERROR_REASON_PROCEDURE_STEP_STATE"
HEAD = "patient_id,patient_name,station,date,time,modality,accession_number,priority\n"


async def refused(call: Awaitable[object]) -> tuple[str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = error_info(caught.value)
    assert info is not None
    return info.reason, dict(info.metadata)


async def schedule(worklist: Worklist, spec: step_pb.ScheduledStepSpec) -> step_pb.ScheduledStep:
    request = pb.CreateScheduledStepRequest(spec=spec)
    return (await worklist.stub.CreateScheduledStep(request)).step


def values(keyword: str, *wanted: str) -> archive_pb.AttributeMatch:
    return archive_pb.AttributeMatch(
        keyword=keyword, values=archive_pb.ValueList(values=list(wanted))
    )


def wildcard(keyword: str, wanted: str) -> archive_pb.AttributeMatch:
    return archive_pb.AttributeMatch(keyword=keyword, wildcard=wanted)


def span(keyword: str, low: str, high: str) -> archive_pb.AttributeMatch:
    ends = archive_pb.ValueRange(to=high)
    setattr(ends, "from", low)
    return archive_pb.AttributeMatch(keyword=keyword, range=ends)


async def query(worklist: Worklist, *matches: archive_pb.AttributeMatch) -> list[str]:
    request = pb.QueryWorklistRequest(matches=matches)
    return [
        step.spec.patient.patient_id
        async for batch in worklist.stub.QueryWorklist(request)
        for step in batch.steps
    ]


async def test_what_nobody_chose_is_filled_in_and_steps_of_an_order_share_the_study(
    worklist: Worklist,
) -> None:
    first = await schedule(worklist, scheduled())
    second = await schedule(worklist, scheduled())
    other = await schedule(worklist, scheduled(accession="A2"))

    study = first.spec.procedure.study_instance_uid
    assert study.startswith("2.25.")
    assert second.spec.procedure.study_instance_uid == study
    assert other.spec.procedure.study_instance_uid != study
    assert first.spec.procedure.requested_procedure_id == "A1"
    assert 1 <= len(first.spec.scheduled_procedure_step_id) <= 16
    assert first.spec.scheduled_procedure_step_id != second.spec.scheduled_procedure_step_id
    assert first.spec.start_time == "093000"
    assert first.state == step_pb.SCHEDULED_STEP_STATE_SCHEDULED


async def test_a_step_is_kept_whole(worklist: Worklist) -> None:
    spec = scheduled("Ærø^Björk=字^漢", step_id="S1")
    spec.patient.patient_birth_date = "19800229"
    spec.patient.patient_sex = "f"
    spec.patient.patient_weight_kg = 61.5
    spec.patient.allergies = "Iodine"
    spec.patient.pregnancy_status = 1
    spec.procedure.code.CopyFrom(step_pb.Code(value="71250", scheme="CPT", meaning="Chest CT"))
    spec.procedure.study_instance_uid = "1.2.3"
    spec.protocol_codes.add(value="P", scheme="99X", meaning="Thorax")
    spec.scheduled_station_ae_titles.append("CT2")

    step = await schedule(worklist, spec)

    spec.patient.patient_sex = "F"
    spec.procedure.requested_procedure_id = "A1"
    spec.start_time = "093000"
    assert step.spec == spec
    listed = await worklist.stub.ListScheduledSteps(pb.ListScheduledStepsRequest())
    assert list(listed.steps) == [step]


async def test_a_field_that_breaks_its_rule_is_named(worklist: Worklist) -> None:
    for field, spec in (
        ("patient.patient_id", scheduled(patient_id="")),
        ("patient.patient_name", scheduled("A\\B")),
        ("patient.patient_name", scheduled("A\0B")),
        ("patient.patient_name", scheduled("A" * 325)),
        ("procedure.accession_number", scheduled(accession="1" * 17)),
        ("scheduled_station_ae_titles", scheduled(station="AE\\TITLE")),
        ("start_date", scheduled(start=("20260231", "0930"))),
        ("start_date", scheduled(start=("", "0930"))),
        ("start_time", scheduled(start=("20260101", "2430"))),
        ("modality", scheduled(modality="")),
    ):
        call = worklist.stub.CreateScheduledStep(pb.CreateScheduledStepRequest(spec=spec))
        reason, metadata = await refused(call)
        assert (reason, metadata["field"]) == ("ERROR_REASON_INVALID_FIELD", field)


async def test_an_order_has_each_step_once(worklist: Worklist) -> None:
    await schedule(worklist, scheduled(step_id="S1"))
    call = worklist.stub.CreateScheduledStep(
        pb.CreateScheduledStepRequest(spec=scheduled(step_id="S1"))
    )

    assert await refused(call) == (STATE, {"state": "exists"})
    other = await schedule(worklist, scheduled(step_id="S2"))
    renamed = pb.UpdateScheduledStepRequest(
        scheduled_step_id=other.scheduled_step_id, spec=scheduled(step_id="S1")
    )
    assert await refused(worklist.stub.UpdateScheduledStep(renamed)) == (
        STATE,
        {"state": "exists"},
    )


async def test_a_step_is_replaced_with_the_ids_it_had(worklist: Worklist) -> None:
    step = await schedule(worklist, scheduled())
    request = pb.UpdateScheduledStepRequest(
        scheduled_step_id=step.scheduled_step_id, spec=scheduled(start=("20260106", "1000"))
    )

    changed = (await worklist.stub.UpdateScheduledStep(request)).step

    assert changed.spec.start_date == "20260106"
    assert changed.spec.procedure == step.spec.procedure
    assert changed.spec.scheduled_procedure_step_id == step.spec.scheduled_procedure_step_id
    assert await query(worklist, values("ScheduledProcedureStepStartDate", "20260105")) == []


async def test_a_cancelled_step_is_listed_but_not_on_the_worklist_and_may_be_forgotten(
    worklist: Worklist,
) -> None:
    step = await schedule(worklist, scheduled())
    by_id = {"scheduled_step_id": step.scheduled_step_id}
    for _ in range(2):
        done = await worklist.stub.CancelScheduledStep(pb.CancelScheduledStepRequest(**by_id))
        assert done.step.state == step_pb.SCHEDULED_STEP_STATE_CANCELLED
    update = pb.UpdateScheduledStepRequest(**by_id, spec=scheduled())
    on_worklist = await query(worklist)
    replaced = await refused(worklist.stub.UpdateScheduledStep(update))
    listed = await worklist.stub.ListScheduledSteps(
        pb.ListScheduledStepsRequest(state=step_pb.SCHEDULED_STEP_STATE_CANCELLED)
    )
    for _ in range(2):
        await worklist.stub.DeleteScheduledStep(pb.DeleteScheduledStepRequest(**by_id))
    left = await worklist.stub.ListScheduledSteps(pb.ListScheduledStepsRequest())

    assert on_worklist == []
    assert replaced == (STATE, {"state": "cancelled"})
    assert len(listed.steps) == 1
    assert not left.steps


async def test_an_unknown_step_is_not_found(worklist: Worklist) -> None:
    for name in (new_id(), "'; DROP TABLE", ""):
        cancel = pb.CancelScheduledStepRequest(scheduled_step_id=name)
        reason, metadata = await refused(worklist.stub.CancelScheduledStep(cancel))
        assert reason == "ERROR_REASON_PROCEDURE_STEP_NOT_FOUND"
        assert not metadata


async def test_lists_go_on_page_by_page_in_order_of_start(worklist: Worklist) -> None:
    for number in (3, 1, 2):
        start = ("20260105", f"0{number}00")
        spec = scheduled(patient_id=f"P{number}", accession=f"A{number}", start=start)
        await schedule(worklist, spec)

    seen: list[str] = []
    token = ""
    while True:
        request = pb.ListScheduledStepsRequest(page_size=1, page_token=token)
        page = await worklist.stub.ListScheduledSteps(request)
        seen += [step.spec.patient.patient_id for step in page.steps]
        token = page.next_page_token
        if not token:
            break
    wrong = pb.ListScheduledStepsRequest(page_token="bm8=")

    assert seen == ["P1", "P2", "P3"]
    assert (await refused(worklist.stub.ListScheduledSteps(wrong)))[1]["field"] == "page_token"


async def test_lists_are_narrowed_by_every_filter(worklist: Worklist) -> None:
    await schedule(worklist, scheduled())
    await schedule(
        worklist,
        scheduled(
            patient_id="P2",
            accession="A2",
            station="MR1",
            modality="MR",
            start=("20260107", "0800"),
        ),
    )

    for narrowed in (
        {"scheduled_station_ae_title": "MR1"},
        {"modality": "mr"},
        {"start_date_from": "20260106"},
        {"patient_id": "P2"},
        {"accession_number": "A2"},
    ):
        request = pb.ListScheduledStepsRequest(**narrowed)  # type: ignore[arg-type]
        found = (await worklist.stub.ListScheduledSteps(request)).steps
        assert [step.spec.patient.patient_id for step in found] == ["P2"], narrowed
    before = pb.ListScheduledStepsRequest(start_date_to="20260105")
    found = (await worklist.stub.ListScheduledSteps(before)).steps
    assert [step.spec.patient.patient_id for step in found] == ["P1"]


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


async def imported(worklist: Worklist, text: str, **more: bool) -> list[tuple[int, str, str]]:
    request = pb.ImportScheduledStepsRequest(csv=text.encode(), **more)
    rows = (await worklist.stub.ImportScheduledSteps(request)).rows
    return [
        (row.line, pb.ImportOutcome.Name(row.outcome).removeprefix("IMPORT_OUTCOME_"), row.field)
        for row in rows
    ]


async def test_a_file_imported_again_changes_nothing_and_an_edited_one_what_was_edited(
    worklist: Worklist,
) -> None:
    text = HEAD + "P1,X,CT1,2026-01-05,09:30,CT,A1,stat\nP1,X,MR1 MR2,20260105,1030,MR,A1,\n"

    first = await imported(worklist, text)
    second = await imported(worklist, text)
    third = await imported(worklist, text.replace("1030", "1100"))

    assert [row[1] for row in first] == ["CREATED", "CREATED"]
    assert [row[1] for row in second] == ["UNCHANGED", "UNCHANGED"]
    assert [row[1] for row in third] == ["UNCHANGED", "UPDATED"]
    found = await query(worklist, values("ScheduledStationAETitle", "MR2"))
    assert found == ["P1"]


async def test_a_bad_row_is_named_and_the_others_are_taken_unless_all_or_nothing(
    worklist: Worklist,
) -> None:
    text = HEAD + "P1,X,CT1,20260105,0930,CT,A1,\nP2,X,CT1,20269905,0930,CT,A2,\nP3,X\n"

    nothing = await imported(worklist, text, all_or_nothing=True)
    left = await query(worklist)
    some = await imported(worklist, text)

    refusals = [(3, "REFUSED", "date"), (4, "REFUSED", "row")]
    assert nothing == [(2, "NOT_TAKEN", ""), *refusals]
    assert left == []
    assert some == [(2, "CREATED", ""), *refusals]
    assert await query(worklist) == ["P1"]


async def test_a_file_without_the_needed_columns_is_refused(worklist: Worklist) -> None:
    request = pb.ImportScheduledStepsRequest(csv=b"name\nX\n")

    reason, metadata = await refused(worklist.stub.ImportScheduledSteps(request))

    assert (reason, metadata["field"]) == ("ERROR_REASON_INVALID_FIELD", "csv")
