"""Every RPC of the product says who may call it and what it leaves in the audit trail."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

import gateway
import services.coordinator
import services.runtime
from heimdallr.access.v1 import access_service_pb2
from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.client import ServiceCallError, open_channel, typed_errors
from services.runtime.contracts import full_method, service_contracts
from services.runtime.errors import ServiceError
from services.runtime.permissions import ROLE_PERMISSIONS, SERVICE_PERMISSIONS, requirement
from services.runtime.token_source import FixedTokenSource
from tests.support.mesh import running_server

METHODS = [method for service in service_contracts() for method in service.methods]
READER = ROLE_PERMISSIONS[access_service_pb2.ROLE_VIEWER]
every_method = pytest.mark.parametrize("method", METHODS, ids=full_method)


def add_every_service(server: grpc.aio.Server) -> None:
    async def answer(_request: bytes, _context: object) -> bytes:
        raise AssertionError("a refused call reached its handler")

    for service in service_contracts():
        handler: grpc.RpcMethodHandler[bytes, bytes]
        handler = grpc.unary_unary_rpc_method_handler(answer)
        handlers = {method.name: handler for method in service.methods}
        server.add_registered_method_handlers(service.full_name, handlers)


async def refusal(address: str, method: MethodDescriptor, token: str | None) -> ServiceCallError:
    source = FixedTokenSource(token) if token else None
    async with open_channel(address, source) as channel:
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await channel.unary_unary(full_method(method))(b"")
    return caught.value


def test_there_are_contracts_to_check() -> None:
    names = {service.full_name for service in service_contracts()}

    assert {"heimdallr.access.v1.AccessService", "heimdallr.audit.v1.AuditService"} <= names


@every_method
def test_it_names_permission_and_audit_action(method: MethodDescriptor) -> None:
    found = requirement(full_method(method))

    assert found.permission != Permission.PERMISSION_UNSPECIFIED


@every_method
def test_somebody_may_call_it(method: MethodDescriptor) -> None:
    granted = frozenset[Permission.ValueType]().union(
        *ROLE_PERMISSIONS.values(),
        *SERVICE_PERMISSIONS.values(),
        {Permission.PERMISSION_ACCESS_SIGN_IN},
    )

    assert requirement(full_method(method)).permission in granted


async def test_without_a_token_every_method_is_unauthenticated(tmp_path: Path) -> None:
    async with running_server(tmp_path, add_every_service) as running:
        for method in METHODS:
            error = await refusal(running.address, method, None)

            assert error.code is grpc.StatusCode.UNAUTHENTICATED, full_method(method)
        assert len(running.trail.denials) == len(METHODS)


async def test_a_readers_token_opens_no_writers_method(tmp_path: Path) -> None:
    others = [m for m in METHODS if requirement(full_method(m)).permission not in READER]
    async with running_server(tmp_path, add_every_service) as running:
        token = running.tokens.mint(*READER, subject="reader")
        for method in others:
            error = await refusal(running.address, method, token)

            assert error.code is grpc.StatusCode.PERMISSION_DENIED, full_method(method)
        assert len(running.trail.denials) == len(others) > 0


def load_our_modules() -> None:
    for package in (services.runtime, services.coordinator, gateway):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if info.name.rpartition(".")[2] in ("errors", "service"):
                importlib.import_module(info.name)
    for name in ("analysis", "conversion", "reporting"):
        root = Path(services.runtime.__path__[0]).parent / name
        if (root / "errors.py").exists():
            importlib.import_module(f"services.{name}.errors")


def all_subclasses(kind: type[ServiceError]) -> list[type[ServiceError]]:
    """Errors of ours; tests make their own."""
    ours = ("services.", "gateway.")
    found = [sub for sub in kind.__subclasses__() if sub.__module__.startswith(ours)]
    return found + [deeper for sub in found for deeper in all_subclasses(sub)]


def test_each_reason_belongs_to_at_most_one_error() -> None:
    load_our_modules()
    errors = [kind for kind in all_subclasses(ServiceError) if "reason" in vars(kind)]

    reasons = Counter(kind.reason for kind in errors)

    assert reasons[ErrorReason.ERROR_REASON_UNSPECIFIED] == 0
    assert set(reasons) <= set(ErrorReason.values())
    assert [ErrorReason.Name(reason) for reason, count in reasons.items() if count > 1] == []
