"""A network that may be parted between a Unix socket and all who connect to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

_PIECE_BYTES = 64 << 10


class SocketPartition:
    """Takes the place of a socket and passes everything on, until it is told to hold it back.

    What is held back is neither lost nor refused: connections open, and nothing answers, as when
    packets do not arrive. It comes through once the network is whole again. Who was connected
    before is not parted: it has to connect anew.

    Args:
        path: The socket, which a server listens on already.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._behind = path.with_suffix(".far")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @contextmanager
    def parted(self) -> Iterator[None]:
        """Hold everything back for as long as the block lasts."""
        self._loop.call_soon_threadsafe(self._whole.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._whole.set)

    def __enter__(self) -> Self:
        self._path.rename(self._behind)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        with suppress(FileNotFoundError):
            self._behind.rename(self._path)

    async def _serve(self, near: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        with suppress(OSError, asyncio.CancelledError):
            await self._whole.wait()
            far, onwards = await asyncio.open_unix_connection(self._behind)
            try:
                await self._pass_on((near, onwards), (far, answers))
            finally:
                onwards.transport.abort()
        answers.transport.abort()

    async def _pass_on(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        async with asyncio.TaskGroup() as group:
            pumps = [group.create_task(self._pump(*way)) for way in ways]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await source.read(_PIECE_BYTES):
                await self._whole.wait()
                sink.write(piece)
                await sink.drain()
