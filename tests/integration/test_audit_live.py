"""Every mutating call leaves its row in the audit trail, with its outcome; a denied call too."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import grpc
import pytest

from heimdallr.access.v1 import access_service_pb2 as access_pb
from heimdallr.access.v1 import audit_action_pb2 as actions
from heimdallr.access.v1.access_service_pb2_grpc import AccessServiceStub
from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.audit.v1 import audit_service_pb2 as audit_pb
from heimdallr.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from heimdallr.workflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from services.runtime.client import MeshChannel, open_channel
from services.runtime.contracts import service_contracts
from services.runtime.ids import new_id
from services.runtime.permissions import ROLE_PERMISSIONS, requirement
from services.runtime.token_source import FixedTokenSource
from services.runtime.tokens import CallerKind, Issuer
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.postgres]

NOBODY: Final = new_id()


@dataclass(frozen=True, slots=True)
class Case:
    """A mutating call, and the status it must end with on an object that does not exist."""

    call: Callable[[MeshChannel, str], Awaitable[Any]]
    action: actions.AuditAction.ValueType
    code: str


CASES: Final = {
    "StartAnalysis": Case(
        lambda channel, _: WorkflowServiceStub(channel).StartAnalysis(
            pb.StartAnalysisRequest(study_id=NOBODY, series_ids=[NOBODY], model="ct_tissue")
        ),
        actions.AUDIT_ACTION_START_WORK,
        "NOT_FOUND",
    ),
    "ReplayStage": Case(
        lambda channel, _: WorkflowServiceStub(channel).ReplayStage(
            pb.ReplayStageRequest(stage_id=NOBODY)
        ),
        actions.AUDIT_ACTION_REPLAY_WORK,
        "NOT_FOUND",
    ),
    "CancelStudy": Case(
        lambda channel, _: WorkflowServiceStub(channel).CancelStudy(
            pb.CancelStudyRequest(study_id=NOBODY)
        ),
        actions.AUDIT_ACTION_CANCEL_WORK,
        "NOT_FOUND",
    ),
    "SetStudyPriority": Case(
        lambda channel, _: WorkflowServiceStub(channel).SetStudyPriority(
            pb.SetStudyPriorityRequest(study_id=NOBODY, priority=pb.PRIORITY_STAT)
        ),
        actions.AUDIT_ACTION_PRIORITIZE_WORK,
        "NOT_FOUND",
    ),
    "IssueToken": Case(
        lambda channel, name: AccessServiceStub(channel).IssueToken(
            access_pb.IssueTokenRequest(
                client_name=name, permissions=[Permission.PERMISSION_ARCHIVE_READ]
            )
        ),
        actions.AUDIT_ACTION_ISSUE_TOKEN,
        "OK",
    ),
    "CreateUser": Case(
        lambda channel, name: AccessServiceStub(channel).CreateUser(
            access_pb.CreateUserRequest(name=name, roles=[access_pb.ROLE_VIEWER])
        ),
        actions.AUDIT_ACTION_CHANGE_USER,
        "OK",
    ),
}


async def _rows(channel: MeshChannel, **wanted: Any) -> list[audit_pb.AuditedCall]:
    request = audit_pb.ListEntriesRequest(page_size=1000, **wanted)
    return list((await AuditServiceStub(channel).ListEntries(request)).calls)


@pytest.mark.parametrize("method", CASES)
async def test_a_mutating_call_leaves_a_row_with_its_outcome(
    stack: RunningStack, channel: MeshChannel, method: str
) -> None:
    case = CASES[method]
    before = {call.entry.entry_id for call in await _rows(channel, action=case.action)}

    with contextlib.suppress(grpc.aio.AioRpcError):
        await case.call(channel, f"audited-{NOBODY[-6:]}")

    new = [
        call
        for call in await _rows(channel, action=case.action)
        if call.entry.entry_id not in before
    ]
    assert [call.entry.method.rpartition("/")[2] for call in new] == [method]
    assert new[0].entry.subject == "operator"
    assert new[0].outcome.code == case.code


async def test_a_denied_call_leaves_a_row(stack: RunningStack, channel: MeshChannel) -> None:
    issuer = Issuer.load_or_create(stack.data / "keys" / "issuer.pem")
    subject = f"denied-{NOBODY[-6:]}"
    viewer = ROLE_PERMISSIONS[access_pb.Role.ROLE_VIEWER]
    token = issuer.mint(subject, CallerKind.PERSON, viewer, timedelta(minutes=1))
    address = stack.state.addresses.mesh

    async with open_channel(address, FixedTokenSource(token)) as denied:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await CASES["CancelStudy"].call(denied, "")

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    rows = await _rows(channel, subject=subject)
    assert [(row.entry.action, row.outcome.code) for row in rows] == [
        (actions.AUDIT_ACTION_CANCEL_WORK, "PERMISSION_DENIED")
    ]


async def test_a_call_without_a_token_leaves_a_row(
    stack: RunningStack, channel: MeshChannel
) -> None:
    before = len(await _rows(channel, action=actions.AUDIT_ACTION_SEARCH))

    async with open_channel(stack.state.addresses.mesh) as anonymous:
        with pytest.raises(grpc.aio.AioRpcError):
            await ArchiveServiceStub(anonymous).ListStudies(archive_pb.ListStudiesRequest())

    rows = await _rows(channel, action=actions.AUDIT_ACTION_SEARCH)
    assert len(rows) == before + 1
    assert (rows[0].entry.subject, rows[0].outcome.code) == ("", "UNAUTHENTICATED")


# Whose turn it is, asked every few seconds; what a turn brings in is recorded as it comes in.
LEASES = ("SourcesService/TakeTurn", "SourcesService/KeepTurn", "SourcesService/EndTurn")


def test_every_method_that_changes_something_names_an_audit_action() -> None:
    harmless = {actions.AUDIT_ACTION_NONE}
    for service in service_contracts():
        for method in service.methods:
            options = method.GetOptions()
            name = f"/{service.full_name}/{method.name}"
            if options.idempotency_level == options.NO_SIDE_EFFECTS or "AuditService" in name:
                continue
            if name.endswith(LEASES):
                continue
            assert requirement(name).audit_action not in harmless, name
