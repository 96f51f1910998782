"""What a client of the mesh adds to its calls and makes of failures."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.runtime.client import (
    ServiceCallError,
    call_error,
    error_info,
    open_channel,
    service_config,
    typed_errors,
)
from services.runtime.correlation import METADATA_KEY, set_correlation_id
from services.runtime.errors import DependencyUnavailableError, LimitExceededError
from tests.support.mesh import running_server
from tests.support.tested_service import (
    KINDS,
    PERMISSION,
    TestedService,
    answers,
    nothing,
    start_call,
)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_correlation_id_of_a_task_goes_with_its_calls(tmp_path: Path, kind: str) -> None:
    service = TestedService(nothing)
    async with running_server(tmp_path, lambda server: service.add_to(server)) as running:
        set_correlation_id("work-1")

        call = start_call(running.channel(PERMISSION), kind)
        await answers(call)

        assert (await call.trailing_metadata())[METADATA_KEY] == "work-1"


async def test_a_call_without_a_deadline_gets_the_channels(tmp_path: Path) -> None:
    async def sleep(_context: Any) -> None:
        await asyncio.sleep(30)

    service = TestedService(sleep)
    async with running_server(tmp_path, lambda server: service.add_to(server)) as running:
        source = running.tokens.source(PERMISSION)
        async with open_channel(running.address, source, timeout_s=0.1) as channel:
            with pytest.raises(ServiceCallError) as caught, typed_errors():
                await answers(start_call(channel, "UnaryUnary"))

        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert caught.value.retryable


async def test_an_unreachable_server_is_a_typed_error(tmp_path: Path) -> None:
    async with open_channel(f"unix:{tmp_path}/nobody.sock") as channel:
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await answers(start_call(channel, "UnaryUnary", timeout=2))

    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert caught.value.reason == ""
    assert caught.value.retryable


async def test_a_status_that_is_not_ours_has_no_info(tmp_path: Path) -> None:
    async def abort(context: Any) -> None:
        await context.abort(grpc.StatusCode.NOT_FOUND, "plain")

    service = TestedService(abort)
    async with running_server(tmp_path, lambda server: service.add_to(server)) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answers(start_call(running.channel(PERMISSION), "UnaryUnary"))

        assert error_info(caught.value) is None
        assert call_error(caught.value).text == "plain"
        assert not call_error(caught.value).retryable


async def test_a_limit_and_a_missing_dependency_may_be_tried_again(tmp_path: Path) -> None:
    failures = [LimitExceededError("calls"), DependencyUnavailableError("postgres")]

    async def fail(_context: Any) -> None:
        raise failures.pop()

    service = TestedService(fail)
    async with running_server(tmp_path, lambda server: service.add_to(server)) as running:
        for dependency in ({"dependency": "postgres"}, {"limit": "calls"}):
            with pytest.raises(ServiceCallError) as caught, typed_errors():
                await answers(start_call(running.channel(PERMISSION), "UnaryUnary"))

            assert caught.value.metadata == dependency
            assert caught.value.retryable


async def test_a_message_larger_than_the_bound_is_refused(tmp_path: Path) -> None:
    service = TestedService(nothing)
    async with running_server(tmp_path, lambda server: service.add_to(server)) as running:
        channel = running.channel(PERMISSION)
        method = channel.unary_unary("/heimdallr.tested.v1.TestedService/UnaryUnary")
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await method(b"\x0a" + b"x" * (4 * 1024 * 1024))

        assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_only_idempotent_calls_are_made_again() -> None:
    [config] = json.loads(service_config())["methodConfig"]
    names = {(name["service"], name["method"]) for name in config["name"]}

    assert ("heimdallr.access.v1.AccessService", "GetCaller") in names
    assert ("heimdallr.audit.v1.AuditService", "BeginCall") in names
    assert ("heimdallr.access.v1.AccessService", "SignIn") not in names
    assert config["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]


async def test_an_idempotent_call_survives_a_moment_of_absence(tmp_path: Path) -> None:
    calls: list[int] = []

    async def answer(_request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        calls.append(1)
        if len(calls) < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return b""

    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(answer)
    for service, method in (("access.v1.AccessService", "GetCaller"),):
        server.add_registered_method_handlers(f"heimdallr.{service}", {method: handler})
    server.add_registered_method_handlers("heimdallr.tested.v1.TestedService", {"Once": handler})
    server.add_insecure_port(f"unix:{tmp_path}/s.sock")
    await server.start()
    async with open_channel(f"unix:{tmp_path}/s.sock") as channel:
        answered = await channel.unary_unary("/heimdallr.access.v1.AccessService/GetCaller")(b"")
        calls.clear()
        with pytest.raises(ServiceCallError), typed_errors():
            await channel.unary_unary("/heimdallr.tested.v1.TestedService/Once")(b"")
    await server.stop(None)

    assert answered == b""
    assert len(calls) == 1
