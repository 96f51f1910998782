"""What pynetdicom leaves open about a connection: how long a PDU may be and how slow a peer.

Its reactor takes whatever length a PDU claims and waits for it without end. Here the method with
which it reads a connection is put in place of its own.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Any, Final

_ASSOCIATE_BYTES: Final = 256 << 10
_PIECE: Final = 64 << 10
_HEADER_BYTES: Final = 6


class Guard:
    """Watches one connection.

    Args:
        max_pdu_length: Longest P-DATA-TF variable field that was announced to the peer.
        max_message_bytes: Longest message that is taken, in bytes.
        timeout_s: Time that a PDU may take.
        tls: How TLS is spoken, if it is.

    Attributes:
        connected: Whether TCP, and TLS where it is spoken, stood.
        overrun: Whether the peer sent more than is taken.
        received_bytes: Everything that came.
    """

    def __init__(
        self,
        max_pdu_length: int,
        max_message_bytes: int,
        timeout_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        if tls is not None:
            tls.sslsocket_class = _TlsSocket
        self._max_pdu_bytes = max(max_pdu_length + 12, _ASSOCIATE_BYTES)
        self._max_message_bytes = max_message_bytes
        self._timeout_s = timeout_s
        self._message_bytes = 0
        self._socket: socket.socket | None = None
        self._cut = False
        self._lock = threading.Lock()
        self.connected = self.overrun = False
        self.received_bytes = 0

    @property
    def tls_failed(self) -> bool:
        """Whether the peer was reached and then TLS was not agreed on."""
        return isinstance(self._socket, _TlsSocket) and self._socket.handshake_failed

    def wrap_socket(self, sock: socket.socket, **options: Any) -> socket.socket:
        """Take over a socket before it is connected, in the place of an ``SSLContext``."""
        wrapped = sock if self._tls is None else self._tls.wrap_socket(sock, **options)
        with self._lock:
            self._socket = wrapped
        return wrapped

    def opened(self, event: Any) -> None:
        """Take over a connection that was made; a handler of ``EVT_CONN_OPEN``."""
        transport = event.assoc.dul.socket
        self.connected = True
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.socket.settimeout(self._timeout_s)
        transport.recv = self._receive
        if self._cut:
            self.cut()

    def next_message(self, _event: Any) -> None:
        """Begin to count anew; a handler of ``EVT_DIMSE_RECV``."""
        self._message_bytes = 0

    def cut(self) -> None:
        """End the connection, from any thread."""
        self._cut = True
        with self._lock, suppress(OSError):
            if self._socket is not None:
                # Of an SSLSocket only the layer below may be ended by another thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Free the socket: pynetdicom leaves one open that was not connected."""
        with self._lock, suppress(OSError):
            if self._socket is not None:
                self._socket.close()

    def _receive(self, count: int) -> bytearray:
        """Read exactly so many bytes, fewer when the connection ended."""
        self._message_bytes += count
        if count > self._max_pdu_bytes or self._message_bytes > self._max_message_bytes:
            self.overrun = True
            raise OSError("more than is taken")
        deadline = time.monotonic() + self._timeout_s
        data = bytearray()
        while len(data) < count:
            if time.monotonic() > deadline:
                raise TimeoutError
            piece = self._read(min(count - len(data), _PIECE))
            if not piece:
                break
            data += piece
        self.received_bytes += len(data)
        return data

    def _read(self, most: int) -> bytes:
        assert self._socket is not None  # noqa: S101 -- only a connection reads
        try:
            return self._socket.recv(most)
        except ssl.SSLWantReadError:
            return b""


class _TlsSocket(ssl.SSLSocket):
    handshake_failed = False

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.handshake_failed = True
            raise
