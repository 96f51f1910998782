"""Who may call, for each kind of handler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.tokens import Caller, CallerKind, current_caller
from tests.support.interceptor_calls import (
    every_kind,
    serving,
)
from tests.support.tested_service import (
    ACTION,
    PERMISSION,
    answers,
    nothing,
    path,
    start_call,
)


@every_kind
async def test_without_a_token_a_call_is_refused_and_recorded(tmp_path: Path, kind: str) -> None:
    async with serving(tmp_path, nothing) as running:
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await answers(start_call(running.bearer_channel(None), kind, silent=True))

        assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED
        assert caught.value.reason == "ERROR_REASON_UNAUTHENTICATED"
        [(entry, outcome)] = running.trail.denials
        assert (entry.subject, entry.method) == ("", path(kind))
        assert outcome.code == "UNAUTHENTICATED"
        assert running.trail.entries == []


@every_kind
async def test_without_the_permission_a_call_is_refused(tmp_path: Path, kind: str) -> None:
    async with serving(tmp_path, nothing) as running:
        channel = running.channel(Permission.PERMISSION_WORKFLOW_READ, subject="reader")
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await answers(start_call(channel, kind, silent=True))

        assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED
        assert caught.value.metadata == {"permission": "workflow_write"}
        [(entry, outcome)] = running.trail.denials
        assert (entry.subject, entry.action) == ("reader", ACTION)
        assert outcome.reason == "ERROR_REASON_PERMISSION_DENIED"


@every_kind
async def test_a_denied_call_stays_denied_when_it_cannot_be_recorded(
    tmp_path: Path, kind: str
) -> None:
    async with serving(tmp_path, nothing) as running:
        running.trail.broken = True
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await answers(start_call(running.bearer_channel(None), kind, silent=True))

        assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED


@every_kind
async def test_the_handler_knows_its_caller(tmp_path: Path, kind: str) -> None:
    seen: list[Caller] = []

    async def behaviour(_context: Any) -> None:
        seen.append(current_caller())

    async with serving(tmp_path, behaviour) as running:
        await answers(start_call(running.channel(PERMISSION, subject="gateway"), kind))

        assert seen[0].subject == "gateway"
        assert seen[0].kind is CallerKind.SERVICE
        assert seen[0].permissions == {PERMISSION}
