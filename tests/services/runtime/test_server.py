"""Starting, draining and failing of a server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from heimdallr.access.v1.permission_pb2 import Permission
from services.runtime.client import ServiceCallError, open_channel, typed_errors
from services.runtime.listening import AddressInUseError
from services.runtime.permissions import UndeclaredMethodError
from services.runtime.server import BackgroundTaskError, Hooks, Server
from tests.support.mesh import running_server, runtime_settings
from tests.support.tested_service import (
    PERMISSION,
    SERVICE,
    TestedService,
    answers,
    nothing,
    start_call,
)
from tests.support.tokens import TestTokens
from tests.support.trail import ListTrail

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
QUIET = TestedService(nothing)


def add_quiet(server: grpc.aio.Server) -> None:
    QUIET.add_to(server)


def reflection_stub(channel: grpc.aio.Channel) -> Any:
    # The stubs of grpcio-reflection know only the blocking channel.
    module: Any = reflection_pb2_grpc
    return module.ServerReflectionStub(channel)


def new_server(folder: Path, add: Any = add_quiet, **changes: Any) -> Server:
    tokens = TestTokens.create(folder)
    return Server(runtime_settings(folder, tokens, **changes), add, ListTrail())


@pytest.mark.parametrize("method", ["Undeclared", "Unaudited", "Unknown"])
async def test_a_server_with_an_undeclared_method_does_not_start(
    tmp_path: Path, method: str
) -> None:
    with pytest.raises(UndeclaredMethodError) as caught:
        new_server(tmp_path, lambda server: QUIET.add_to(server, method))

    assert caught.value.method == f"/{SERVICE}/{method}"


async def test_a_server_with_a_catch_all_handler_does_not_start(tmp_path: Path) -> None:
    class CatchAll(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> None:
            return None

    with pytest.raises(UndeclaredMethodError):
        new_server(tmp_path, lambda server: server.add_generic_rpc_handlers((CatchAll(),)))


async def test_a_generic_handler_that_is_not_registered_by_name_is_refused(tmp_path: Path) -> None:
    async def answer(_request: bytes, _context: object) -> bytes:
        return b""

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(answer)
    generic = grpc.method_handlers_generic_handler("other.v1.Other", {"Get": handler})

    with pytest.raises(UndeclaredMethodError, match=r"/other\.v1\.Other/"):
        new_server(tmp_path, lambda server: server.add_generic_rpc_handlers((generic,)))


async def test_health_is_open_and_names_each_service(tmp_path: Path) -> None:
    async with running_server(tmp_path, add_quiet) as running:
        stub: Any = health_pb2_grpc.HealthStub(running.bearer_channel(None))
        for name in ("", SERVICE):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))

            assert answer.status == SERVING
        assert running.trail.denials == []


async def test_health_of_an_unknown_service_cannot_be_watched(tmp_path: Path) -> None:
    async with running_server(tmp_path, add_quiet) as running:
        stub: Any = health_pb2_grpc.HealthStub(running.bearer_channel(None))
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await stub.Watch(health_pb2.HealthCheckRequest(service="x" * 1000)).read()

        assert caught.value.code is grpc.StatusCode.NOT_FOUND


async def test_reflection_needs_its_permission(tmp_path: Path) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async with running_server(tmp_path, add_quiet) as running:
        allowed = reflection_stub(running.channel(Permission.PERMISSION_REFLECTION_READ))
        [answer] = [item async for item in allowed.ServerReflectionInfo(iter([request]))]
        names = {service.name for service in answer.list_services_response.service}
        denied = reflection_stub(running.channel(PERMISSION))
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await denied.ServerReflectionInfo().read()

        assert SERVICE in names
        assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED


async def test_the_socket_is_its_owners_alone(tmp_path: Path) -> None:
    async with running_server(tmp_path, add_quiet):
        assert stat.S_IMODE((tmp_path / "s.sock").stat().st_mode) == 0o600


async def test_a_dead_socket_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s.sock"))

    async with running_server(tmp_path, add_quiet) as running:
        names = await answers(start_call(running.channel(PERMISSION), "UnaryUnary"))

    assert names == ["first"]


async def test_a_living_socket_is_left_alone(tmp_path: Path) -> None:
    async with running_server(tmp_path, add_quiet) as running:
        with pytest.raises(AddressInUseError):
            await new_server(tmp_path).run(Hooks())

        assert await answers(start_call(running.channel(PERMISSION), "UnaryUnary")) == ["first"]


async def test_a_file_in_the_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s.sock").write_text("precious")

    with pytest.raises(AddressInUseError):
        await new_server(tmp_path).run(Hooks())

    assert (tmp_path / "s.sock").read_text() == "precious"


async def test_it_listens_on_tcp_as_well(tmp_path: Path) -> None:
    addresses: asyncio.Queue[str] = asyncio.Queue()
    server = new_server(tmp_path, listen="127.0.0.1:0")
    serving = asyncio.create_task(server.run(Hooks(started=addresses.put_nowait)))
    address = await asyncio.wait_for(addresses.get(), 5)
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest())
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert answer.status == SERVING


async def test_a_signal_drains_the_calls_that_run(tmp_path: Path) -> None:
    entered = asyncio.Event()
    release = asyncio.Event()

    async def wait(_context: Any) -> None:
        entered.set()
        await release.wait()

    service = TestedService(wait)
    async with running_server(tmp_path, lambda server: service.add_to(server)) as running:
        stub: Any = health_pb2_grpc.HealthStub(running.bearer_channel(None))
        health = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await health.read()).status == SERVING
        call = asyncio.create_task(answers(start_call(running.channel(PERMISSION), "UnaryUnary")))
        await asyncio.wait_for(entered.wait(), 5)

        os.kill(os.getpid(), signal.SIGTERM)
        assert (await asyncio.wait_for(health.read(), 5)).status == NOT_SERVING
        release.set()

        assert await call == ["first"]


async def test_calls_that_outlast_the_grace_are_ended(tmp_path: Path) -> None:
    async def wait(_context: Any) -> None:
        await asyncio.sleep(60)

    service = TestedService(wait)
    started = asyncio.Event()
    tokens = TestTokens.create(tmp_path)
    trail = ListTrail()
    settings = runtime_settings(tmp_path, tokens, grace_s=0.1)
    server = Server(settings, lambda target: service.add_to(target), trail)
    serving = asyncio.create_task(server.run(Hooks(started=lambda _: started.set())))
    await started.wait()
    async with open_channel(settings.listen, tokens.source(PERMISSION)) as channel:
        call = asyncio.create_task(answers(start_call(channel, "UnaryStream")))
        while not trail.entries:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 5)

        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await call
    assert caught.value.retryable
    assert trail.outcomes[trail.entries[0].entry_id].code == "CANCELLED"


@pytest.mark.parametrize("how", ["raises", "returns"])
async def test_the_end_of_a_background_task_ends_the_server(tmp_path: Path, how: str) -> None:
    async def background() -> None:
        if how == "raises":
            raise ValueError("text")

    hooks = Hooks(background=[background])

    with pytest.raises(BackgroundTaskError):
        await asyncio.wait_for(new_server(tmp_path).run(hooks), 10)

    assert hooks.draining.is_set()


PROGRAM = """
from __future__ import annotations
import sys
from services.runtime.server import Hooks, run, serve
from services.runtime.settings import RuntimeSettings, load_settings

async def dies() -> None:
    raise ValueError("DOE^JOHN")

async def main() -> None:
    settings = load_settings(RuntimeSettings)
    hooks = Hooks(background=[dies] if "--die" in sys.argv else [])
    await serve(settings, lambda server: None, hooks=hooks)

run(main)
"""


def start_program(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    tokens = TestTokens.create(folder)
    (folder / "token").write_text(tokens.mint())
    settings = runtime_settings(folder, tokens)
    given = ((name, value) for name, value in settings if value is not None)
    values = {f"HEIMDALLR_{name.upper()}": str(value) for name, value in given}
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={"PYTHONPATH": f"{root}:{root / 'gen/python'}", "PATH": os.environ["PATH"]} | values,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_process_whose_task_dies_leaves_with_a_failure(tmp_path: Path) -> None:
    process = start_program(tmp_path, "--die")
    output, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    lines = [json.loads(line) for line in output.splitlines()]
    [died] = [line for line in lines if line["event"] == "server.task_died"]
    assert (died["error_type"], died["service"]) == ("ValueError", "tested")
    assert "DOE" not in output + errors


def test_a_process_ends_well_on_sigterm(tmp_path: Path) -> None:
    process = start_program(tmp_path)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "server.serving"
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert json.loads(output.splitlines()[-1])["event"] == "server.stopped"
