"""Projects, decisions, comparisons and what may go outside, over real gRPC and a real database."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable

import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.deid.v1 import profile_pb2
from heimdallr.deid.v1 import project_service_pb2 as project_pb
from heimdallr.deid.v1 import review_service_pb2 as pb
from heimdallr.deid.v1 import review_service_pb2_grpc as review_grpc
from services.coordinator.deidentification.gauges import DeidGauges
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.ids import new_id
from services.runtime.metrics import REGISTRY
from tests.services.coordinator.archive.arrivals import arrival
from tests.services.coordinator.deidentification.conftest import Desk
from tests.services.coordinator.workflow.workshop import states

pytestmark = pytest.mark.postgres
STAGE = "deidentify:trial-7"
BOTH_DATES = profile_pb2.Profile(
    preset=profile_pb2.PROFILE_PRESET_RESEARCH,
    added_options=[profile_pb2.PROFILE_OPTION_RETAIN_FULL_DATES],
)
UNKNOWN = profile_pb2.PROFILE_OPTION_UNSPECIFIED
RESEARCH = profile_pb2.Profile(preset=profile_pb2.PROFILE_PRESET_RESEARCH)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def reason_of(call: Awaitable[object]) -> str:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await call
    return caught.value.reason


async def done(desk: Desk, study_id: str, requests: int) -> None:
    await desk.workshop.until(
        study_id,
        lambda w: len(desk.deid.requests) == requests and states(w).get(STAGE) == "done",
    )


async def reviewed(desk: Desk, project_id: str, *codes: str) -> str:
    """Have a study of three instances de-identified of which the second and third are held."""
    desk.deid.holds = {sha256(b"2"): codes, sha256(b"3"): ("OCR_TEXT",)}
    study_id = await desk.workshop.begin(
        arrival(), arrival(number=2, data=b"2"), arrival(number=3, data=b"3")
    )
    await desk.start(project_id, study_id)
    await done(desk, study_id, 1)
    return study_id


async def test_what_a_person_approves_is_made_again_alone_and_goes_outside(desk: Desk) -> None:
    project_id = await desk.project()
    async with desk.workshop.working():
        study_id = await reviewed(desk, project_id, "OCR_TEXT", "FACE")
        (waiting,) = await desk.released(project_id, study_id)
        _, partly = await desk.released(project_id, study_id, despite_held=True)
        decided = await desk.decide(study_id, 2)
        await done(desk, study_id, 2)
        approved = (await desk.objects(study_id))[1]
        await desk.decide(study_id, 3, pb.DECISION_REJECT, "It is a name.")
        head, objects = await desk.released(project_id, study_id)

    assert (waiting.state, waiting.held_count) == (pb.RELEASE_STATE_HELD, 2)
    assert len(partly.objects) == 1
    assert (decided.decided_by, decided.decision_reason) == ("rita", "It is a ruler.")
    (again,) = desk.deid.requests[1].instances
    assert again.content.sha256 == sha256(b"2")
    assert list(again.approved_codes) == ["FACE", "OCR_TEXT"]
    assert approved.state == pb.OBJECT_STATE_APPROVED
    assert head.state == pb.RELEASE_STATE_COMPLETE
    assert (head.released_count, head.rejected_count, len(head.objects)) == (2, 1, 0)
    first, second = objects.objects
    assert second.released == approved.released
    assert first.study_instance_uid == "2.25.1"
    assert first.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"


async def test_found_identifiers_and_unread_pixels_cannot_be_approved(desk: Desk) -> None:
    project_id = await desk.project()
    async with desk.workshop.working():
        study_id = await reviewed(desk, project_id, "IDENTIFIER_FOUND")

        assert await reason_of(desk.decide(study_id, 2)) == "ERROR_REASON_NOT_RELEASED"
        await desk.pool.execute("UPDATE deidentification.object SET codes = '{OCR_UNAVAILABLE}'")
        assert await reason_of(desk.decide(study_id, 3)) == "ERROR_REASON_NOT_RELEASED"
        assert await reason_of(desk.decide(study_id, 3, reason=" ")) == "ERROR_REASON_INVALID_FIELD"
        unknown = "ERROR_REASON_DEIDENTIFICATION_NOT_FOUND"
        assert await reason_of(desk.decide(study_id, 1)) == unknown
    assert len(desk.deid.requests) == 1


async def test_what_is_held_again_waits_for_a_new_decision(desk: Desk) -> None:
    project_id = await desk.project()
    async with desk.workshop.working():
        study_id = await reviewed(desk, project_id, "OCR_TEXT")
        desk.deid.holds[sha256(b"2")] = ("OCR_TEXT", "IDENTIFIER_FOUND")
        await desk.decide(study_id, 2)
        await done(desk, study_id, 2)
        found = (await desk.objects(study_id))[1]

    assert (found.state, found.decided_by) == (pb.OBJECT_STATE_HELD, "")
    assert [finding.code for finding in found.findings] == ["IDENTIFIER_FOUND"]
    assert (await desk.only_series(study_id)).held_count == 2


async def test_what_was_released_can_still_be_kept_inside_and_let_go_again(desk: Desk) -> None:
    project_id = await desk.project()
    async with desk.workshop.working():
        study_id = await desk.workshop.begin(arrival())
        await desk.start(project_id, study_id)
        await done(desk, study_id, 1)
        rejected = await desk.decide(study_id, 1, pb.DECISION_REJECT, "A name is in the picture.")
        (inside,) = await desk.released(project_id, study_id)
        await desk.start(project_id, study_id)
        unmoved = len(desk.deid.requests)
        await desk.decide(study_id, 1)
        await done(desk, study_id, 2)
        (head, _objects) = await desk.released(project_id, study_id)

    assert rejected.state == pb.OBJECT_STATE_REJECTED
    assert not rejected.HasField("released")
    assert (inside.state, inside.released_count) == (pb.RELEASE_STATE_COMPLETE, 0)
    assert unmoved == 1
    assert head.released_count == 1


async def test_a_rule_is_used_for_what_is_held_and_counted_by_series(desk: Desk) -> None:
    project_id = await desk.project()
    rule = profile_pb2.Rule(tag="0008103e", action=profile_pb2.RULE_ACTION_EMPTY, reason="Names.")
    async with desk.workshop.working():
        study_id = await reviewed(desk, project_id, "OCR_TEXT")
        desk.deid.holds.clear()
        added = await desk.review.AddRule(pb.AddRuleRequest(project_id=project_id, rule=rule))
        await done(desk, study_id, 2)

    assert added.series_count == 1
    (used,) = desk.deid.requests[1].profile.rules
    assert (used.tag, used.reason) == ("0008103E", "Names.")
    assert (await desk.only_series(study_id)).released_count == 3
    wrong = profile_pb2.Rule(tag="0008", action=profile_pb2.RULE_ACTION_EMPTY)
    call = desk.review.AddRule(pb.AddRuleRequest(project_id=project_id, rule=wrong))
    assert await reason_of(call) == "ERROR_REASON_INVALID_FIELD"


async def test_values_are_masked_unless_somebody_may_see_them_and_that_is_recorded(
    desk: Desk,
) -> None:
    project_id = await desk.project()
    async with desk.workshop.working():
        study_id = await reviewed(desk, project_id, "OCR_TEXT")
    series = await desk.only_series(study_id)
    ids = {
        "deidentification_id": series.deidentification_id,
        "instance_id": (await desk.objects(study_id))[0].instance_id,
    }

    masked = await desk.review.CompareObject(pb.CompareObjectRequest(**ids))
    shown = await desk.review.RevealObject(pb.RevealObjectRequest(**ids))
    reviewer = desk.server.channel(
        Permission.PERMISSION_DEID_READ, Permission.PERMISSION_DEID_REVIEW
    )
    call = review_grpc.DeidReviewServiceStub(reviewer).RevealObject(pb.RevealObjectRequest(**ids))

    assert await reason_of(call) == "ERROR_REASON_PERMISSION_DENIED"
    assert masked.comparison.changes[0].before == "***"
    assert shown.comparison.changes[0].before == "Doe^Jane"
    assert [one.key_version for one in desk.deid.compared] == [1, 1]
    (entry,) = [one for one in desk.server.trail.entries if one.method.endswith("RevealObject")]
    assert (entry.subject, entry.object_id) == ("rita", series.deidentification_id)


async def test_lists_go_page_by_page_and_by_state(desk: Desk) -> None:
    project_id = await desk.project()
    async with desk.workshop.working():
        study_id = await reviewed(desk, project_id, "OCR_TEXT")
    series = await desk.only_series(study_id)
    numbers: list[int] = []
    token = ""
    while True:
        page = await desk.review.GetDeidentification(
            pb.GetDeidentificationRequest(
                deidentification_id=series.deidentification_id, page_size=1, page_token=token
            )
        )
        numbers += [one.instance_number for one in page.objects]
        token = page.next_page_token
        if not token:
            break
    listed = [
        len(
            (
                await desk.review.ListDeidentifications(
                    pb.ListDeidentificationsRequest(project_id=project_id, state=state)
                )
            ).deidentifications
        )
        for state in (pb.OBJECT_STATE_HELD, pb.OBJECT_STATE_REJECTED)
    ]

    assert numbers == [1, 2, 3]
    assert listed == [1, 0]


async def test_a_project_is_summed_up_and_its_name_is_its_own(desk: Desk) -> None:
    project_id = await desk.project(two_persons=True)
    async with desk.workshop.working():
        study_id = await reviewed(desk, project_id, "OCR_TEXT", "FACE")
    again = desk.projects.CreateProject(
        project_pb.CreateProjectRequest(
            project=project_pb.Project(name="trial-7", profile=RESEARCH)
        )
    )
    assert await reason_of(again) == "ERROR_REASON_DEID_PROJECT_EXISTS"
    for wrong in (
        project_pb.Project(name="Trial 7"),
        project_pb.Project(name="x", profile=profile_pb2.Profile(added_options=[UNKNOWN])),
        project_pb.Project(name="x", description="x" * 1001),
        project_pb.Project(name="x", profile=BOTH_DATES),
    ):
        call = desk.projects.CreateProject(project_pb.CreateProjectRequest(project=wrong))
        assert await reason_of(call) == "ERROR_REASON_INVALID_FIELD"
    missing = desk.projects.GetProject(project_pb.GetProjectRequest(project_id=new_id()))
    assert await reason_of(missing) == "ERROR_REASON_DEID_PROJECT_NOT_FOUND"

    renamed = project_pb.Project(project_id=project_id, name="other", profile=RESEARCH)
    alone = project_pb.Project(project_id=project_id, profile=RESEARCH, two_persons=False)
    lessen = desk.projects.UpdateProject(project_pb.UpdateProjectRequest(project=alone))
    assert await reason_of(lessen) == "ERROR_REASON_INVALID_FIELD"
    rename = desk.projects.UpdateProject(project_pb.UpdateProjectRequest(project=renamed))
    assert await reason_of(rename) == "ERROR_REASON_INVALID_FIELD"
    answer = await desk.projects.GetProject(project_pb.GetProjectRequest(project_id=project_id))
    listed = await desk.projects.ListProjects(project_pb.ListProjectsRequest())

    summary = answer.summary
    assert (summary.patient_count, summary.study_count) == (1, 1)
    assert (summary.released_count, summary.held_count) == (1, 2)
    assert [(one.code, one.count) for one in summary.held_by_code] == [("OCR_TEXT", 2), ("FACE", 1)]
    assert list(listed.projects) == [answer.project]
    assert answer.project.two_persons
    events = await desk.rows(
        "SELECT count(*) FROM events.event WHERE study_id = $1"
        " AND type = 'DEIDENTIFICATION_CHANGED'",
        study_id,
    )
    assert events[0]["count"] == 1


async def test_objects_are_counted_for_prometheus_by_what_stands_of_them(desk: Desk) -> None:
    project_id = await desk.project()
    async with desk.workshop.working():
        await reviewed(desk, project_id, "OCR_TEXT")

    await DeidGauges(desk.pool).gather()

    name = "heimdallr_deidentified_objects"
    counted = [REGISTRY.get_sample_value(name, {"state": s}) for s in ("released", "held")]
    assert counted == [1.0, 2.0]
