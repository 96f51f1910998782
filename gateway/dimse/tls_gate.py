"""The TLS handshake of peers that connect, bounded like every connection that only waits."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from gateway.dimse.admission import Admission
from gateway.dimse.connection import Connection


@dataclass(frozen=True, slots=True)
class Handshakes:
    """How peers get through the handshake.

    Attributes:
        context: How TLS is spoken.
        timeout_s: Longest time it may take.
        admission: Gives those who wait their place.
        connection: Makes what serves a peer afterwards.
        refused: Called with the address of a peer that does not get through.
    """

    context: ssl.SSLContext
    timeout_s: float
    admission: Admission
    connection: Callable[[], Connection]
    refused: Callable[[str], None]


class TlsGate(asyncio.Protocol):
    """One peer until its handshake is over.

    TLS takes a quarter of a mebibyte a connection: it is begun only once there is a place.

    Args:
        handshakes: How it gets through.
    """

    def __init__(self, handshakes: Handshakes) -> None:
        self._handshakes = handshakes
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self.peer_address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.BaseProtocol``."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.pause_reading()
        peer = transport.get_extra_info("peername")
        self.peer_address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._handshakes.admission.wait(self)
        self._task = asyncio.create_task(self._upgrade(self._transport))

    def cut(self) -> None:
        """End the connection at once."""
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.abort()

    async def _upgrade(self, transport: asyncio.Transport) -> None:
        shake = self._handshakes
        connection = shake.connection()
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                connection,
                shake.context,
                server_side=True,
                ssl_handshake_timeout=shake.timeout_s,
            )
        except (OSError, TimeoutError):
            shake.refused(self.peer_address)
            transport.abort()
            return
        finally:
            shake.admission.leave(self)
        if secured is not None:
            connection.connection_made(secured)
