"""A TCP proxy that delays, drops and cuts: the network between two peers of a test."""

from __future__ import annotations

import asyncio
from contextlib import suppress

_PIECE_BYTES = 4096


class FaultyProxy:
    """Passes bytes on to a target, as badly as it is told to.

    Attributes:
        delay_s: Pause before each piece is passed on.
        cut_after_bytes: Cut each connection after that many bytes towards the target.
        silent: Swallow everything, both ways: a peer that is there and says nothing.
        port: Where to connect to, once started.
    """

    def __init__(self, target_port: int, target_host: str = "127.0.0.1") -> None:
        self._target = target_host, target_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.delay_s = 0.0
        self.cut_after_bytes: int | None = None
        self.silent = False
        self.port = 0

    async def __aenter__(self) -> FaultyProxy:  # noqa: PYI034 -- never subclassed
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, towards = await asyncio.open_connection(*self._target)
        pumps = {
            asyncio.create_task(self._pump(reader, towards, self.cut_after_bytes)),
            asyncio.create_task(self._pump(there, writer, None)),
        }
        self._tasks |= pumps
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in (writer, towards):
                end.transport.abort()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._tasks -= pumps

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, limit: int | None
    ) -> None:
        passed = 0
        with suppress(ConnectionError):
            while piece := await source.read(_PIECE_BYTES):
                if limit is not None and passed + len(piece) > limit:
                    sink.write(piece[: limit - passed])
                    await sink.drain()
                    return
                passed += len(piece)
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if not self.silent:
                    sink.write(piece)
                    await sink.drain()
