"""Who may know who stands behind a pseudonym, over real gRPC and a real database."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.deid.v1 import crosswalk_service_pb2 as pb
from heimdallr.deid.v1 import deidentification_service_pb2 as deid_pb
from services.coordinator.crosswalk.reidentification import Link, PseudonymKind
from services.coordinator.crosswalk.store import keep_links
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.ids import new_id
from services.runtime.postgres import transaction
from tests.services.coordinator.deidentification.conftest import Desk

pytestmark = pytest.mark.postgres

NOT_FOUND = "ERROR_REASON_REIDENTIFICATION_NOT_FOUND"
STATE = "ERROR_REASON_REIDENTIFICATION_STATE"


async def reason_of(call: Awaitable[object]) -> str:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await call
    return caught.value.reason


async def known(desk: Desk, *, two_persons: bool) -> str:
    """Make a project that knows a patient and return our id of it."""
    project_id = await desk.project(two_persons=two_persons)
    link = Link(PseudonymKind.PATIENT, "PSEUDONYM1", b"sealed PSEUDONYM1", "tag", 1)
    async with transaction(desk.pool) as connection:
        await keep_links(connection, project_id, [link, link])
    return project_id


def question(project: str, **more: object) -> pb.RequestReidentificationRequest:
    values: dict[str, object] = {
        "project_id": project,
        "kind": deid_pb.PSEUDONYM_KIND_PATIENT,
        "pseudonym": "PSEUDONYM1",
        "reason": "An incidental finding.",
    }
    return pb.RequestReidentificationRequest(**(values | more))  # type: ignore[arg-type]


async def asked(desk: Desk, subject: str, project_id: str) -> pb.Reidentification:
    answer = await desk.crosswalk(subject).RequestReidentification(question(project_id))
    return answer.reidentification


async def test_it_is_told_after_another_person_agreed_and_every_step_is_recorded(
    desk: Desk,
) -> None:
    project_id = await known(desk, two_persons=True)
    rita, otto = desk.crosswalk("rita"), desk.crosswalk("otto")
    request = await asked(desk, "rita", project_id)
    told = pb.ReidentifyRequest(reidentification_id=request.reidentification_id)
    decision = pb.DecideReidentificationRequest(
        reidentification_id=request.reidentification_id, agree=True
    )

    assert request.state == pb.REIDENTIFICATION_STATE_WAITING
    assert await reason_of(rita.Reidentify(told)) == STATE
    assert await reason_of(rita.DecideReidentification(decision)) == STATE
    agreed = (await otto.DecideReidentification(decision)).reidentification
    assert await reason_of(otto.Reidentify(told)) == NOT_FOUND
    answer = await rita.Reidentify(told)
    assert await reason_of(otto.DecideReidentification(decision)) == STATE

    assert (agreed.state, agreed.decided_by) == (pb.REIDENTIFICATION_STATE_AGREED, "otto")
    assert answer.identity.patient_id_text == "P1"
    listed = await otto.ListReidentifications(
        pb.ListReidentificationsRequest(project_id=project_id)
    )
    assert [one.told_count for one in listed.reidentifications] == [1]
    steps = [
        (entry.subject, entry.method.rpartition("/")[2], entry.object_id)
        for entry in desk.server.trail.entries
        if entry.action == AuditAction.AUDIT_ACTION_REIDENTIFY
        and desk.server.trail.outcomes[entry.entry_id].code == "OK"
    ]
    assert steps == [
        ("rita", "RequestReidentification", project_id),
        ("otto", "DecideReidentification", request.reidentification_id),
        ("rita", "Reidentify", request.reidentification_id),
    ]


async def test_what_is_refused_or_too_late_is_not_told(desk: Desk) -> None:
    project_id = await known(desk, two_persons=True)
    rita, otto = desk.crosswalk("rita"), desk.crosswalk("otto")
    ids = [(await asked(desk, "rita", project_id)).reidentification_id for _ in range(3)]
    refused, late, unheard = ids
    for request_id, agree in ((refused, False), (late, True)):
        await otto.DecideReidentification(
            pb.DecideReidentificationRequest(reidentification_id=request_id, agree=agree)
        )
    await desk.pool.execute(
        "UPDATE crosswalk.reidentification SET expire_time = now() - interval '1 second'"
    )

    for request_id in ids:
        told = pb.ReidentifyRequest(reidentification_id=request_id)
        assert await reason_of(rita.Reidentify(told)) == STATE
    decision = pb.DecideReidentificationRequest(reidentification_id=unheard, agree=True)
    assert await reason_of(otto.DecideReidentification(decision)) == STATE
    listed = await rita.ListReidentifications(pb.ListReidentificationsRequest())
    assert {one.reidentification_id: one.state for one in listed.reidentifications} == {
        refused: pb.REIDENTIFICATION_STATE_REFUSED,
        late: pb.REIDENTIFICATION_STATE_EXPIRED,
        unheard: pb.REIDENTIFICATION_STATE_EXPIRED,
    }


async def test_one_person_is_enough_where_the_project_says_so(desk: Desk) -> None:
    project_id = await known(desk, two_persons=False)
    rita = desk.crosswalk("rita")
    request = await asked(desk, "rita", project_id)
    told = pb.ReidentifyRequest(reidentification_id=request.reidentification_id)

    assert request.state == pb.REIDENTIFICATION_STATE_AGREED
    assert (await rita.Reidentify(told)).identity.patient_id_text == "P1"
    (row,) = await desk.rows(
        "SELECT expire_time - request_time = interval '1 day' AS a_day"
        " FROM crosswalk.reidentification"
    )
    assert row["a_day"]
    desk.deid.keyless = True
    assert await reason_of(rita.Reidentify(told)) == "ERROR_REASON_DEID_KEY_UNAVAILABLE"


async def test_who_asks_has_to_name_a_pseudonym_and_a_reason(desk: Desk) -> None:
    project_id = await known(desk, two_persons=False)
    ask = desk.crosswalk("rita").RequestReidentification

    for more, reason in (
        ({"pseudonym": "NOBODY"}, NOT_FOUND),
        ({"kind": deid_pb.PSEUDONYM_KIND_STUDY}, NOT_FOUND),
        ({"kind": 0}, "ERROR_REASON_INVALID_FIELD"),
        ({"reason": "Because"}, "ERROR_REASON_INVALID_FIELD"),
        ({"project_id": new_id()}, "ERROR_REASON_DEID_PROJECT_NOT_FOUND"),
    ):
        assert await reason_of(ask(question(project_id, **more))) == reason
    missing = pb.ReidentifyRequest(reidentification_id=new_id())
    assert await reason_of(desk.crosswalk("rita").Reidentify(missing)) == NOT_FOUND
    assert await desk.rows("SELECT FROM crosswalk.reidentification") == []
