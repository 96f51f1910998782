"""gRPC adapter: translates messages, decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Final

import grpc

from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from heimdallr.deid.v1 import deidentification_service_pb2_grpc as pb_grpc
from heimdallr.deid.v1 import profile_pb2
from services.deid import messages
from services.deid.comparing import compared
from services.deid.instance_stream import InstanceStream
from services.deid.key_ring import KeyRing
from services.deid.orders import Orders
from services.deid.pixels.engine import engine_name
from services.deid.processes import Processes
from services.deid.profile.table import EDITION
from services.deid.project_key import ProjectKey
from services.deid.sealing import Link, NotOurSealError, unseal
from services.deid.series_run import SeriesRun, sources_from_proto
from services.deid.settings import DeidSettings
from services.runtime.blob_messages import blob_from_proto
from services.runtime.blobs import BlobStore
from services.runtime.errors import (
    DeidKeyUnavailableError,
    InvalidFieldError,
    LimitExceededError,
)
from services.runtime.workspaces import Workspaces

MAX_KEY_VERSIONS: Final = 10_000

DescribeContext = grpc.aio.ServicerContext[pb.DescribeToolsRequest, pb.DescribeToolsResponse]
SeriesContext = grpc.aio.ServicerContext[pb.DeidentifySeriesRequest, pb.DeidentifySeriesResponse]
StreamContext = grpc.aio.ServicerContext[
    pb.DeidentifyInstancesRequest, pb.DeidentifyInstancesResponse
]
CompareContext = grpc.aio.ServicerContext[pb.CompareInstanceRequest, pb.CompareInstanceResponse]
OpenContext = grpc.aio.ServicerContext[pb.OpenSealedRequest, pb.OpenSealedResponse]
RotateContext = grpc.aio.ServicerContext[pb.RotateKeyRequest, pb.RotateKeyResponse]


class DeidentificationService(pb_grpc.DeidentificationServiceServicer):
    """Serves ``heimdallr.deid.v1.DeidentificationService``."""

    def __init__(
        self, blobs: BlobStore, workspaces: Workspaces, keys: KeyRing, settings: DeidSettings
    ) -> None:
        self._blobs = blobs
        self._workspaces = workspaces
        self._keys = keys
        self._settings = settings
        self._places = asyncio.Semaphore(settings.at_once)
        # A stream lasts as long as its caller likes: series never wait for one.
        self._stream_places = asyncio.Semaphore(settings.at_once)
        self._processes = Processes(settings.limits, settings.work_folder)

    async def DescribeTools(
        self, request: pb.DescribeToolsRequest, context: DescribeContext
    ) -> pb.DescribeToolsResponse:
        """See ``deidentification_service.proto``."""
        presets = [messages.preset_to_proto(preset) for preset in messages.PRESET_NAMES]
        return pb.DescribeToolsResponse(
            presets=presets, table_edition=EDITION, ocr_engine=engine_name()
        )

    async def DeidentifySeries(
        self, request: pb.DeidentifySeriesRequest, context: SeriesContext
    ) -> AsyncIterator[pb.DeidentifySeriesResponse]:
        """See ``deidentification_service.proto``."""
        sources = sources_from_proto(request.instances)
        key = await asyncio.to_thread(self._keys.key_or_new, request.project_id, request.key_id)
        orders = _orders(request.project_id, key, request.profile, request.key_versions)
        run = SeriesRun(self._blobs, self._workspaces, self._processes, self._settings)
        async with aclosing(self._placed(run.events(sources, orders))) as events:
            async for event in events:
                yield event

    async def DeidentifyInstances(
        self, request_iterator: AsyncIterator[pb.DeidentifyInstancesRequest], context: StreamContext
    ) -> AsyncIterator[pb.DeidentifyInstancesResponse]:
        """See ``deidentification_service.proto``."""
        if self._stream_places.locked():
            raise LimitExceededError("streams")
        stream = InstanceStream(self._workspaces, self._processes, self._settings)
        answers = stream.answers(request_iterator, self._begun)
        async with self._stream_places, aclosing(answers):
            async for answer in answers:
                yield answer

    async def CompareInstance(
        self, request: pb.CompareInstanceRequest, context: CompareContext
    ) -> pb.CompareInstanceResponse:
        """See ``deidentification_service.proto``."""
        ref = blob_from_proto(request.content, "content")
        key = await asyncio.to_thread(self._keys.key, request.project_id)
        orders = _orders(request.project_id, key, request.profile, {}, request.key_version)
        return await compared(
            self._processes, orders, (self._blobs, self._workspaces, ref), reveal=request.reveal
        )

    async def OpenSealed(
        self, request: pb.OpenSealedRequest, context: OpenContext
    ) -> pb.OpenSealedResponse:
        """See ``deidentification_service.proto``."""
        kind = messages.kind_from_proto(request.kind)
        key = await asyncio.to_thread(self._keys.key, request.project_id)
        link = Link(request.project_id, kind, request.pseudonym)
        try:
            identity = unseal(key, link, request.sealed)
        except NotOurSealError:
            raise InvalidFieldError("sealed", "by this project, for this pseudonym") from None
        return pb.OpenSealedResponse(identity=messages.identity_to_proto(identity))

    async def RotateKey(
        self, request: pb.RotateKeyRequest, context: RotateContext
    ) -> pb.RotateKeyResponse:
        """See ``deidentification_service.proto``."""
        key = await asyncio.to_thread(self._keys.rotate, request.project_id)
        reply = pb.RotateKeyResponse(key_version=key.newest.number)
        reply.create_time.FromJsonString(key.newest.create_time)
        return reply

    async def close(self) -> None:
        """End the processes that treat objects."""
        await self._processes.close()

    async def _begun(self, begin: pb.StreamBegin) -> Orders:
        key = await asyncio.to_thread(self._keys.key_or_new, begin.project_id, begin.key_id)
        return _orders(begin.project_id, key, begin.profile, {})

    async def _placed(
        self, events: AsyncGenerator[pb.DeidentifySeriesResponse, None]
    ) -> AsyncGenerator[pb.DeidentifySeriesResponse, None]:
        async with aclosing(events):
            yield SeriesRun.progress(0.0, "Waiting for a free place")
            async with self._places:
                async for event in events:
                    yield event


def _orders(
    project_id: str,
    key: ProjectKey,
    profile: profile_pb2.Profile,
    key_versions: Mapping[str, int],
    for_all: int = 0,
) -> Orders:
    if len(key_versions) > MAX_KEY_VERSIONS:
        raise InvalidFieldError("key_versions", f"at most {MAX_KEY_VERSIONS}")
    if not {*key_versions.values(), for_all} - {0} <= key.versions.keys():
        raise DeidKeyUnavailableError(project_id)
    return Orders(
        project_id,
        key,
        messages.options_from_proto(profile),
        messages.rules_from_proto(profile.rules),
        dict(key_versions),
        for_all,
    )
