"""All uploads of a gateway: those that still come, and those that are being unpacked."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from aiohttp import web

from gateway.file_door import FileDoor
from gateway.source import Door, Source
from gateway.upload.outcome import Outcome
from gateway.upload.receiving import Receiving
from gateway.upload.settings import UploadSettings
from gateway.upload.spool import Upload, UploadSpool
from gateway.upload.unpacking import Unpacking
from gateway.upload.zip_archive import ArchiveLimits
from services.runtime import logs
from services.runtime.errors import StorageFullError

UNPACKED: Final = "upload.unpacked"
UNPACKING_FAILED: Final = "upload.unpacking_failed"
EXPIRED: Final = "upload.expired"
SWEEP_FAILED: Final = "upload.sweep_failed"
_AT_ONCE: Final = 2
_SWEEP_S: Final = 60.0
_AGAIN_S: Final = 15.0


class Uploads:
    """Keeps uploads going.

    Args:
        spool: Where they lie.
        door: Takes DICOM files.
        settings: Bounds.
    """

    def __init__(self, spool: UploadSpool, door: FileDoor, settings: UploadSettings) -> None:
        self.spool = spool
        self._receiving = Receiving(spool, settings.idle_timeout_s)
        self._door = door
        self._unpacking = Unpacking(door, archive_limits(settings), settings.workers)
        self._settings = settings
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._running: dict[str, asyncio.Task[None]] = {}

    def state(self, upload: Upload) -> str:
        """Return "receiving", "waiting", "unpacking" or "done"."""
        if self.spool.is_finished(upload):
            return "done"
        if self.spool.offset(upload) < upload.length:
            return "receiving"
        return "unpacking" if upload.upload_id in self._running else "waiting"

    async def append(self, upload: Upload, offset: int, request: web.BaseRequest) -> int:
        """Append a body and return how many bytes there are; see ``Receiving.append``."""
        try:
            return await self._receiving.append(upload, offset, request)
        finally:
            # Also when the last byte came and the client went before it was told.
            if await asyncio.to_thread(self.spool.offset, upload) == upload.length:
                self._waiting.put_nowait(upload.upload_id)

    async def stand(self, upload: Upload) -> int:
        """Return how many bytes came; whoever still writes gives way to the one who asks."""
        await self._receiving.interrupt(upload)
        return await asyncio.to_thread(self.spool.offset, upload)

    async def terminate(self, upload: Upload) -> None:
        """Forget an upload; what was taken from it stays."""
        await self._receiving.interrupt(upload)
        running = self._running.get(upload.upload_id)
        if running is not None:
            running.cancel()
            await asyncio.wait([running])
        await asyncio.to_thread(self.spool.remove, upload)

    async def run(self) -> None:
        """Unpack what is whole, and forget what is old, until cancelled."""
        for upload in await asyncio.to_thread(self.spool.whole):
            self._waiting.put_nowait(upload.upload_id)
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(self._work())
            group.create_task(self._sweep())

    async def _work(self) -> None:
        while True:
            upload_id = await self._waiting.get()
            upload = self.spool.get(upload_id)
            if upload is None or upload_id in self._running or self.spool.is_finished(upload):
                continue
            task = asyncio.create_task(self._unpack(upload))
            self._running[upload_id] = task
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                task.cancel()
                await asyncio.wait([task])
                raise
            finally:
                del self._running[upload_id]
            if not task.cancelled() and (error := task.exception()) is not None:
                # The disk, not the upload: what became of it so far is on disk as far as it could.
                logs.get_logger().error(UNPACKING_FAILED, **logs.failure(error))
                loop = asyncio.get_running_loop()
                loop.call_later(_AGAIN_S, self._waiting.put_nowait, upload_id)

    async def _unpack(self, upload: Upload) -> None:
        outcome = await asyncio.to_thread(self.spool.outcome, upload)
        source = _source(upload)
        try:
            await self._unpacking.run(
                self.spool.data_path(upload),
                source,
                outcome,
                lambda noted: self.spool.note(upload, noted),
            )
        except (OSError, StorageFullError):
            raise
        except Exception as error:
            # A fault of ours: the same bytes would fail the same way for ever.
            logs.get_logger().error(UNPACKING_FAILED, **logs.failure(error))
            outcome.failure = "it could not be unpacked"
        await self._finish(upload, source, outcome)

    async def _finish(self, upload: Upload, source: Source, outcome: Outcome) -> None:
        outcome.finished = True
        for passed in (outcome.refused, outcome.skipped):
            passed.sort(key=lambda one: one.place)
        await self._door.leave(source, released=True, stored_count=outcome.durable_count)
        await asyncio.to_thread(self.spool.note, upload, outcome)
        logs.get_logger().info(
            UNPACKED,
            upload_id=upload.upload_id,
            stored=outcome.stored,
            duplicates=outcome.duplicates,
            refused=outcome.refused_count,
            skipped=outcome.skipped_count,
        )

    async def _sweep(self) -> None:
        while True:
            try:
                for upload in await asyncio.to_thread(self._old):
                    logs.get_logger().info(EXPIRED, upload_id=upload.upload_id)
                    await self.terminate(upload)
            except OSError as error:
                logs.get_logger().error(SWEEP_FAILED, **logs.failure(error))
            await asyncio.sleep(_SWEEP_S)

    def _old(self) -> list[Upload]:
        now, settings = time.time(), self._settings
        old, done = [], []
        for upload in self.spool.uploads():
            age = now - self.spool.last_change(upload)
            if self.spool.is_finished(upload):
                done.append(upload)
                if age > settings.outcome_kept_s:
                    old.append(upload)
            elif self.spool.offset(upload) < upload.length and age > settings.expire_after_s:
                old.append(upload)
        surplus = max(0, len(done) - settings.outcome_kept_count)
        return list({upload.upload_id: upload for upload in (*old, *done[:surplus])}.values())


def archive_limits(settings: UploadSettings) -> ArchiveLimits:
    """Return what an archive may hold."""
    return ArchiveLimits(
        max_entries=settings.max_entries,
        max_inflated_bytes=settings.max_inflated_bytes,
        max_ratio=settings.max_ratio,
        ratio_from_bytes=settings.ratio_from_bytes,
    )


def _source(upload: Upload) -> Source:
    return Source(Door.UPLOAD, upload.upload_id, "", "", upload.peer_address)
