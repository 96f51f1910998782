"""The way of one instance's bytes into the blob store, checked before they are committed."""

from __future__ import annotations

import hashlib
import mmap
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gateway.hop import Hop
from gateway.quarantine import Quarantine
from gateway.refusal import RefusalKind, RefusedError
from services.dicom.attributes import (
    IndexAttributes,
    ReadAhead,
    read_ahead,
    read_index_attributes,
)
from services.dicom.errors import DicomError
from services.dicom.part10 import file_meta
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import StorageFullError
from services.runtime.local_blobs import LocalBlobs
from services.runtime.local_files import StagedFile

MEDIA_TYPE: Final = "application/dicom"
_SPILL_BYTES: Final = 1 << 20
"""Bytes of a data set that are held in memory before they are written."""
_BUFFER_BYTES: Final = _SPILL_BYTES + (256 << 10)
_SPARE_BUFFERS: Final = 16
_EAGER_BYTES: Final = 96 << 10
"""So much holds most headers."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What a peer says of an instance before its data set."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class StagedInstance:
    """An instance whose bytes are in the blob store.

    Attributes:
        flushed: Whether they are durable; otherwise who is told of it flushes them.
    """

    ref: BlobRef
    attributes: IndexAttributes
    flushed: bool = True


class Staging:
    """Opens the way for instances.

    Args:
        blobs: Where bytes go.
        executor: Threads that write, check and flush.
        quarantine: Keeps what is refused.
    """

    def __init__(self, blobs: LocalBlobs, executor: Executor, quarantine: Quarantine) -> None:
        self._blobs = blobs
        self._executor = executor
        self._quarantine = quarantine
        self._spare: list[bytearray] = []

    def incoming(self, announced: Announced, *, eager: bool = False) -> Incoming:
        """Return the way for one instance; close it in the end.

        Args:
            announced: What it is.
            eager: Begin to write and to read the header while the rest arrives. That is sooner
                done, and costs more.

        Raises:
            InvalidUidError: What was announced holds something that is not a UID.
        """
        file = _File(self._blobs, self._quarantine, announced)
        return Incoming(file, self._executor, self._spare, eager=eager)


class Incoming:
    """Takes the data set of one instance, bit by bit.

    Args:
        file: Where it goes.
        executor: Threads that do it.
        spare: Buffers to use and to give back: fresh memory costs as much as filling it.
        eager: Begin to write before all is here.
    """

    def __init__(
        self, file: _File, executor: Executor, spare: list[bytearray], *, eager: bool
    ) -> None:
        self._file = file
        self._executor = executor
        self._spare = spare
        self._buffer = spare.pop() if spare else bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._used = 0
        self._hashes = self._eager = eager
        self._beginning: Hop[None] | None = None
        self._begun = 0

    @property
    def is_full(self) -> bool:
        """Whether `spill` should be called before more is added."""
        return self._used >= _SPILL_BYTES

    def add(self, fragment: memoryview) -> None:
        """Append a fragment, which is copied."""
        if self._hashes:
            self._file.hash.update(fragment)
        used, self._used = self._used, self._used + len(fragment)
        if self._used > len(self._buffer):
            self._buffer = bytearray(self._view[:used]) + bytes(self._used)
            self._view = memoryview(self._buffer)
        self._view[used : self._used] = fragment
        if self._eager and self._used >= _EAGER_BYTES:
            self._begin()

    async def spill(self) -> None:
        """Write what is held.

        Raises:
            StorageFullError: No room.
        """
        await self._has_begun()
        held, self._used, self._begun = self._view[self._begun : self._used], 0, 0
        hashed = self._hashes
        await Hop(self._executor, lambda: self._file.spill(held, hashed=hashed)).end()

    async def commit(self, *, flush: bool = True) -> StagedInstance:
        """Check the instance and make it durable.

        Args:
            flush: False leaves it to the caller to have the bytes flushed before anybody is told.

        Raises:
            RefusedError: It is not what was announced, or broken. It is kept in quarantine.
            StorageFullError: No room.
            OSError: The disk failed; nothing of the instance is kept.
        """
        await self._has_begun()
        held, begun, hashed = self._view[: self._used], self._begun, self._hashes

        def work() -> StagedInstance:
            return self._file.commit(held, begun, hashed=hashed, flush=flush)

        return await Hop(self._executor, work).end()

    async def close(self) -> None:
        """Drop what was not committed."""
        with suppress(OSError, StorageFullError):
            await self._has_begun()
        if self._file.is_open:
            await Hop(self._executor, self._file.close).end()
        if len(self._spare) < _SPARE_BUFFERS and len(self._buffer) == _BUFFER_BYTES:
            self._spare.append(self._buffer)

    def _begin(self) -> None:
        held, self._begun, self._eager = self._view[: self._used], self._used, False
        self._beginning = Hop(self._executor, lambda: self._file.begin(held))

    async def _has_begun(self) -> None:
        beginning, self._beginning = self._beginning, None
        if beginning is not None:
            await beginning.end()


class _File:
    """The blocking side, used by one thread at a time."""

    def __init__(self, blobs: LocalBlobs, quarantine: Quarantine, announced: Announced) -> None:
        self._blobs = blobs
        self._quarantine = quarantine
        self._announced = announced
        self.meta = file_meta(
            announced.sop_class_uid, announced.sop_instance_uid, announced.transfer_syntax_uid
        )
        self.hash = hashlib.sha256(self.meta)
        self._staged: StagedFile | None = None
        self._ahead: ReadAhead | None = None
        self._spilled = False

    @property
    def is_open(self) -> bool:
        return self._staged is not None

    def write(self, data: memoryview) -> StagedFile:
        staged = self._staged
        if staged is None:
            staged = self._staged = self._blobs.staged_file(MEDIA_TYPE)
            staged.write_hashed(self.meta, data)
        else:
            staged.write_hashed(data)
        return staged

    def begin(self, beginning: memoryview) -> None:
        self.write(beginning)
        self._ahead = read_ahead(beginning, self._announced.transfer_syntax_uid)

    def spill(self, data: memoryview, *, hashed: bool) -> None:
        if not hashed:
            self.hash.update(data)
        self.write(data)
        self._spilled = True

    def commit(self, held: memoryview, begun: int, *, hashed: bool, flush: bool) -> StagedInstance:
        """Take the rest of what is held, of which the first `begun` bytes are written."""
        if not hashed:
            self.hash.update(held)
        sha256 = self.hash.hexdigest()
        # What came in one piece is checked before it is all written.
        if self._spilled:
            staged = self.write(held)
            attributes = self._check_file(staged, sha256)
        else:
            attributes = self._check(held, sha256)
            staged = self.write(held[begun:])
        try:
            if flush:
                return StagedInstance(staged.commit(sha256), attributes)
            ref, flushed = staged.place(sha256)
            return StagedInstance(ref, attributes, flushed)
        finally:
            self.close()

    def close(self) -> None:
        staged, self._staged = self._staged, None
        if staged is not None:
            staged.close()

    def _check_file(self, staged: StagedFile, sha256: str) -> IndexAttributes:
        with (
            staged.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages,
            memoryview(pages) as whole,
            whole[len(self.meta) :] as data_set,
        ):
            return self._check(data_set, sha256)

    def _check(self, data_set: memoryview, sha256: str) -> IndexAttributes:
        try:
            return _checked(data_set, self._announced, self._ahead)
        except RefusedError as refusal:
            self._quarantine.keep((self.meta, data_set), sha256, refusal)
            raise


def _checked(
    data_set: memoryview, announced: Announced, ahead: ReadAhead | None
) -> IndexAttributes:
    try:
        if ahead is not None:
            ahead.require_whole(data_set)
            attributes = ahead.attributes
        else:
            attributes = read_index_attributes(data_set, announced.transfer_syntax_uid)
    except DicomError as error:
        kind, field, rule = RefusalKind.NOT_UNDERSTOOD, error.field, error.rule
    else:
        if attributes.sop_class_uid != announced.sop_class_uid:
            kind, field, rule = RefusalKind.MISMATCH, "SOPClassUID", "not the one announced"
        elif attributes.sop_instance_uid != announced.sop_instance_uid:
            kind, field, rule = RefusalKind.MISMATCH, "SOPInstanceUID", "not the one announced"
        else:
            return attributes
    # Raised out here: the first error's traceback holds on to the data set.
    raise RefusedError(kind, field, rule)
