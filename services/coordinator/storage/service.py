"""gRPC adapter of looking after what is stored."""

from __future__ import annotations

from typing import Any

import grpc

from heimdallr.storage.v1 import storage_service_pb2 as pb
from heimdallr.storage.v1 import storage_service_pb2_grpc as pb_grpc
from services.coordinator.storage.loops import CollectionLoop, ScrubLoop
from services.coordinator.storage.messages import (
    collection_to_proto,
    damage_to_proto,
    scrub_to_proto,
)
from services.coordinator.storage.store import StorageStore
from services.runtime.errors import InvalidFieldError

Context = grpc.aio.ServicerContext[Any, Any]


class StorageService(pb_grpc.StorageServiceServicer):
    """Serves ``heimdallr.storage.v1.StorageService``."""

    def __init__(self, store: StorageStore, collections: CollectionLoop, scrubs: ScrubLoop) -> None:
        self._store = store
        self._collections = collections
        self._scrubs = scrubs

    async def StartCollection(
        self, request: pb.StartCollectionRequest, context: Context
    ) -> pb.StartCollectionResponse:
        """See ``storage_service.proto``."""
        round_ = await self._collections.start(dry_run=request.dry_run)
        return pb.StartCollectionResponse(collection=collection_to_proto(round_))

    async def GetCollection(
        self, request: pb.GetCollectionRequest, context: Context
    ) -> pb.GetCollectionResponse:
        """See ``storage_service.proto``."""
        round_ = await self._store.latest_collection()
        return pb.GetCollectionResponse(
            collection=collection_to_proto(round_) if round_ is not None else None
        )

    async def StartScrub(
        self, request: pb.StartScrubRequest, context: Context
    ) -> pb.StartScrubResponse:
        """See ``storage_service.proto``."""
        if request.rate_bytes < 0:
            raise InvalidFieldError("rate_bytes", "not negative")
        round_ = await self._scrubs.start(request.rate_bytes)
        return pb.StartScrubResponse(scrub=scrub_to_proto(round_))

    async def GetScrub(self, request: pb.GetScrubRequest, context: Context) -> pb.GetScrubResponse:
        """See ``storage_service.proto``."""
        round_ = await self._store.latest_scrub()
        return pb.GetScrubResponse(scrub=scrub_to_proto(round_) if round_ is not None else None)

    async def ListDamage(
        self, request: pb.ListDamageRequest, context: Context
    ) -> pb.ListDamageResponse:
        """See ``storage_service.proto``."""
        return pb.ListDamageResponse(
            damages=[damage_to_proto(damage) for damage in await self._store.damages()]
        )
