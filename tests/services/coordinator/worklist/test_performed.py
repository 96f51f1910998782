"""What modalities say they did, through a real channel."""

from __future__ import annotations

import pytest

from heimdallr.worklist.v1 import performed_step_pb2 as performed_pb
from heimdallr.worklist.v1 import scheduled_step_pb2 as step_pb
from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from tests.services.coordinator.worklist.asking import refused, schedule
from tests.services.coordinator.worklist.conftest import Worklist, scheduled

pytestmark = pytest.mark.postgres

STEP = "1.2.826.0.1.77"
STATE = "ERROR_REASON_PROCEDURE_STEP_STATE"


def began(*references: performed_pb.ScheduledReference) -> pb.CreatePerformedStepRequest:
    return pb.CreatePerformedStepRequest(
        step=performed_pb.PerformedStep(
            sop_instance_uid=STEP,
            state=performed_pb.PERFORMED_STEP_STATE_IN_PROGRESS,
            scheduled=references,
            patient_id="P1",
            patient_name="DOE^JANE\0\x1b",
            modality="CT",
            performed_station_ae_title="CT1",
            start_date="20260105",
        )
    )


def of(step: step_pb.ScheduledStep) -> performed_pb.ScheduledReference:
    return performed_pb.ScheduledReference(
        study_instance_uid=step.spec.procedure.study_instance_uid,
        scheduled_procedure_step_id=step.spec.scheduled_procedure_step_id,
    )


def study(uid: str) -> performed_pb.ScheduledReference:
    return performed_pb.ScheduledReference(study_instance_uid=uid)


def change(
    state: performed_pb.PerformedStepState.ValueType, *instances: str
) -> pb.UpdatePerformedStepRequest:
    series = performed_pb.PerformedSeries(
        series_instance_uid="1.2.9",
        instances=[performed_pb.ReferencedInstance(sop_instance_uid=uid) for uid in instances],
    )
    return pb.UpdatePerformedStepRequest(
        sop_instance_uid=STEP, state=state, end_date="20260105", series=[series]
    )


async def state_of(worklist: Worklist) -> str:
    listed = await worklist.stub.ListScheduledSteps(pb.ListScheduledStepsRequest())
    return step_pb.ScheduledStepState.Name(listed.steps[0].state).rpartition("_")[2]


async def test_a_step_begins_goes_on_and_ends_and_the_scheduled_one_with_it(
    worklist: Worklist,
) -> None:
    step = await schedule(worklist, scheduled())
    states = [await state_of(worklist)]

    await worklist.stub.CreatePerformedStep(began(of(step)))
    states.append(await state_of(worklist))
    more = change(performed_pb.PERFORMED_STEP_STATE_UNSPECIFIED, "1.1")
    await worklist.stub.UpdatePerformedStep(more)
    last = change(performed_pb.PERFORMED_STEP_STATE_COMPLETED, "1.1", "1.2")
    await worklist.stub.UpdatePerformedStep(last)
    states.append(await state_of(worklist))

    uid = step.spec.procedure.study_instance_uid
    found = await worklist.stub.ListPerformedSteps(
        pb.ListPerformedStepsRequest(study_instance_uid=uid)
    )
    (performed,) = found.steps
    assert states == ["SCHEDULED", "STARTED", "COMPLETED"]
    assert worklist.heard.said == [("began", uid, STEP), ("ended", uid, STEP, "1.1", "1.2")]
    assert performed.state == performed_pb.PERFORMED_STEP_STATE_COMPLETED
    assert performed.patient_name == "DOE^JANE"
    assert performed.end_date == "20260105"
    assert [one.sop_instance_uid for one in performed.series[0].instances] == ["1.1", "1.2"]


@pytest.mark.parametrize("final", ["COMPLETED", "DISCONTINUED"])
async def test_a_final_step_changes_no_more(worklist: Worklist, final: str) -> None:
    state = performed_pb.PerformedStepState.Value(f"PERFORMED_STEP_STATE_{final}")
    await worklist.stub.CreatePerformedStep(began(study("1.2")))
    await worklist.stub.UpdatePerformedStep(change(state, "1.1"))

    call = worklist.stub.UpdatePerformedStep(change(state, "1.1"))

    assert await refused(call) == (STATE, {"state": final.lower()})


async def test_a_step_is_created_once_in_progress_and_for_an_order(worklist: Worklist) -> None:
    await worklist.stub.CreatePerformedStep(began(study("1.2")))
    ended = began(study("1.2"))
    ended.step.state = performed_pb.PERFORMED_STEP_STATE_COMPLETED

    again = await refused(worklist.stub.CreatePerformedStep(began(study("1.2"))))
    finished = await refused(worklist.stub.CreatePerformedStep(ended))
    orphan = await refused(worklist.stub.CreatePerformedStep(began()))

    assert again == (STATE, {"state": "exists"})
    assert finished[1]["field"] == "step.state"
    assert orphan[1]["field"] == "step.scheduled"


async def test_an_unknown_step_is_not_found(worklist: Worklist) -> None:
    call = worklist.stub.UpdatePerformedStep(change(performed_pb.PERFORMED_STEP_STATE_COMPLETED))

    assert (await refused(call))[0] == "ERROR_REASON_PROCEDURE_STEP_NOT_FOUND"


async def test_what_was_broken_off_announces_nothing_and_may_be_done_again(
    worklist: Worklist,
) -> None:
    step = await schedule(worklist, scheduled())
    await worklist.stub.CreatePerformedStep(began(of(step)))
    off = change(performed_pb.PERFORMED_STEP_STATE_DISCONTINUED, "1.1")
    await worklist.stub.UpdatePerformedStep(off)
    first = await state_of(worklist)
    again = began(of(step))
    again.step.sop_instance_uid = f"{STEP}.1"
    await worklist.stub.CreatePerformedStep(again)

    uid = step.spec.procedure.study_instance_uid
    assert worklist.heard.said[1] == ("ended", uid, STEP)
    assert first == "DISCONTINUED"
    assert await state_of(worklist) == "STARTED"


async def test_a_step_for_two_studies_announces_no_instances(worklist: Worklist) -> None:
    await worklist.stub.CreatePerformedStep(began(study("1.2"), study("1.3")))
    done = change(performed_pb.PERFORMED_STEP_STATE_COMPLETED, "1.1")
    await worklist.stub.UpdatePerformedStep(done)

    assert worklist.heard.said[2:] == [("ended", "1.2", STEP), ("ended", "1.3", STEP)]


async def test_a_scheduled_step_that_began_is_not_changed_by_people(worklist: Worklist) -> None:
    step = await schedule(worklist, scheduled())
    await worklist.stub.CreatePerformedStep(began(of(step)))
    cancel = pb.CancelScheduledStepRequest(scheduled_step_id=step.scheduled_step_id)
    delete = pb.DeleteScheduledStepRequest(scheduled_step_id=step.scheduled_step_id)

    assert await refused(worklist.stub.CancelScheduledStep(cancel)) == (STATE, {"state": "started"})
    assert await refused(worklist.stub.DeleteScheduledStep(delete)) == (STATE, {"state": "started"})


async def test_performed_steps_are_listed_page_by_page_and_by_state(worklist: Worklist) -> None:
    for number in range(3):
        request = began(study("1.2"))
        request.step.sop_instance_uid = f"{STEP}.{number}"
        await worklist.stub.CreatePerformedStep(request)
    seen: list[str] = []
    token = ""
    while True:
        asked = pb.ListPerformedStepsRequest(
            page_size=2, page_token=token, state=performed_pb.PERFORMED_STEP_STATE_IN_PROGRESS
        )
        page = await worklist.stub.ListPerformedSteps(asked)
        seen += [step.sop_instance_uid for step in page.steps]
        token = page.next_page_token
        if not token:
            break
    completed = pb.ListPerformedStepsRequest(state=performed_pb.PERFORMED_STEP_STATE_COMPLETED)

    assert seen == [f"{STEP}.2", f"{STEP}.1", f"{STEP}.0"]
    assert not (await worklist.stub.ListPerformedSteps(completed)).steps
