"""gRPC adapter of the cache: see ``dicomweb_cache_service.proto``."""

from __future__ import annotations

import grpc

from gateway.dicomweb.cache import DiskCache
from heimdallr.dicomweb.v1 import dicomweb_cache_service_pb2 as pb
from heimdallr.dicomweb.v1 import dicomweb_cache_service_pb2_grpc as pb_grpc
from services.runtime.errors import DependencyUnavailableError

Context = grpc.aio.ServicerContext[pb.GetCacheRequest, pb.GetCacheResponse]


class DicomWebCacheService(pb_grpc.DicomWebCacheServiceServicer):
    """Serves ``heimdallr.dicomweb.v1.DicomWebCacheService``.

    Args:
        cache: What it tells of; None where no DICOMweb is served.
    """

    def __init__(self, cache: DiskCache | None) -> None:
        self._cache = cache

    async def GetCache(self, request: pb.GetCacheRequest, context: Context) -> pb.GetCacheResponse:
        """See ``dicomweb_cache_service.proto``."""
        if self._cache is None:
            raise DependencyUnavailableError("dicomweb")
        fill = self._cache.fill
        return pb.GetCacheResponse(
            used_bytes=fill.used_bytes,
            limit_bytes=fill.limit_bytes,
            max_age_s=round(fill.max_age_s),
        )
