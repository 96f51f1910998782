"""Listens for DICOM peers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from gateway.dimse import pdu
from gateway.dimse.admission import Admission
from gateway.dimse.association import Association, AssociationSettings
from gateway.dimse.connection import Connection
from gateway.dimse.denials import TLS
from gateway.dimse.service import Services
from gateway.dimse.tls_gate import Handshakes, TlsGate
from services.runtime import logs

LISTENING: Final = "dicom.listening"
DIED: Final = "association.died"
_SPARE_CONNECTIONS: Final = 256
"""Connections that are saying goodbye."""


class Listener:
    """Serves associations on one address.

    Args:
        settings: How associations are conducted.
        admission: Gives each its place.
        services: What they are offered.
        max_connections: Waiting connections and associations that may be open together.
    """

    def __init__(
        self,
        settings: AssociationSettings,
        admission: Admission,
        services: Services,
        max_connections: int,
    ) -> None:
        self._settings = settings
        self._admission = admission
        self._services = services
        self._max_open = max_connections + _SPARE_CONNECTIONS
        self._open: set[Connection] = set()
        self._tasks: dict[asyncio.Task[None], Association] = {}
        self._servers: list[asyncio.Server] = []
        # Twice a PDU, so that one can arrive while another is looked at.
        self._capacity = max(2 * settings.inbox.max_pdu_length, pdu.MAX_ASSOCIATE_BYTES) + 4096

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen, and return the port; may be called again for another address.

        Args:
            host: Address.
            port: Port; 0 takes a free one.
            tls: How TLS is spoken there; None for plain TCP.
        """
        factory = self._connection if tls is None else self._gate(tls)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, host, port, backlog=512)
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        logs.get_logger().info(LISTENING)
        return bound

    async def stop(self, grace_s: float) -> None:
        """Take no more connections, let what is being stored be answered, then cut what is left."""
        for server in self._servers:
            server.close()
        self._admission.cut_waiting()
        for association in list(self._tasks.values()):
            association.drain()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for connection in list(self._open):
            connection.cut()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)

    def _connection(self) -> Connection:
        return Connection(self._capacity, self._opened, self._open.discard)

    def _gate(self, tls: ssl.SSLContext) -> Callable[[], TlsGate]:
        handshakes = Handshakes(
            context=tls,
            timeout_s=self._settings.negotiate_timeout_s,
            admission=self._admission,
            connection=self._connection,
            refused=lambda _: self._services.denials.note(TLS, "", "TLS"),
        )
        return lambda: TlsGate(handshakes)

    def _opened(self, connection: Connection) -> None:
        if len(self._open) >= self._max_open:
            connection.cut()
            return
        self._open.add(connection)
        self._admission.wait(connection)
        association = Association(connection, self._settings, self._admission, self._services)
        task = asyncio.create_task(association.run())
        self._tasks[task] = association
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logs.get_logger().error(DIED, **logs.failure(error))


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of "host:port"; brackets around an IPv6 address are taken off."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
