"""Health checks, which anybody may ask for."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2


class OpenHealth(health.aio.HealthServicer):
    """grpc's health service, for the names it was given alone.

    The original keeps a watcher under every name it is asked for; a stranger could fill the memory
    with names.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known = {""}

    async def set(self, service: str, status: int) -> None:
        """Set the status of a service, known from now on."""
        self._known.add(service)
        await super().set(service, status)

    async def Watch(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> None:
        """See ``grpc.health.v1``; unlike there, an unknown name is an error."""
        if request.service not in self._known:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        await super().Watch(request, context)
