"""A TCP connection read into one fixed buffer: what a peer may make us hold is decided here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from gateway.dimse.errors import PeerGoneError, PeerSilentError

_WRITE_LIMIT: Final = 64 << 10


class Connection(asyncio.BufferedProtocol):
    """Reads exactly what is asked for, and stops the peer when nobody asks.

    Args:
        capacity: Size of the buffer in bytes; the most that one read may ask for.
        opened: Called with the connection once there is one.
        lost: Called with the connection once it has ended.
    """

    def __init__(
        self,
        capacity: int,
        opened: Callable[[Connection], None],
        lost: Callable[[Connection], None],
    ) -> None:
        self._buffer = bytearray(capacity)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = self._watched = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None
        self._gone = self._paused = self._discarding = False
        self._opened = opened
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self.peer_address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.BaseProtocol``."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_LIMIT)
        peer = transport.get_extra_info("peername")
        self.peer_address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._opened(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """See ``asyncio.BufferedProtocol``."""
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        """See ``asyncio.BufferedProtocol``."""
        if self._discarding:
            return
        self._end += nbytes
        if self._end == len(self._buffer):
            self._pause()
        if self._end - self._start >= self._wanted:
            self._wake(None)

    def eof_received(self) -> bool:
        """See ``asyncio.BaseProtocol``."""
        self._lose()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.BaseProtocol``."""
        self._lose()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._lost(self)
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def pause_writing(self) -> None:
        """See ``asyncio.BaseProtocol``."""
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """See ``asyncio.BaseProtocol``."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    @property
    def tls_version(self) -> str:
        """Version of TLS that is spoken, e.g. "TLSv1.3"; "" for plain TCP."""
        secured = self._transport.get_extra_info("ssl_object") if self._transport else None
        return str(secured.version()) if secured is not None else ""

    @property
    def buffered_bytes(self) -> int:
        """Bytes that are here and not read yet."""
        return self._end - self._start

    async def read(self, count: int, timeout_s: float) -> memoryview:
        """Return the next bytes, valid until the next read.

        Args:
            count: How many; at most the capacity.
            timeout_s: Longest time to wait for all of them.

        Raises:
            PeerGoneError: The connection ended before.
            PeerSilentError: The time is over.
        """
        if self._end - self._start < count:
            await self._fill(count, timeout_s)
        return self.take(count)

    def take(self, count: int) -> memoryview:
        """Return the next bytes, of those that are here; valid until the next read."""
        start = self._start
        self._start += count
        return self._view[start : self._start]

    async def write(self, data: bytes, timeout_s: float) -> None:
        """Send bytes; waits only when the peer does not take what was sent before.

        Raises:
            PeerGoneError: The connection has ended.
            PeerSilentError: The peer takes nothing for that time.
        """
        if self._gone or self._transport is None:
            raise PeerGoneError
        self._transport.write(data)
        if self._drained is not None and not self._drained.done():
            try:
                await asyncio.wait_for(asyncio.shield(self._drained), timeout_s)
            except TimeoutError:
                raise PeerSilentError from None

    def close(self, timeout_s: float, last_words: bytes = b"") -> None:
        """Say the last words, then wait a while for the peer to close (PS3.8 state Sta13).

        What it still sends is thrown away: closing with bytes unread would reset the connection
        and the peer might never read our last words.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._discarding = True
        self._start = self._end = 0
        self._resume()
        transport.write(last_words)
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()  # TLS has no half-closed connections
        asyncio.get_running_loop().call_later(timeout_s, transport.abort)

    def cut(self) -> None:
        """End the connection at once; a reader learns that the peer is gone."""
        if self._transport is not None:
            self._transport.abort()
        self._lose()

    async def _fill(self, count: int, timeout_s: float) -> None:
        if self._gone:
            raise PeerGoneError
        self._compact(count)
        self._resume()
        loop = asyncio.get_running_loop()
        self._wanted, self._waiter = count, loop.create_future()
        self._deadline = loop.time() + timeout_s
        if self._watch is None or self._watched > self._deadline:
            self._look(loop)
        try:
            await self._waiter
        finally:
            self._wanted, self._waiter = 0, None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the deadline once it is there; most reads are over long before and move it."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._waiter is None or self._gone:
            return
        if loop.time() >= self._deadline:
            self._wake(PeerSilentError())
        else:
            self._watched = self._deadline
            self._watch = loop.call_at(self._watched, self._look, loop)

    def _compact(self, count: int) -> None:
        """Make room for a read; views given before are invalid from here on."""
        held = self._end - self._start
        if held == 0:
            self._start = self._end = 0
        elif self._start + count > len(self._buffer):
            self._view[:held] = self._view[self._start : self._end]
            self._start, self._end = 0, held

    def _wake(self, error: Exception | None) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    def _lose(self) -> None:
        self._gone = True
        self._wake(PeerGoneError())

    def _pause(self) -> None:
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and self._paused and self._end < len(self._buffer):
            self._paused = False
            self._transport.resume_reading()
