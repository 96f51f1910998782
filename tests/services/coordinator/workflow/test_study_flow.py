"""A study from its last instance to its report, over real gRPC and a real database."""

from __future__ import annotations

import grpc
import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from services.runtime.errors import BlobNotFoundError, ServiceError
from services.runtime.postgres import Pool, connection
from tests.services.coordinator.archive.arrivals import arrival
from tests.services.coordinator.workflow.fake_mesh import FakeMesh
from tests.services.coordinator.workflow.workshop import Workshop, stage_named, states

pytestmark = pytest.mark.postgres


class ModelAwayError(ServiceError):
    """What analysis answers while its model server is away."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_MODEL_UNAVAILABLE


async def _events(pool: Pool, study_id: str) -> list[str]:
    async with connection(pool) as borrowed:
        rows = await borrowed.fetch(
            "SELECT state FROM events.event WHERE study_id = $1 AND type = 'STUDY_STATE_CHANGED' "
            "ORDER BY event_id",
            study_id,
        )
    return [row["state"] for row in rows]


async def test_a_study_becomes_ready_once_with_every_result(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    async with workshop.working():
        study_id = await workshop.begin(arrival(), arrival(number=2, data=b"2"))
        workflow = await workshop.settled(study_id)

    assert states(workflow) == {
        "plan": "done",
        "describe": "done",
        "convert": "done",
        "analyze:ct_tissue": "done",
        "report": "done",
    }
    assert workflow.state == archive_pb.STUDY_STATE_READY
    assert workflow.evidence == archive_pb.EVIDENCE_QUIET
    assert not workflow.waits
    assert await _events(workshop.pool, study_id) == [
        "STUDY_STATE_COMPLETE",
        "STUDY_STATE_PROCESSING",
        "STUDY_STATE_READY",
    ]
    assert mesh.calls == {
        "select": 1,
        "models": 1,
        "describe CT": 1,
        "convert CT": 1,
        "analyze ct_tissue CT": 1,
        "report": 1,
    }


async def test_results_name_what_was_made_and_their_blobs_belong_to_the_study(
    workshop: Workshop,
) -> None:
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        await workshop.settled(study_id)

    results = await workshop.views.results(study_id)

    (series,) = results.series
    assert results.generation == 1
    assert series.volume.modality == "CT"
    assert len(series.analyses) == 1
    assert results.report.pdf.sha256
    found = await workshop.views.results_blob_belongs(study_id, results.report.pdf.sha256)
    assert found is not None
    assert found.size_bytes == results.report.pdf.size_bytes
    assert await workshop.views.results_blob_belongs(study_id, "0" * 64) is None


async def test_the_plan_says_which_series_and_models_were_chosen_and_why(
    workshop: Workshop,
) -> None:
    async with workshop.working():
        study_id = await workshop.begin(arrival(), arrival(modality="SR", data=b"sr"))
        workflow = await workshop.settled(study_id)

    selected = {score.selected for score in workflow.plan.series}
    choices = {choice.model: (choice.chosen, choice.text) for choice in workflow.plan.models}
    assert selected == {True, False}
    assert choices == {
        "ct_tissue": (True, "Run on 1 selected CT series: the model is made for CT."),
        "other_model": (False, "Runs only when a person asks."),
    }


async def test_selection_is_not_told_who_the_patient_is(workshop: Workshop, mesh: FakeMesh) -> None:
    named = InstanceAttributes(modality="CT", patient_name="CANARY^NAME", patient_id="CANARY-ID")
    async with workshop.working():
        study_id = await workshop.begin(arrival(attributes=named.SerializeToString()))
        await workshop.settled(study_id)

    (selection,) = mesh.selections
    assert b"CANARY" not in selection.SerializeToString()


async def test_a_refused_conversion_goes_into_the_report(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    mesh.refuse = frozenset({"CT"})
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        workflow = await workshop.settled(study_id)

    assert states(workflow)["convert"] == "refused"
    assert states(workflow)["analyze:ct_tissue"] == "refused"
    assert workflow.state == archive_pb.STUDY_STATE_READY
    (report,) = mesh.reports
    codes = [refusal.code for refusal in report.series[0].refusals]
    assert sorted(codes) == ["SERIES_NOT_CONVERTED", "UNEVEN_SPACING"]
    assert stage_named(workflow, "convert").reason.text == "The slices are not evenly spaced."


async def test_the_report_names_patient_evidence_and_a_time_that_a_retry_keeps(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    async def fail_once(name: str) -> None:
        if name == "report" and mesh.calls[name] == 1:
            raise RuntimeError("a fault of the service")

    mesh.before = fail_once
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        workflow = await workshop.settled(study_id)

    first, report = mesh.reports
    stage = stage_named(workflow, "report")
    assert first.attempt_id != report.attempt_id
    assert first.report_time == report.report_time
    assert report.subject.patient_name == "Doe^Jane"
    assert report.subject.completeness == ("Taken as complete: no more images came for a set time.")
    assert [attempt.outcome for attempt in stage.attempts] == ["failed", "done"]


async def test_attempts_say_who_worked_and_with_which_version(workshop: Workshop) -> None:
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        workflow = await workshop.settled(study_id)

    (attempt,) = stage_named(workflow, "convert").attempts
    assert attempt.worker == "tester"
    assert attempt.service_version == "1.2.3"
    assert attempt.outcome == "done"
    assert attempt.end_time.ToDatetime() >= attempt.start_time.ToDatetime()


async def test_missing_images_hold_the_stage_at_once_with_a_sentence(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    async def lose(name: str) -> None:
        if name == "convert CT":
            raise BlobNotFoundError("0" * 64)

    mesh.before = lose
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        workflow = await workshop.settled(study_id)

    held = stage_named(workflow, "convert")
    assert workflow.state == archive_pb.STUDY_STATE_HELD
    assert len(held.attempts) == 1
    assert held.reason.code == "BLOB_NOT_FOUND"
    assert workflow.waits[0].code == "PERSON"
    assert workflow.waits[0].text.startswith("Needs a person: Stored images")


async def test_an_unreachable_model_holds_and_a_replay_makes_the_study_ready(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    away = True

    async def model_away(name: str) -> None:
        if away and name.startswith("analyze"):
            raise ModelAwayError("away", model="ct_tissue")

    mesh.before = model_away
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        held = await workshop.settled(study_id)
        away = False
        stage = stage_named(held, "analyze:ct_tissue")
        await workshop.interventions.replay(stage.stage_id)
        ready = await workshop.reaches(study_id, "STUDY_STATE_READY")

    assert held.state == archive_pb.STUDY_STATE_HELD
    assert stage.reason.code == "MODEL_UNAVAILABLE"
    assert stage.reason.text.startswith("The model server is not running")
    assert states(ready)["report"] == "done"
    assert mesh.calls["report"] == 1


async def test_a_late_series_runs_only_what_depends_on_it(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        await workshop.settled(study_id)
        await workshop.begin(arrival(modality="MR", data=b"late"))
        workflow = await workshop.reaches(study_id, "STUDY_STATE_READY")

    old = [stage for stage in workflow.stages if stage.generation == 1]
    assert workflow.generation == 2
    assert {stage.state for stage in old} == {6}
    assert mesh.calls["describe CT"] == 1
    assert mesh.calls["convert CT"] == 1
    assert mesh.calls["analyze ct_tissue CT"] == 1
    assert mesh.calls["convert MR"] == 1
    assert mesh.calls["report"] == 2
    assert (await workshop.views.results(study_id)).generation == 2
    assert len(mesh.reports[1].series) == 2
    assert mesh.reports[1].subject.generation == 2


async def test_a_late_instance_of_the_same_series_converts_it_again(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        await workshop.settled(study_id)
        await workshop.begin(arrival(number=2, data=b"late"))
        await workshop.reaches(study_id, "STUDY_STATE_READY")

    assert mesh.calls["convert CT"] == 2
    assert mesh.calls["analyze ct_tissue CT"] == 2
