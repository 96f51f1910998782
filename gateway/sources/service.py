"""gRPC adapter that tries sources out."""

from __future__ import annotations

import time
from typing import Any

import grpc

from gateway.sources.testing import SourceTests
from heimdallr.sources.v1 import source_tests_service_pb2 as pb
from heimdallr.sources.v1 import source_tests_service_pb2_grpc as pb_grpc
from heimdallr.sources.v1 import sources_service_pb2 as sources_pb
from heimdallr.sources.v1 import sources_service_pb2_grpc as sources_grpc
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import DependencyUnavailableError, SourceNotFoundError

Context = grpc.aio.ServicerContext[Any, Any]


class SourceTestsService(pb_grpc.SourceTestsServiceServicer):
    """Serves ``heimdallr.sources.v1.SourceTestsService``."""

    def __init__(self, tests: SourceTests, sources: sources_grpc.SourcesServiceAsyncStub) -> None:
        self._tests = tests
        self._sources = sources

    async def TestSource(
        self, request: pb.TestSourceRequest, context: Context
    ) -> pb.TestSourceResponse:
        """See ``source_tests_service.proto``."""
        begun = time.monotonic()
        succeeded, text = await self._tests.run(await self._spec(request))
        duration_ms = round((time.monotonic() - begun) * 1000)
        return pb.TestSourceResponse(succeeded=succeeded, text=text, duration_ms=duration_ms)

    async def _spec(self, request: pb.TestSourceRequest) -> sources_pb.SourceSpec:
        if request.WhichOneof("source") != "source_id":
            return request.spec
        wanted = sources_pb.GetSourceRequest(source_id=request.source_id)
        try:
            with typed_errors():
                return (await self._sources.GetSource(wanted)).source.spec
        except ServiceCallError as error:
            if error.code is grpc.StatusCode.NOT_FOUND:
                raise SourceNotFoundError(request.source_id) from None
            raise DependencyUnavailableError("sources") from None
