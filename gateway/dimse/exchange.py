"""One request while its provider works on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from gateway.dimse.commands import N_EVENT_REPORT_RQ, InstanceName, Reply, Status
from gateway.dimse.errors import PeerGoneError, PeerSilentError, ProtocolError, ReleasedError
from gateway.dimse.link import Link
from gateway.dimse.negotiation import ContextResult
from gateway.dimse.service import Provider, Request
from services.runtime import logs
from services.runtime.correlation import set_correlation_id

FAILED: Final = "service.failed"
UNABLE_TO_PROCESS: Final = Status(0xC000, "unable to process")
PROCESSING_FAILURE: Final = Status(0x0110, "processing failure")
_ENDS: Final = (PeerGoneError, PeerSilentError, ProtocolError, ReleasedError)


class Exchange:
    """A ``Responder`` of one request.

    Args:
        request: The request.
        link: Its association.
    """

    def __init__(self, request: Request, link: Link) -> None:
        self._request = request
        self._link = link

    @property
    def contexts(self) -> Sequence[ContextResult]:
        """See ``Responder``."""
        return tuple(self._link.contexts.values())

    @property
    def is_cancelled(self) -> bool:
        """See ``Responder``."""
        return self._link.is_cancelled(self._request.command)

    async def pending(self, reply: Reply) -> None:
        """See ``Responder``."""
        context_id = self._request.context.context_id
        await self._link.respond(context_id, self._request.command, reply)

    async def store(
        self, context: ContextResult, instance: InstanceName, data_set: AsyncIterator[bytes]
    ) -> int:
        """See ``Responder``."""
        return await self._link.store(context.context_id, instance, data_set)

    async def report(self, instance: InstanceName, event_type: int, data_set: bytes) -> int:
        """See ``Responder``."""
        context_id = self._request.context.context_id
        return await self._link.report(context_id, instance, event_type, data_set)


async def serve(provider: Provider, request: Request, link: Link) -> Reply:
    """Return what a provider answers, while the peer is listened to.

    Raises:
        ReleasedError, PeerGoneError, PeerSilentError, ProtocolError: The association ends; the
            provider was cancelled.
    """
    link.begin(request.command)
    serving = asyncio.create_task(_served(provider, request, link))
    try:
        ahead = link.look_ahead()
        await asyncio.wait((serving, ahead), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            # The next request waits its turn; an end of the association is raised here.
            ahead.result()
            await asyncio.wait((serving,))
        return serving.result()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def _served(provider: Provider, request: Request, link: Link) -> Reply:
    # The coordinator's own entries of what is asked for here carry it.
    set_correlation_id(request.source.association_id)
    try:
        return await provider.serve(request, Exchange(request, link))
    except _ENDS:
        raise
    except Exception as error:  # a peer is owed an answer, whatever broke
        logs.get_logger().error(FAILED, **logs.failure(error))
        normalized = request.command.field >= N_EVENT_REPORT_RQ
        return Reply(PROCESSING_FAILURE if normalized else UNABLE_TO_PROCESS)
