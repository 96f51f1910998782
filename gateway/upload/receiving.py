"""The bytes of an upload on their way to disk, one writer at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp import web

from gateway.upload.spool import Upload, UploadSpool
from services.runtime.local_files import storage_errors

_WRITE_BYTES: Final = 1 << 20
_FLUSH_BYTES: Final = 64 << 20


class OffsetError(Exception):
    """The body does not continue where the upload stands."""


class TooLongError(Exception):
    """The body is longer than what the upload still lacks."""


class SlowBodyError(Exception):
    """The body stopped coming."""


class BrokenOffError(Exception):
    """The client has gone, or another one writes on."""


class Receiving:
    """Appends bodies to uploads.

    Args:
        spool: Where uploads lie.
        idle_timeout_s: Longest silence of a body.
    """

    def __init__(self, spool: UploadSpool, idle_timeout_s: float) -> None:
        self._spool = spool
        self._idle_timeout_s = idle_timeout_s
        self._writers: dict[str, asyncio.Task[int]] = {}

    async def append(self, upload: Upload, offset: int, request: web.BaseRequest) -> int:
        """Append a body and return how many bytes there are; they are durable then.

        A writer that is still there gives way: its connection is one that broke unnoticed.

        Raises:
            OffsetError: The upload stands elsewhere.
            TooLongError: The body goes on after the last byte.
            SlowBodyError: It stopped coming.
            BrokenOffError: The client has gone, or another one writes on.
            StorageFullError: No room.
        """
        upload_id = upload.upload_id
        await self.interrupt(upload)
        task = asyncio.create_task(self._append(upload, offset, request))
        self._writers[upload_id] = task
        task.add_done_callback(lambda _: self._writers.pop(upload_id, None))
        try:
            return await task
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            own = asyncio.current_task()
            if own is not None and own.cancelling():
                raise
            raise BrokenOffError from None

    async def interrupt(self, upload: Upload) -> None:
        """End the writer of an upload, if there is one; what it brought is on disk then."""
        while (writer := self._writers.get(upload.upload_id)) is not None:
            writer.cancel()
            await asyncio.wait([writer])
            await asyncio.sleep(0)

    async def _append(self, upload: Upload, offset: int, request: web.BaseRequest) -> int:
        if offset != await asyncio.to_thread(self._spool.offset, upload):
            raise OffsetError
        file = await asyncio.to_thread(self._open, upload)
        try:
            await self._copy(upload, upload.length - offset, request.content, file)
        finally:
            await _in_thread(lambda: self._close(upload, file))
        return await asyncio.to_thread(self._spool.offset, upload)

    async def _copy(
        self, upload: Upload, missing: int, body: aiohttp.StreamReader, file: int
    ) -> None:
        held, unflushed = bytearray(), 0
        try:
            while piece := await self._next(body):
                missing -= len(piece)
                if missing < 0:
                    raise TooLongError
                held += piece
                if len(held) >= _WRITE_BYTES:
                    taken, held = held, bytearray()
                    await self._write(file, taken)
                    unflushed += len(taken)
                if unflushed >= _FLUSH_BYTES:
                    await _in_thread(lambda: self._flush(upload, file))
                    unflushed = 0
        finally:
            # What came is kept, however it ended: the client goes on from there.
            if held and missing >= 0:
                await self._write(file, held)

    async def _next(self, body: aiohttp.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(self._idle_timeout_s):
                return await body.readany()
        except TimeoutError:
            raise SlowBodyError from None
        except (aiohttp.ClientError, ConnectionError):
            raise BrokenOffError from None

    async def _write(self, file: int, data: bytearray) -> None:
        def write() -> None:
            self._spool.require_room()
            rest = memoryview(data)
            with storage_errors():
                while rest:
                    rest = rest[os.write(file, rest) :]

        await _in_thread(write)

    def _open(self, upload: Upload) -> int:
        return os.open(self._spool.data_path(upload), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _flush(self, upload: Upload, file: int) -> None:
        with storage_errors():
            os.fdatasync(file)
        self._spool.flushed(upload)

    def _close(self, upload: Upload, file: int) -> None:
        try:
            self._flush(upload, file)
        finally:
            os.close(file)


async def _in_thread(work: Callable[[], None]) -> None:
    """Run in a thread, and wait for it even when cancelled: it uses a file of ours."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(future)
    except asyncio.CancelledError:
        with suppress(Exception):
            await asyncio.wait([future])
        raise
