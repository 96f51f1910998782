"""A service with all four kinds of handlers, declared like the real contracts.

It lives in a descriptor of its own, so that no contract of the product exists for tests alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool

from heimdallr.access.v1 import access_service_pb2 as pb
from heimdallr.access.v1 import options_pb2
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.access.v1.permission_pb2 import Permission

SERVICE: Final = "heimdallr.tested.v1.TestedService"
KINDS: Final = ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")
PERMISSION: Final = Permission.PERMISSION_WORKFLOW_WRITE
ACTION: Final = AuditAction.AUDIT_ACTION_START_WORK
REQUEST: Final = pb.UpdateUserRequest(user_id="01a1fe65-4036-7068-815a-f87418a51896")

Behaviour = Callable[[grpc.aio.ServicerContext[Any, Any]], Awaitable[None]]


def path(name: str) -> str:
    """Return the full method of one of the tested methods."""
    return f"/{SERVICE}/{name}"


def _declare() -> None:
    file = descriptor_pb2.FileDescriptorProto(
        name="heimdallr/tested/v1/tested_service.proto",
        package="heimdallr.tested.v1",
        dependency=[
            "heimdallr/access/v1/access_service.proto",
            "heimdallr/access/v1/options.proto",
        ],
        syntax="proto3",
    )
    service = file.service.add(name="TestedService")
    for name in (*KINDS, "Undeclared", "Unaudited"):
        method = service.method.add(
            name=name,
            input_type=".heimdallr.access.v1.UpdateUserRequest",
            output_type=".heimdallr.access.v1.User",
            client_streaming=name.startswith("Stream"),
            server_streaming=name.endswith("Stream"),
        )
        if name != "Undeclared":
            method.options.Extensions[options_pb2.permission] = PERMISSION
        if name not in ("Undeclared", "Unaudited"):
            method.options.Extensions[options_pb2.audit_action] = ACTION
    descriptor_pool.Default().Add(file)


_declare()


class TestedService:
    """Does one thing in each handler, then answers twice where answers are a stream."""

    __test__ = False

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    async def one(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> pb.User:
        if not isinstance(request, pb.UpdateUserRequest):
            async for _ in request:
                pass
        await self._behaviour(context)
        return pb.User(name="first")

    async def many(
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.User]:
        yield await self.one(request, context)
        yield pb.User(name="second")

    def add_to(self, server: grpc.aio.Server, *extra: str) -> None:
        """Register the four kinds and further unary methods."""
        codec = pb.UpdateUserRequest.FromString, pb.User.SerializeToString
        handlers: dict[str, Any] = {
            "UnaryUnary": grpc.unary_unary_rpc_method_handler(self.one, *codec),
            "UnaryStream": grpc.unary_stream_rpc_method_handler(self.many, *codec),
            "StreamUnary": grpc.stream_unary_rpc_method_handler(self.one, *codec),
            "StreamStream": grpc.stream_stream_rpc_method_handler(self.many, *codec),
        }
        for name in extra:
            handlers[name] = grpc.unary_unary_rpc_method_handler(self.one, *codec)
        server.add_registered_method_handlers(SERVICE, handlers)


async def nothing(_context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """Behave: return at once."""


def start_call(
    channel: grpc.aio.Channel, kind: str, *, silent: bool = False, **options: Any
) -> Any:
    """Start a call of one kind and return gRPC's call object.

    A silent one streams no request: grpc.aio may lose the status of a stream that the server ends
    while the client writes (grpc/grpc#36066).
    """
    codec = pb.UpdateUserRequest.SerializeToString, pb.User.FromString
    method = path(kind)
    if kind == "UnaryUnary":
        return channel.unary_unary(method, *codec)(REQUEST, **options)
    if kind == "UnaryStream":
        return channel.unary_stream(method, *codec)(REQUEST, **options)
    requests = None if silent else _requests()
    if kind == "StreamUnary":
        return channel.stream_unary(method, *codec)(requests, **options)
    return channel.stream_stream(method, *codec)(requests, **options)


async def answers(call: Any) -> list[str]:
    """Return the names that a call answers with, one or two."""
    if hasattr(call, "__aiter__"):
        return [user.name async for user in call]
    return [(await call).name]


async def _requests() -> AsyncIterator[pb.UpdateUserRequest]:
    yield REQUEST
    yield REQUEST
