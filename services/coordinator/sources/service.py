"""gRPC adapter of the registry of sources."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc

from heimdallr.sources.v1 import sources_service_pb2 as pb
from heimdallr.sources.v1 import sources_service_pb2_grpc as pb_grpc
from services.coordinator.sources.messages import (
    checked_text,
    progress_from_proto,
    source_to_proto,
    spec_from_proto,
    turn_to_proto,
)
from services.coordinator.sources.rules import check_orthanc_id, check_spec
from services.coordinator.sources.source import Kind, SourceSpec
from services.coordinator.sources.store import SourceStore
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

Context = grpc.aio.ServicerContext[Any, Any]
_LONGEST_HOLD_S: Final = 600


Speaks = Callable[[str], Awaitable[tuple[bool, bool]]]
"""Tells whether a peer speaks DIMSE, and whether DICOMweb; raises `PeerNotFoundError`."""


class SourcesService(pb_grpc.SourcesServiceServicer):
    """Serves ``heimdallr.sources.v1.SourcesService``."""

    def __init__(self, store: SourceStore, speaks: Speaks) -> None:
        self._store = store
        self._speaks = speaks

    async def ListSources(
        self, request: pb.ListSourcesRequest, context: Context
    ) -> pb.ListSourcesResponse:
        """See ``sources_service.proto``."""
        return pb.ListSourcesResponse(sources=map(source_to_proto, await self._store.sources()))

    async def GetSource(
        self, request: pb.GetSourceRequest, context: Context
    ) -> pb.GetSourceResponse:
        """See ``sources_service.proto``."""
        key = request.WhichOneof("source")
        if key is None or "\0" in getattr(request, key):
            raise InvalidFieldError("source", "one of its names")
        source = await self._store.source(key, getattr(request, key))
        return pb.GetSourceResponse(source=source_to_proto(source))

    async def CreateSource(
        self, request: pb.CreateSourceRequest, context: Context
    ) -> pb.CreateSourceResponse:
        """See ``sources_service.proto``."""
        source = await self._store.create(await self._spec(request.spec))
        return pb.CreateSourceResponse(source=source_to_proto(source))

    async def UpdateSource(
        self, request: pb.UpdateSourceRequest, context: Context
    ) -> pb.UpdateSourceResponse:
        """See ``sources_service.proto``."""
        source = await self._store.update(request.source_id, await self._spec(request.spec))
        return pb.UpdateSourceResponse(source=source_to_proto(source))

    async def DeleteSource(
        self, request: pb.DeleteSourceRequest, context: Context
    ) -> pb.DeleteSourceResponse:
        """See ``sources_service.proto``."""
        await self._store.delete(request.source_id)
        return pb.DeleteSourceResponse()

    async def PauseSource(
        self, request: pb.PauseSourceRequest, context: Context
    ) -> pb.PauseSourceResponse:
        """See ``sources_service.proto``."""
        source = await self._store.pause(request.source_id, paused=request.paused)
        return pb.PauseSourceResponse(source=source_to_proto(source))

    async def RunSource(
        self, request: pb.RunSourceRequest, context: Context
    ) -> pb.RunSourceResponse:
        """See ``sources_service.proto``."""
        source = await self._store.request(request.source_id, reconcile=request.reconcile)
        return pb.RunSourceResponse(source=source_to_proto(source))

    async def NoticeStudy(
        self, request: pb.NoticeStudyRequest, context: Context
    ) -> pb.NoticeStudyResponse:
        """See ``sources_service.proto``."""
        name = request.source_name
        if "\0" in name:
            raise InvalidFieldError("source_name", "no NUL")
        source_id = await self._store.notice(check_orthanc_id(request.orthanc_id), name)
        return pb.NoticeStudyResponse(source_id=source_id)

    async def TakeTurn(self, request: pb.TakeTurnRequest, context: Context) -> pb.TakeTurnResponse:
        """See ``sources_service.proto``."""
        if not is_id(request.gateway_id):
            raise InvalidFieldError("gateway_id", "one of our ids")
        turn = await self._store.take_turn(request.gateway_id, _hold(request.hold_s))
        return pb.TakeTurnResponse(turn=turn_to_proto(turn) if turn is not None else None)

    async def KeepTurn(self, request: pb.KeepTurnRequest, context: Context) -> pb.KeepTurnResponse:
        """See ``sources_service.proto``."""
        _check_turn(request)
        progress = progress_from_proto(request.progress)
        stop = await self._store.keep_turn(
            request.source_id, request.turn_id, progress, _hold(request.hold_s)
        )
        return pb.KeepTurnResponse(stop=stop)

    async def EndTurn(self, request: pb.EndTurnRequest, context: Context) -> pb.EndTurnResponse:
        """See ``sources_service.proto``."""
        _check_turn(request)
        await self._store.end_turn(
            request.source_id,
            request.turn_id,
            progress_from_proto(request.progress),
            checked_text(request.failure, "failure"),
            reconciled=request.reconciled,
        )
        return pb.EndTurnResponse()

    async def _spec(self, message: pb.SourceSpec) -> SourceSpec:
        spec = spec_from_proto(message)
        check_spec(spec)
        if spec.kind is not Kind.WATCH_FOLDER:
            speaks_dimse, speaks_web = await self._speaks(spec.peer_id)
            if not (speaks_dimse if spec.kind is Kind.DIMSE else speaks_web):
                what = "DIMSE" if spec.kind is Kind.DIMSE else "DICOMweb"
                raise InvalidFieldError(f"spec.{spec.kind.value}.peer_id", f"a peer with {what}")
        return spec


def _hold(seconds: int) -> int:
    if not 5 <= seconds <= _LONGEST_HOLD_S:
        raise InvalidFieldError("hold_s", "5 to 600")
    return seconds


def _check_turn(request: pb.KeepTurnRequest | pb.EndTurnRequest) -> None:
    for name in ("source_id", "turn_id"):
        if not is_id(getattr(request, name)):
            raise InvalidFieldError(name, "one of our ids")
