"""gRPC adapter of operations: gathers what each part says of itself."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
import grpc

from heimdallr.analysis.v1 import analysis_service_pb2 as analysis_pb
from heimdallr.analysis.v1 import analysis_service_pb2_grpc as analysis_grpc
from heimdallr.dicomweb.v1 import dicomweb_cache_service_pb2 as cache_pb
from heimdallr.dicomweb.v1 import dicomweb_cache_service_pb2_grpc as cache_grpc
from heimdallr.operations.v1 import operations_service_pb2 as pb
from heimdallr.operations.v1 import operations_service_pb2_grpc as pb_grpc
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb
from services.coordinator.operations.figures import Figures
from services.coordinator.operations.remembered import Remembered
from services.coordinator.operations.stack_file import StackFileError, StackReport, read_stack_file
from services.runtime import logs
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import ServiceError

PART_LEFT_OUT: Final = "status.part_left_out"
_MODELS_TIMEOUT_S: Final = 1.5
_CACHES_TIMEOUT_S: Final = 1.5
_PART_TIMEOUT_S: Final = 5.0
_OFTEN_S: Final = 1.0
_SELDOM_S: Final = 10.0
_EXPECTED: Final = (
    ServiceError,
    ServiceCallError,
    StackFileError,
    asyncpg.PostgresError,
    OSError,
    TimeoutError,
)
Context = grpc.aio.ServicerContext[Any, Any]
_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the parts of the status come from.

    Attributes:
        figures: The database.
        queue: Sums up what waits and what runs.
        analysis: Lists the models.
        dicomweb: Tells of a gateway's cache.
        damage: Counts blobs that are not as they were.
        blobs_folder: Root of a local blob store; None when it is none.
        stack_file: Written by this machine's supervisor; None without one.
        low_bytes: Room below which people are warned.
        critical_bytes: Room below which nothing is stored.
    """

    figures: Figures
    queue: Callable[[], Awaitable[workflow_pb.GetQueueResponse]]
    analysis: analysis_grpc.AnalysisServiceAsyncStub
    dicomweb: cache_grpc.DicomWebCacheServiceAsyncStub
    damage: Callable[[], Awaitable[int]]
    blobs_folder: Path | None
    stack_file: Path | None
    low_bytes: int = 0
    critical_bytes: int = 0


class OperationsService(pb_grpc.OperationsServiceServicer):
    """Serves ``heimdallr.operations.v1.OperationsService``."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._queue = Remembered(sources.queue, _OFTEN_S)
        self._throughput = Remembered(sources.figures.throughput, _OFTEN_S)
        self._models = Remembered(self._list_models, _OFTEN_S)
        self._stored = Remembered(sources.figures.stored_bytes, _SELDOM_S)
        self._damage = Remembered(sources.damage, _SELDOM_S)
        self._caches = Remembered(self._list_caches, _SELDOM_S)
        self._postgres = Remembered(sources.figures.server_version, _SELDOM_S)

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: Context
    ) -> pb.GetStatusResponse:
        """See ``operations_service.proto``."""
        stack, disk, damaged = await asyncio.gather(
            _known(self._stack), _known(self._disk), _known(self._damage.get)
        )
        caches, queue, throughput, stored, models, postgres = await asyncio.gather(
            _known(self._caches.get),
            _known(self._queue.get),
            _known(self._throughput.get),
            _known(self._stored.get),
            _known(self._models.get),
            _known(self._postgres.get),
        )
        response = pb.GetStatusResponse(
            processes=stack.processes if stack else [],
            stages=queue.stages if queue else [],
            studies=queue.studies if queue else [],
            throughput=throughput,
            models=models or [],
            storage=_storage(stored, disk, damaged or 0, self._sources),
            caches=caches or [],
            versions=_versions(stack.versions if stack else {}, postgres),
        )
        if queue is not None and queue.HasField("oldest_pending_time"):
            response.oldest_pending_time.CopyFrom(queue.oldest_pending_time)
        return response

    async def _list_models(self) -> Sequence[analysis_pb.Model]:
        request = analysis_pb.ListModelsRequest()
        with typed_errors():
            answer = await self._sources.analysis.ListModels(request, timeout=_MODELS_TIMEOUT_S)
        return answer.models

    async def _list_caches(self) -> Sequence[pb.Cache]:
        request = cache_pb.GetCacheRequest()
        with typed_errors():
            found = await self._sources.dicomweb.GetCache(request, timeout=_CACHES_TIMEOUT_S)
        return [
            pb.Cache(
                name="dicomweb",
                used_bytes=found.used_bytes,
                limit_bytes=found.limit_bytes,
                max_age_s=found.max_age_s,
            )
        ]

    async def _stack(self) -> StackReport | None:
        file = self._sources.stack_file
        return None if file is None else await asyncio.to_thread(read_stack_file, file)

    async def _disk(self) -> tuple[int, int] | None:
        folder = self._sources.blobs_folder
        if folder is None:
            return None
        usage = await asyncio.to_thread(shutil.disk_usage, folder)
        return usage.free, usage.total


async def _known(ask: Callable[[], Awaitable[_Part]]) -> _Part | None:
    """Return an answer, or None when it cannot be had now."""
    try:
        async with asyncio.timeout(_PART_TIMEOUT_S):
            return await ask()
    except _EXPECTED as error:
        logs.get_logger().warning(PART_LEFT_OUT, **logs.failure(error))
        return None


def _storage(
    stored: tuple[int, int] | None,
    disk: tuple[int, int] | None,
    damaged_count: int,
    sources: Sources,
) -> pb.Storage | None:
    if stored is None and disk is None:
        return None
    instance_bytes, result_bytes = stored or (0, 0)
    free_bytes, total_bytes = disk or (0, 0)
    return pb.Storage(
        instance_bytes=instance_bytes,
        result_bytes=result_bytes,
        free_bytes=free_bytes,
        total_bytes=total_bytes,
        low_bytes=sources.low_bytes,
        critical_bytes=sources.critical_bytes,
        damaged_count=damaged_count,
    )


def _versions(of_stack: Mapping[str, str], postgres: str | None) -> list[pb.Version]:
    found = {"heimdallr": metadata.version("heimdallr"), **of_stack}
    if postgres is not None:
        found["postgres"] = postgres
    return [pb.Version(part=part, version=version) for part, version in found.items()]
