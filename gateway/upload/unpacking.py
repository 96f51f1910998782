"""An upload that is whole becomes instances: one file, or those of an archive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, closing
from itertools import chain, islice
from pathlib import Path
from typing import Final

from gateway.file_door import FileDoor
from gateway.handover import HandoverError
from gateway.part10_intake import MEDIA_STORAGE_DIRECTORY, read_head
from gateway.refusal import RefusedError
from gateway.source import Source
from gateway.upload.directory import MAX_DIRECTORY_BYTES, Located, References, read_references
from gateway.upload.outcome import Outcome
from gateway.upload.zip_archive import (
    ArchiveLimits,
    BadArchiveError,
    Entry,
    ZipArchive,
    looks_like_zip,
)
from services.dicom.errors import DicomError, NotDicomError
from services.runtime import logs
from services.runtime.errors import BlobNotFoundError, StorageFullError

NO_ROOM: Final = "upload.no_room"
NOT_DICOM: Final = "no DICOM file"
A_DIRECTORY: Final = "a DICOMDIR"
NESTED: Final = "an archive within the archive"
STORAGE: Final = "storage failed"
_PIECE: Final = 1 << 20
_BATCH: Final = 32
_NO_ROOM_S: Final = 5.0

Note = Callable[[Outcome], None]
Content = Callable[[], Iterator[bytes]]


class Unpacking:
    """Takes uploads apart.

    Args:
        door: Takes DICOM files.
        limits: What an archive may hold.
        workers: Entries that are staged at the same time.
        no_room_s: Pause before a file is tried again for which there was no room.
    """

    def __init__(
        self,
        door: FileDoor,
        limits: ArchiveLimits,
        workers: int,
        no_room_s: float = _NO_ROOM_S,
    ) -> None:
        self._door = door
        self._limits = limits
        self._workers = workers
        self._no_room_s = no_room_s

    async def run(self, path: Path, source: Source, outcome: Outcome, note: Note) -> None:
        """Take one upload apart, from the first file that was not looked at yet.

        While there is no room it waits.

        Args:
            path: Its bytes.
            source: Where they came from.
            outcome: What became of it so far; it is brought up to date.
            note: Keeps the outcome now and then, so that a restart goes on from there.
        """
        files = _Files(self._door, source, outcome, self._no_room_s)
        start = await asyncio.to_thread(_start_of, path)
        if not looks_like_zip(start):
            await files.take(1, lambda: _pieces(path))
            return
        try:
            archive = await asyncio.to_thread(ZipArchive, path, self._limits)
        except BadArchiveError as error:
            outcome.failure = error.rule
            return
        with closing(archive):
            await self._archive(archive, files, outcome, note)

    async def _archive(
        self, archive: ZipArchive, files: _Files, outcome: Outcome, note: Note
    ) -> None:
        entries = archive.entries()
        while batch := await asyncio.to_thread(_next_batch, entries):
            for entry in batch:
                files.located.add(entry.name)
            fresh = [entry for entry in batch if entry.place >= outcome.next_place]
            await files.take_all(archive, fresh, self._workers)
            if fresh:
                outcome.next_place = batch[-1].place + 1
                await asyncio.to_thread(note, outcome)
        files.count_references()


class _Files:
    """The files of one upload, and what their directories refer to."""

    def __init__(self, door: FileDoor, source: Source, outcome: Outcome, no_room_s: float) -> None:
        self._door = door
        self._source = source
        self._outcome = outcome
        self._no_room_s = no_room_s
        self.located = Located()
        self._references: list[References] = []

    async def take_all(self, archive: ZipArchive, entries: list[Entry], workers: int) -> None:
        """Take some entries, a few at the same time."""
        slots = asyncio.Semaphore(workers)

        async def take(entry: Entry) -> None:
            async with slots:
                folder = entry.name.replace(b"\\", b"/").rpartition(b"/")[0]
                await self.take(entry.place, lambda: archive.content(entry), folder, within=True)

        await asyncio.gather(*(take(entry) for entry in entries if not entry.is_folder))

    async def take(
        self, place: int, content: Content, folder: bytes = b"", *, within: bool = False
    ) -> None:
        """Take one file, whatever it is."""
        while True:
            try:
                await self._take(place, content, folder, within=within)
            except StorageFullError:
                logs.get_logger().warning(NO_ROOM)
                await asyncio.sleep(self._no_room_s)
            except NotDicomError:
                self._outcome.skip(place, NOT_DICOM)
                return
            except (BadArchiveError, HandoverError) as error:
                self._outcome.refuse(place, error.rule)
                return
            except (RefusedError, DicomError) as error:
                self._outcome.refuse(place, f"{error.field}: {error.rule}")
                return
            except (OSError, BlobNotFoundError) as error:
                logs.get_logger().error(STORAGE, **logs.failure(error))
                self._outcome.refuse(place, STORAGE)
                return
            else:
                return

    async def _take(self, place: int, content: Content, folder: bytes, *, within: bool) -> None:
        pieces = content()
        head = await asyncio.to_thread(next, pieces, b"")
        if within and looks_like_zip(head):
            raise BadArchiveError(NESTED)
        whole = chain((head,), pieces)
        if _is_directory(head):
            await self._directory(place, whole, folder)
            return
        async with aclosing(_in_threads(whole)) as async_pieces:
            disposition, _ = await self._door.take(async_pieces, self._source)
        self._outcome.count(disposition)

    async def _directory(self, place: int, pieces: Iterator[bytes], folder: bytes) -> None:
        whole = await asyncio.to_thread(_whole, pieces, MAX_DIRECTORY_BYTES)
        references = await asyncio.to_thread(read_references, whole, folder)
        self._outcome.skip(place, A_DIRECTORY)
        self._references.append(references)
        self._outcome.references += len(references.paths) + references.refused_count
        self._outcome.references_refused += references.refused_count

    def count_references(self) -> None:
        """Note which references name files that are not there."""
        for references in self._references:
            self._outcome.references_missing += len(references.paths - self.located.keys)


def _is_directory(head: bytes) -> bool:
    try:
        return read_head(head)[0].sop_class_uid == MEDIA_STORAGE_DIRECTORY
    except DicomError:
        return False


def _next_batch(entries: Iterator[Entry]) -> list[Entry]:
    return list(islice(entries, _BATCH))


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _whole(pieces: Iterator[bytes], most: int) -> bytes:
    whole = bytearray()
    for piece in pieces:
        whole += piece
        if len(whole) > most:
            raise BadArchiveError("a DICOMDIR that is too large")
    return bytes(whole)


async def _in_threads(pieces: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
