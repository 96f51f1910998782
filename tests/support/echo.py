"""A small gRPC server that says which server it is, for tests of what lies in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2


class _Echo(grpc.GenericRpcHandler):
    """Answers every unary call with its own name, the method and one header of the call."""

    def __init__(self, name: str) -> None:
        self._name = name

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        method = handler_call_details.method
        if method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(_healthy)
        if method.endswith("/Watch"):
            return grpc.unary_stream_rpc_method_handler(self._watch)

        async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            headers = {key for key, _ in context.invocation_metadata() or ()}
            seen = ",".join(sorted(key for key in headers if key.startswith("x-heimdallr")))
            return f"{self._name} {method} {seen}".encode()

        return grpc.unary_unary_rpc_method_handler(answer)

    async def _watch(
        self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        yield self._name.encode()


async def _healthy(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    serving = health_pb2.HealthCheckResponse.SERVING
    return health_pb2.HealthCheckResponse(status=serving).SerializeToString()


@asynccontextmanager
async def echo_server(name: str, socket: Path) -> AsyncIterator[None]:
    """Serve on a Unix socket."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Echo(name),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(grace=0.1)
