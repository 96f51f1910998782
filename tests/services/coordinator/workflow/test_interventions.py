"""What people change about the work on a study."""

from __future__ import annotations

import asyncio

import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from services.coordinator.archive.errors import SeriesNotFoundError, StudyNotFoundError
from services.coordinator.workflow.errors import StageNotFoundError, StageStateError
from services.coordinator.workflow.stages import Priority
from services.runtime.ids import new_id
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.workflow.fake_mesh import FakeMesh, Gate
from tests.services.coordinator.workflow.workshop import Workshop, stage_named, states

pytestmark = pytest.mark.postgres


async def _series_ids(workshop: Workshop, study_id: str) -> dict[str, str]:
    records = await workshop.archive.series_records(study_id)
    return {record.modality: record.series_id for record in records}


async def test_a_cancelled_study_is_held_and_its_running_work_is_ended(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    gate = Gate("convert CT")
    mesh.before = gate
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        await asyncio.wait_for(gate.reached.wait(), 10)
        await workshop.until(study_id, lambda found: states(found)["describe"] == "done")
        stopped = await workshop.interventions.cancel(study_id)
        gate.opened.set()
        await asyncio.sleep(0.3)
        workflow = await workshop.views.study_workflow(study_id)
        again = await workshop.interventions.cancel(study_id)

    held = stage_named(workflow, "convert")
    assert stopped == 3
    assert again == 0
    assert workflow.state == archive_pb.STUDY_STATE_HELD
    assert held.reason.code == "CANCELLED"
    assert [attempt.outcome for attempt in held.attempts] == ["cancelled"]
    assert "Needs a person: A person stopped the work on this study." in [
        wait.text for wait in workflow.waits
    ]


async def test_replaying_a_refused_conversion_does_again_what_depends_on_it(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    mesh.refuse = frozenset({"CT"})
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        workflow = await workshop.settled(study_id)
        mesh.refuse = frozenset()
        await workshop.interventions.replay(stage_named(workflow, "convert").stage_id)
        workflow = await workshop.reaches(study_id, "STUDY_STATE_READY")

    assert states(workflow)["convert"] == "done"
    assert states(workflow)["analyze:ct_tissue"] == "done"
    assert mesh.calls["report"] == 2
    assert mesh.calls["describe CT"] == 1


async def test_a_done_or_superseded_stage_is_not_replayed(workshop: Workshop) -> None:
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        workflow = await workshop.settled(study_id)
        done = stage_named(workflow, "convert").stage_id
        with pytest.raises(StageStateError) as of_done:
            await workshop.interventions.replay(done)
        await workshop.receive(arrival(number=2, data=b"late"))
        with pytest.raises(StageStateError) as of_old:
            await workshop.interventions.replay(done)

    assert of_done.value.metadata["state"] == "done"
    assert of_old.value.metadata["state"] == "superseded"


async def test_a_person_may_have_another_model_run_and_the_report_made_anew(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    async with workshop.working():
        study_id = await workshop.begin(arrival(), arrival(modality="SR", data=b"sr"))
        await workshop.settled(study_id)
        series = await _series_ids(workshop, study_id)
        wanted = [series["CT"], series["SR"]]
        first = await workshop.interventions.start_analysis(
            study_id, wanted, "other_model", "1", None
        )
        await workshop.reaches(study_id, "STUDY_STATE_READY")
        again = await workshop.interventions.start_analysis(
            study_id, wanted, "other_model", "1", None
        )
        workflow = await workshop.reaches(study_id, "STUDY_STATE_READY")

    assert first == again
    assert len(set(first)) == 2
    assert mesh.calls["convert CT"] == 1
    assert mesh.calls["convert SR"] == 1
    assert mesh.calls["analyze other_model CT"] == 1
    assert mesh.calls["analyze other_model SR"] == 1
    assert mesh.calls["report"] == 2
    assert len(mesh.reports[1].series[0].analyses) == 2
    assert states(workflow)["analyze:other_model"] == "done"


async def test_a_newer_version_of_the_model_runs_again(workshop: Workshop, mesh: FakeMesh) -> None:
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        await workshop.settled(study_id)
        series = await _series_ids(workshop, study_id)
        await workshop.interventions.start_analysis(
            study_id, [series["CT"]], "ct_tissue", "2", None
        )
        await workshop.reaches(study_id, "STUDY_STATE_READY")

    assert mesh.calls["analyze ct_tissue CT"] == 2


async def test_a_report_that_is_being_made_begins_again_for_a_new_analysis(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    gate = Gate("report")
    mesh.before = gate
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        await asyncio.wait_for(gate.reached.wait(), 10)
        series = await _series_ids(workshop, study_id)
        await workshop.interventions.start_analysis(
            study_id, [series["CT"]], "other_model", "1", None
        )
        gate.opened.set()
        workflow = await workshop.settled(study_id)

    attempts = stage_named(workflow, "report").attempts
    assert [attempt.outcome for attempt in attempts] == ["fenced", "done"]
    assert len(mesh.reports[-1].series[0].analyses) == 2


async def test_an_analysis_asked_for_early_runs_once_the_study_is_planned(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    study_id = await workshop.receive(arrival(modality="SR", data=b"sr"))
    series = await _series_ids(workshop, study_id)
    early = await workshop.interventions.start_analysis(
        study_id, [series["SR"]], "other_model", "1", Priority.HIGH
    )
    async with workshop.working():
        await workshop.call_complete()
        workflow = await workshop.settled(study_id)

    assert early == []
    assert workflow.priority == pb.PRIORITY_HIGH
    assert mesh.calls["analyze other_model SR"] == 1


async def test_a_changed_priority_overtakes_what_was_queued_before(workshop: Workshop) -> None:
    ids = [await workshop.begin(arrival(study(f"1.2.{n}"), data=b"%d" % n)) for n in range(3)]
    await workshop.interventions.set_priority(ids[2], Priority.STAT)
    waiting = await workshop.views.study_workflow(ids[1])
    first = await workshop.views.study_workflow(ids[2])

    assert [wait.text for wait in waiting.waits] == ["Waits for its turn (2 before it)"]
    assert [wait.text for wait in first.waits] == ["Waits for its turn (0 before it)"]
    assert first.priority == pb.PRIORITY_STAT


async def test_what_does_not_exist_is_named(workshop: Workshop) -> None:
    unknown = new_id()
    study_id = await workshop.receive(arrival())

    with pytest.raises(StageNotFoundError):
        await workshop.interventions.replay(unknown)
    with pytest.raises(StudyNotFoundError):
        await workshop.interventions.cancel(unknown)
    with pytest.raises(StudyNotFoundError):
        await workshop.interventions.set_priority(unknown, Priority.LOW)
    with pytest.raises(SeriesNotFoundError):
        await workshop.interventions.start_analysis(study_id, [unknown], "m", "1", None)
