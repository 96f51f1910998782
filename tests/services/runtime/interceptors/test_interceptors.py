"""Each interceptor around each kind of handler, through a real channel."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog

from heimdallr.access.v1.permission_pb2 import Permission
from services.runtime import logs
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.correlation import correlation_id
from services.runtime.errors import BlobNotFoundError
from services.runtime.tokens import Caller, CallerKind, current_caller
from tests.support.mesh import RunningServer, running_server
from tests.support.tested_service import (
    ACTION,
    KINDS,
    PERMISSION,
    REQUEST,
    Behaviour,
    TestedService,
    answers,
    nothing,
    path,
    start_call,
)

every_kind = pytest.mark.parametrize("kind", KINDS)
SHA256 = "0" * 64
CANARY = "DOE^JOHN"


def serving(folder: Path, behaviour: Behaviour, **changes: Any) -> Any:
    service = TestedService(behaviour)
    return running_server(folder, lambda server: service.add_to(server), **changes)


async def failing_call(running: RunningServer, kind: str, **options: Any) -> ServiceCallError:
    channel = running.channel(PERMISSION)
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await answers(start_call(channel, kind, **options))
    return caught.value


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@every_kind
async def test_an_allowed_call_is_answered_and_recorded(tmp_path: Path, kind: str) -> None:
    async with serving(tmp_path, nothing) as running:
        call = start_call(running.channel(PERMISSION, subject="coordinator"), kind)
        names = await answers(call)

        assert names == (["first", "second"] if kind.endswith("Stream") else ["first"])
        entry = running.trail.entries[0]
        assert (entry.subject, entry.method, entry.action) == ("coordinator", path(kind), ACTION)
        assert entry.object_id == (REQUEST.user_id if kind.startswith("Unary") else "")
        assert running.trail.outcomes[entry.entry_id].code == "OK"


@every_kind
async def test_a_service_error_arrives_with_its_reason(tmp_path: Path, kind: str) -> None:
    async def behaviour(_context: Any) -> None:
        raise BlobNotFoundError(SHA256)

    async with serving(tmp_path, behaviour) as running:
        error = await failing_call(running, kind)

        assert error.code is grpc.StatusCode.NOT_FOUND
        assert error.reason == "ERROR_REASON_BLOB_NOT_FOUND"
        assert error.metadata == {"sha256": SHA256}
        outcome = running.trail.outcomes[running.trail.entries[0].entry_id]
        assert (outcome.code, outcome.reason) == ("NOT_FOUND", "ERROR_REASON_BLOB_NOT_FOUND")


@every_kind
async def test_an_unexpected_error_tells_nothing(tmp_path: Path, kind: str) -> None:
    async def behaviour(_context: Any) -> None:
        raise ValueError(f"cannot parse {CANARY}")

    output = io.StringIO()
    async with serving(tmp_path, behaviour) as running:
        logs.configure_logs("INFO", "tested", output)
        try:
            error = await failing_call(running, kind)
        finally:
            structlog.reset_defaults()

        assert (error.code, error.text) == (grpc.StatusCode.INTERNAL, "internal error")
        assert running.trail.outcomes[running.trail.entries[0].entry_id].code == "INTERNAL"
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    unexpected = next(line for line in lines if line["event"] == "call.unexpected_error")
    assert unexpected["error_type"] == "ValueError"
    assert any(":behaviour" in frame for frame in unexpected["frames"])
    assert "DOE" not in output.getvalue()


@every_kind
async def test_a_status_that_a_handler_aborts_with_is_kept(tmp_path: Path, kind: str) -> None:
    async def behaviour(context: Any) -> None:
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "too far")

    async with serving(tmp_path, behaviour) as running:
        error = await failing_call(running, kind)

        assert (error.code, error.text) == (grpc.StatusCode.OUT_OF_RANGE, "too far")
        await eventually(lambda: running.trail.outcomes)
        outcome = running.trail.outcomes[running.trail.entries[0].entry_id]
        assert outcome.code == "OUT_OF_RANGE"


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
async def test_a_call_that_cannot_be_recorded_does_not_run(tmp_path: Path, kind: str) -> None:
    ran: list[str] = []

    async def behaviour(_context: Any) -> None:
        ran.append("ran")

    async with serving(tmp_path, behaviour) as running:
        running.trail.broken = True
        error = await failing_call(running, kind, silent=True)

        assert error.code is grpc.StatusCode.UNAVAILABLE
        assert error.metadata == {"dependency": "audit"}
        assert ran == []


@every_kind
async def test_a_cancelled_call_is_recorded_as_cancelled(tmp_path: Path, kind: str) -> None:
    entered = asyncio.Event()

    async def behaviour(_context: Any) -> None:
        entered.set()
        await asyncio.sleep(60)

    async with serving(tmp_path, behaviour) as running:
        call = start_call(running.channel(PERMISSION), kind)
        waiting = asyncio.create_task(answers(call))
        await asyncio.wait_for(entered.wait(), 5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        await eventually(lambda: running.trail.outcomes)
        outcome = running.trail.outcomes[running.trail.entries[0].entry_id]
        assert outcome.code == "CANCELLED"


@pytest.mark.parametrize("kind", ["UnaryStream", "StreamStream"])
async def test_a_stream_cancelled_between_answers_is_recorded(tmp_path: Path, kind: str) -> None:
    async with serving(tmp_path, nothing) as running:
        call = start_call(running.channel(PERMISSION), kind)
        await call.read()
        call.cancel()

        await eventually(lambda: running.trail.outcomes)
        outcome = running.trail.outcomes[running.trail.entries[0].entry_id]
        assert outcome.code in ("CANCELLED", "OK")


@every_kind
async def test_the_correlation_id_goes_in_and_comes_back(tmp_path: Path, kind: str) -> None:
    seen: list[str] = []

    async def behaviour(_context: Any) -> None:
        seen.append(correlation_id())

    async with serving(tmp_path, behaviour) as running:
        call = start_call(
            running.channel(PERMISSION), kind, metadata=(("x-correlation-id", "mine-1"),)
        )
        await answers(call)

        assert seen == ["mine-1"]
        assert (await call.trailing_metadata())["x-correlation-id"] == "mine-1"
        assert running.trail.entries[0].correlation_id == "mine-1"
        if kind.endswith("Stream"):
            assert (await call.initial_metadata())["x-correlation-id"] == "mine-1"


@every_kind
async def test_a_failed_call_returns_its_correlation_id(tmp_path: Path, kind: str) -> None:
    async def behaviour(_context: Any) -> None:
        raise BlobNotFoundError(SHA256)

    async with serving(tmp_path, behaviour) as running:
        call = start_call(
            running.channel(PERMISSION), kind, metadata=(("x-correlation-id", "mine-2"),)
        )
        with pytest.raises(grpc.aio.AioRpcError):
            await answers(call)

        assert (await call.trailing_metadata())["x-correlation-id"] == "mine-2"


@every_kind
async def test_a_malformed_correlation_id_is_replaced(tmp_path: Path, kind: str) -> None:
    seen: list[str] = []

    async def behaviour(_context: Any) -> None:
        seen.append(correlation_id())

    async with serving(tmp_path, behaviour) as running:
        channel = running.channel(PERMISSION)
        await answers(start_call(channel, kind, metadata=(("x-correlation-id", CANARY),)))

        assert CANARY not in seen
        assert len(seen[0]) == 36


@every_kind
async def test_each_call_is_one_log_line(tmp_path: Path, kind: str) -> None:
    output = io.StringIO()
    async with serving(tmp_path, nothing) as running:
        logs.configure_logs("INFO", "tested", output)
        try:
            await answers(start_call(running.channel(PERMISSION, subject="coordinator"), kind))
            await eventually(lambda: "call.ended" in output.getvalue())
        finally:
            structlog.reset_defaults()

    [line] = map(json.loads, output.getvalue().splitlines())
    assert line["method"] == path(kind)
    assert (line["code"], line["subject"], line["service"]) == ("OK", "coordinator", "tested")
    assert line["duration_s"] >= 0
    assert len(line["correlation_id"]) == 36


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


async def test_the_servers_deadline_ends_a_unary_call(tmp_path: Path) -> None:
    async def behaviour(_context: Any) -> None:
        await asyncio.sleep(30)

    async with serving(tmp_path, behaviour, unary_deadline_s=0.05) as running:
        error = await failing_call(running, "UnaryUnary")

        assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_handlers_own_timeout_is_not_the_servers(tmp_path: Path) -> None:
    async def behaviour(_context: Any) -> None:
        raise TimeoutError

    async with serving(tmp_path, behaviour) as running:
        error = await failing_call(running, "UnaryUnary")

        assert error.code is grpc.StatusCode.INTERNAL


async def test_the_servers_deadline_leaves_streams_alone(tmp_path: Path) -> None:
    async def behaviour(_context: Any) -> None:
        await asyncio.sleep(0.2)

    async with serving(tmp_path, behaviour, unary_deadline_s=0.05) as running:
        names = await answers(start_call(running.channel(PERMISSION), "UnaryStream"))

        assert names == ["first", "second"]
