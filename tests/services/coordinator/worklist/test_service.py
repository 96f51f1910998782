"""Scheduling, through a real channel."""

from __future__ import annotations

import pytest

from heimdallr.worklist.v1 import scheduled_step_pb2 as step_pb
from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from services.runtime.ids import new_id
from tests.services.coordinator.worklist.asking import query, refused, schedule, values
from tests.services.coordinator.worklist.conftest import Worklist, scheduled

pytestmark = pytest.mark.postgres


STATE = "ERROR_REASON_PROCEDURE_STEP_STATE"


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
