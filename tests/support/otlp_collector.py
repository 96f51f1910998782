"""An OTLP collector: a real gRPC server that decodes what is exported to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """What came in.

    Attributes:
        endpoint: Where to send spans.
        spans: All spans so far.
        resources: Attributes of the processes that sent them.
        raw: The bytes of every request.
    """

    endpoint: str
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)
    raw: bytes = b""

    def named(self, name: str) -> list[Span]:
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for what is exported in batches."""
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def export(
        self, request: pb.ExportTraceServiceRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ExportTraceServiceResponse:
        """Take spans."""
        self.raw += request.SerializeToString()
        for resource in request.resource_spans:
            attributes = {
                item.key: item.value.string_value for item in resource.resource.attributes
            }
            self.resources.append(attributes)
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return pb.ExportTraceServiceResponse()


def attributes(span: Span) -> dict[str, str | int]:
    """Return the attributes of a span."""
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


@asynccontextmanager
async def otlp_collector() -> AsyncIterator[Collector]:
    """Run a collector on a free port."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    collector = Collector(f"http://127.0.0.1:{port}")
    export = grpc.unary_unary_rpc_method_handler(
        collector.export,
        pb.ExportTraceServiceRequest.FromString,
        pb.ExportTraceServiceResponse.SerializeToString,
    )
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    server.add_registered_method_handlers(service, {"Export": export})
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(0.1)
