"""A peer that asked for storage commitment, went away, and waits to be called."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from typing import Self

from gateway.dimse import pdu
from tests.support.requester import EXPLICIT, Message, Requester


class ReportingPeer:
    """Listens for associations and keeps the N-EVENT-REPORTs that come by them.

    Args:
        statuses: What the first reports are answered with; the others succeed.
    """

    syntax = EXPLICIT

    def __init__(self, statuses: list[int] | None = None) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.reports: queue.Queue[Message] = queue.Queue()
        self.roles: dict[str, tuple[bool, bool]] = {}
        self._statuses = list(statuses or [])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        # Elsewhere: who is to release the association runs in this thread.
        await asyncio.to_thread(self._thread.join, 5)

    def report(self) -> Message:
        """Return the next report."""
        return self.reports.get(timeout=10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                self._associate(_Accepted(connection))

    def _associate(self, peer: _Accepted) -> None:
        kind, body = peer.receive()
        if kind != pdu.ASSOCIATE_RQ:
            return
        request = pdu.decode_associate_request(memoryview(body))
        self.roles = {uid: (r.user, r.provider) for uid, r in request.roles.items()}
        items = pdu.encode_item(0x10, b"1.2.840.10008.3.1.1.1")
        for context in request.contexts:
            syntax = pdu.encode_item(0x40, EXPLICIT.encode())
            items += pdu.encode_item(0x21, bytes((context.context_id, 0, 0, 0)) + syntax)
        items += pdu.encode_item(0x50, pdu.encode_item(0x51, (16384).to_bytes(4, "big")))
        peer.send(pdu.encode(pdu.ASSOCIATE_AC, body[:68] + items))
        try:
            message = peer.message()
            peer.answer(message, self._statuses.pop(0) if self._statuses else 0)
            self.reports.put(message)
            kind, _ = peer.receive()
            if kind == pdu.RELEASE_RQ:
                peer.send(pdu.encode_release_response())
        except (AssertionError, OSError):
            return


class _Accepted(Requester):
    """The other side of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        self.socket = connection
