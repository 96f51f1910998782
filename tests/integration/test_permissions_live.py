"""Every method of every contract, called without a token and with a reader's, both ways in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from heimdallr.access.v1.access_service_pb2 import Role
from heimdallr.access.v1.permission_pb2 import Permission
from services.runtime.contracts import service_contracts
from services.runtime.permissions import ROLE_PERMISSIONS, requirement
from services.runtime.tokens import CallerKind, Issuer
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.envoy]

VIEWER: Final = ROLE_PERMISSIONS[Role.ROLE_VIEWER]
OWN_PROCESS: Final = {"conversion", "analysis", "reporting"}
GATEWAY: Final = ("heimdallr.dimse.", "heimdallr.dicomweb.", "heimdallr.sources.v1.SourceTests")
DEID: Final = ("heimdallr.deid.v1.Deidentification", "heimdallr.deid.v1.Outbound")
INTAKE: Final = "heimdallr.intake.v1.IntakeService"
METHODS: Final = [method for service in service_contracts() for method in service.methods]


def _full_name(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _direct_address(stack: RunningStack, method: MethodDescriptor) -> str:
    service = method.containing_service.full_name
    domain = service.split(".")[1]
    process = domain if domain in OWN_PROCESS else "coordinator"
    if service.startswith(DEID):
        process = "deid"
    if service.startswith(GATEWAY):
        process = "gateway"
    return f"unix:{stack.state.run}/{process}.sock"


def _addresses(stack: RunningStack, method: MethodDescriptor) -> list[str]:
    ways = [_direct_address(stack, method), stack.state.addresses.mesh]
    if method.containing_service.full_name != INTAKE:  # gateways of this host alone reach intake
        ways.append(f"127.0.0.1:{stack.http_port}")
    return ways


async def _code(address: str, method: MethodDescriptor, token: str | None) -> grpc.StatusCode:
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    async with grpc.aio.insecure_channel(address) as channel:
        # Bytes go in and out as they are: the call is about who may make it, not what it says.
        make_call: Any = channel.stream_stream(_full_name(method))
        call = make_call(_one_empty_message(), metadata=metadata, timeout=20)
        try:
            async for _ in call:
                break
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


async def _one_empty_message() -> AsyncIterator[bytes]:
    yield b""


@pytest.mark.parametrize("method", METHODS, ids=_full_name)
async def test_a_call_without_a_token_is_unauthenticated(
    stack: RunningStack, method: MethodDescriptor
) -> None:
    codes = [await _code(address, method, None) for address in _addresses(stack, method)]

    assert set(codes) == {grpc.StatusCode.UNAUTHENTICATED}


@pytest.mark.parametrize(
    "method",
    [m for m in METHODS if requirement(_full_name(m)).permission not in VIEWER],
    ids=_full_name,
)
async def test_a_reader_may_not_do_what_writers_do(
    stack: RunningStack, method: MethodDescriptor
) -> None:
    issuer = Issuer.load_or_create(Path(stack.data) / "keys" / "issuer.pem")
    reader = issuer.mint("reader", CallerKind.PERSON, VIEWER, timedelta(minutes=1))

    codes = [await _code(address, method, reader) for address in _addresses(stack, method)]

    assert set(codes) == {grpc.StatusCode.PERMISSION_DENIED}


def test_readers_lack_what_changes_anything() -> None:
    assert Permission.PERMISSION_WORKFLOW_WRITE not in VIEWER
    assert Permission.PERMISSION_INTAKE_WRITE not in VIEWER
    assert Permission.PERMISSION_ACCESS_ADMIN not in VIEWER
