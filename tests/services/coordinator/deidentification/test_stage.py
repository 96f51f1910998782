"""De-identification as a stage of a study's workflow, over real gRPC and a real database."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.deid.v1 import deidentification_service_pb2 as deid_pb
from heimdallr.deid.v1 import profile_pb2
from heimdallr.deid.v1 import project_service_pb2 as project_pb
from heimdallr.deid.v1 import review_service_pb2 as pb
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb
from services.coordinator.deidentification.deletion import forget_study
from services.coordinator.retention.deletions import Deletions
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.ids import new_id
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.deidentification.conftest import Desk
from tests.services.coordinator.deidentification.fake_deid import TAG
from tests.services.coordinator.workflow.workshop import stage_named, states

pytestmark = pytest.mark.postgres
STAGE = "deidentify:trial-7"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def settled(desk: Desk, study_id: str) -> workflow_pb.StudyWorkflow:
    return await desk.workshop.until(
        study_id, lambda found: states(found).get(STAGE) in ("done", "held")
    )


async def test_a_study_that_was_asked_for_is_de_identified_and_held_objects_are_told(
    desk: Desk,
) -> None:
    project_id = await desk.project()
    desk.deid.holds[sha256(b"2")] = ("OCR_TEXT",)
    async with desk.workshop.working():
        study_id = await desk.workshop.begin(arrival(), arrival(number=2, data=b"2"))
        await desk.workshop.settled(study_id)
        (stage_id,) = await desk.start(project_id, study_id)
        workflow = await settled(desk, study_id)

    stage = stage_named(workflow, STAGE)
    assert (stage.stage_id, stage.summary) == (stage_id, "1 released, 1 held for review")
    series = await desk.only_series(study_id)
    assert (series.released_count, series.held_count) == (1, 1)
    assert (series.pseudonym, series.study_instance_uid) == ("PSEUDONYM1", "2.25.1")
    assert len(series.certificates) == 1
    released, held = await desk.objects(study_id)
    assert (released.state, held.state) == (pb.OBJECT_STATE_RELEASED, pb.OBJECT_STATE_HELD)
    assert [finding.code for finding in held.findings] == ["OCR_TEXT"]
    assert not held.HasField("released")
    assert (await settled(desk, study_id)).state == archive_pb.STUDY_STATE_READY


async def test_what_was_released_and_signed_belongs_to_the_studys_results(desk: Desk) -> None:
    project_id = await desk.project()
    async with desk.workshop.working():
        study_id = await desk.workshop.begin(arrival())
        await desk.start(project_id, study_id)
        await settled(desk, study_id)

    (found,) = await desk.objects(study_id)
    series = await desk.only_series(study_id)
    for sha in (found.released.sha256, series.certificates[0].sha256):
        assert await desk.workshop.views.results_blob_belongs(study_id, sha) is not None


async def test_a_request_made_before_the_study_is_complete_is_done_after(desk: Desk) -> None:
    project_id = await desk.project()
    study_id = await desk.workshop.receive(arrival())

    stage_ids = await desk.start(project_id, study_id)
    (before,) = await desk.released(project_id, study_id)
    async with desk.workshop.working():
        await desk.workshop.call_complete()
        await settled(desk, study_id)
    (after, *_) = await desk.released(project_id, study_id)

    assert stage_ids == []
    assert before.state == pb.RELEASE_STATE_RUNNING
    assert after.state == pb.RELEASE_STATE_COMPLETE


async def test_what_is_done_is_not_done_again_and_late_instances_are(desk: Desk) -> None:
    project_id = await desk.project()
    async with desk.workshop.working():
        study_id = await desk.workshop.begin(arrival())
        await desk.start(project_id, study_id)
        await settled(desk, study_id)
        first = await desk.start(project_id, study_id)
        await settled(desk, study_id)
        await desk.workshop.receive(
            arrival(number=2, data=b"2"), arrival(modality="MR", data=b"mr")
        )
        await desk.workshop.call_complete()
        workflow = await desk.workshop.until(
            study_id,
            lambda w: (
                w.generation == 2
                and [s.state for s in w.stages if s.generation == 2 and s.name == STAGE]
                == [workflow_pb.STAGE_STATE_DONE] * 2
            ),
        )

    assert len(first) == 1
    sent = [[one.content.sha256 for one in request.instances] for request in desk.deid.requests]
    assert sent[0] == [sha256(b"bytes")]
    assert sorted(sent[1:]) == sorted([[sha256(b"2")], [sha256(b"mr")]])
    assert workflow.generation == 2


async def test_a_series_that_nobody_asked_for_stays_as_it_is(desk: Desk) -> None:
    project_id = await desk.project()
    async with desk.workshop.working():
        study_id = await desk.workshop.begin(arrival(), arrival(modality="MR", data=b"mr"))
        await desk.workshop.settled(study_id)
        rows = await desk.rows("SELECT series_id::text FROM archive.series WHERE modality = 'MR'")
        await desk.start(project_id, study_id, rows[0]["series_id"])
        await settled(desk, study_id)
    (released,) = await desk.released(project_id, study_id)

    assert [one.content.sha256 for one in desk.deid.requests[0].instances] == [sha256(b"mr")]
    assert len(desk.deid.requests) == 1
    assert released.state == pb.RELEASE_STATE_NOT_BEGUN


async def test_another_profile_is_used_when_it_is_asked_for_again(desk: Desk) -> None:
    project_id = await desk.project()
    profile = profile_pb2.Profile(preset=profile_pb2.PROFILE_PRESET_BASIC)
    changed = project_pb.Project(project_id=project_id, profile=profile)
    async with desk.workshop.working():
        study_id = await desk.workshop.begin(arrival())
        await desk.start(project_id, study_id)
        await settled(desk, study_id)
        await desk.projects.UpdateProject(project_pb.UpdateProjectRequest(project=changed))
        assert len(desk.deid.requests) == 1
        await desk.start(project_id, study_id)
        await settled(desk, study_id)

    presets = [request.profile.preset for request in desk.deid.requests]
    assert presets == [profile_pb2.PROFILE_PRESET_RESEARCH, profile_pb2.PROFILE_PRESET_BASIC]


async def test_a_key_that_is_away_holds_the_stage_and_a_replay_does_it(desk: Desk) -> None:
    project_id = await desk.project()
    desk.deid.keyless = True
    async with desk.workshop.working():
        study_id = await desk.workshop.begin(arrival())
        await desk.start(project_id, study_id)
        held = stage_named(await settled(desk, study_id), STAGE)
        (while_held,) = await desk.released(project_id, study_id)
        desk.deid.keyless = False
        await desk.workshop.interventions.replay(held.stage_id)
        await desk.workshop.until(study_id, lambda w: states(w).get(STAGE) == "done")

    assert held.reason.code == "DEID_KEY_UNAVAILABLE"
    assert while_held.state == pb.RELEASE_STATE_HELD
    assert len(await desk.objects(study_id)) == 1


async def test_an_answer_that_leaves_an_object_out_is_not_taken(desk: Desk) -> None:
    project_id = await desk.project()
    desk.deid.forget = 1
    async with desk.workshop.working():
        study_id = await desk.workshop.begin(arrival(), arrival(number=2, data=b"2"))
        await desk.start(project_id, study_id)
        held = stage_named(await settled(desk, study_id), STAGE)

    assert held.reason.code == "INTERNAL"
    assert await desk.rows("SELECT FROM deidentification.object") == []
    assert await desk.rows("SELECT FROM crosswalk.link") == []


async def test_an_answer_that_does_not_hold_together_is_not_taken(desk: Desk) -> None:
    project_id = await desk.project()

    def of_another_file(outcome: deid_pb.InstanceOutcome) -> None:
        outcome.source_sha256 = "0" * 64

    def released_and_found(outcome: deid_pb.InstanceOutcome) -> None:
        outcome.findings.append(profile_pb2.Finding(code="IDENTIFIER_FOUND", rule="It is so."))

    def held_for_nothing(outcome: deid_pb.InstanceOutcome) -> None:
        outcome.ClearField("released")

    async with desk.workshop.working():
        study_id = await desk.workshop.begin(arrival())
        await desk.workshop.settled(study_id)
        for spoil in (of_another_file, released_and_found, held_for_nothing):
            desk.deid.spoil = spoil
            await desk.start(project_id, study_id)
            held = stage_named(await desk.workshop.reaches(study_id, "STUDY_STATE_HELD"), STAGE)
            assert held.reason.code == "INTERNAL"

    assert await desk.rows("SELECT FROM deidentification.object") == []


async def test_what_is_asked_while_it_runs_is_done_after_it(desk: Desk) -> None:
    project_id = await desk.project()
    reached, opened = asyncio.Event(), asyncio.Event()
    desk.deid.holds[sha256(b"bytes")] = ("OCR_TEXT",)

    async def wait() -> None:
        reached.set()
        await opened.wait()

    rule = profile_pb2.Rule(tag="00081030", action=profile_pb2.RULE_ACTION_REMOVE, reason="So.")
    async with desk.workshop.working():
        study_id = await desk.workshop.begin(arrival())
        await desk.start(project_id, study_id)
        await settled(desk, study_id)
        desk.deid.before = wait
        await desk.start(project_id, study_id)
        await reached.wait()
        added = await desk.review.AddRule(pb.AddRuleRequest(project_id=project_id, rule=rule))
        opened.set()
        await desk.workshop.until(
            study_id, lambda w: len(desk.deid.requests) == 3 and states(w)[STAGE] == "done"
        )

    assert added.series_count == 1
    assert [len(request.profile.rules) for request in desk.deid.requests] == [0, 0, 1]


async def test_a_patient_met_before_a_rotation_keeps_the_pseudonym(desk: Desk) -> None:
    project_id = await desk.project()
    async with desk.workshop.working():
        first = await desk.workshop.begin(arrival())
        await desk.start(project_id, first)
        await settled(desk, first)
        answer = await desk.projects.RotateProjectKey(
            project_pb.RotateProjectKeyRequest(project_id=project_id)
        )
        second = await desk.workshop.begin(arrival(study("1.2.2"), data=b"second"))
        await desk.start(project_id, second)
        await settled(desk, second)

    assert answer.key_version == 2
    assert desk.deid.requests[-1].key_versions == {TAG: 1}
    assert desk.deid.requests[-1].key_id == "0a1b2c3d"
    assert (await desk.only_series(second)).pseudonym == "PSEUDONYM1"


async def test_a_patient_whose_studies_are_gone_keeps_the_pseudonym_too(desk: Desk) -> None:
    project_id = await desk.project()
    deletions = Deletions(desk.pool, desk.workshop.archive, (forget_study,))
    async with desk.workshop.working():
        first = await desk.workshop.begin(arrival())
        await desk.start(project_id, first)
        await settled(desk, first)
        await desk.workshop.settled(first)
        await deletions.delete(first, subject="rita")
        desk.deid.newest = 2
        second = await desk.workshop.begin(arrival(study("1.2.2"), data=b"second"))
        await desk.start(project_id, second)
        await settled(desk, second)

    assert [dict(request.key_versions) for request in desk.deid.requests] == [{}, {}, {TAG: 1}]
    assert (await desk.only_series(second)).pseudonym == "PSEUDONYM1"


async def test_a_study_that_is_deleted_leaves_its_sealed_links_alone(desk: Desk) -> None:
    project_id = await desk.project()
    deletions = Deletions(desk.pool, desk.workshop.archive, (forget_study,))
    async with desk.workshop.working():
        study_id = await desk.workshop.begin(arrival())
        await desk.start(project_id, study_id)
        await settled(desk, study_id)
        await desk.workshop.settled(study_id)
        await deletions.delete(study_id, subject="rita")

    for table in ("request", "series", "object", "certificate"):
        assert await desk.rows(f"SELECT FROM deidentification.{table}") == [], table
    assert await desk.rows("SELECT FROM workflow.result_blob") == []
    assert len(await desk.rows("SELECT FROM crosswalk.link")) == 2


async def test_a_study_that_is_deleted_while_it_runs_leaves_nothing(desk: Desk) -> None:
    project_id = await desk.project()
    deletions = Deletions(desk.pool, desk.workshop.archive, (forget_study,))
    reached, opened = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        reached.set()
        await opened.wait()

    desk.deid.before = wait
    async with desk.workshop.working():
        study_id = await desk.workshop.begin(arrival())
        await desk.workshop.settled(study_id)
        await desk.start(project_id, study_id)
        await reached.wait()
        await desk.workshop.interventions.cancel(study_id)
        await deletions.delete(study_id, subject="rita")
        opened.set()
        other = await desk.workshop.begin(arrival(study("1.2.2"), data=b"other"))
        await desk.workshop.settled(other)

    assert await desk.rows("SELECT FROM deidentification.series") == []
    assert await desk.rows("SELECT FROM crosswalk.link") == []


async def test_no_report_speaks_of_it(desk: Desk) -> None:
    project_id = await desk.project()
    async with desk.workshop.working():
        study_id = await desk.workshop.receive(arrival())
        await desk.start(project_id, study_id)
        await desk.workshop.call_complete()
        await settled(desk, study_id)
        await desk.workshop.settled(study_id)
    results = await desk.workshop.views.results(study_id)

    assert results.report.pdf.sha256
    assert not any(series.refusals for series in results.series)


async def test_a_start_names_what_is_missing(desk: Desk) -> None:
    project_id = await desk.project()
    study_id = await desk.workshop.receive(arrival())

    async def reason(project: str, study: str, *series: str) -> str:
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await desk.start(project, study, *series)
        return caught.value.reason

    assert await reason(project_id, new_id()) == "ERROR_REASON_STUDY_NOT_FOUND"
    assert await reason(new_id(), study_id) == "ERROR_REASON_DEID_PROJECT_NOT_FOUND"
    assert await reason(project_id, study_id, new_id()) == "ERROR_REASON_SERIES_NOT_FOUND"
    assert await reason(project_id, "x") == "ERROR_REASON_INVALID_FIELD"
    assert await desk.rows("SELECT FROM deidentification.request") == []
