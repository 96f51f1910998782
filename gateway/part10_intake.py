"""DICOM files as they come by upload, STOW-RS or from a folder: staged like any instance.

What a file says of itself before its data set is not kept: the file meta information is written
anew, so that the same data set gives the same bytes by whichever door. Where it names another
instance than the data set does, nobody knows which of the two the file is, and it is refused.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Final

from gateway.refusal import RefusalKind, RefusedError
from gateway.staging import Announced, Incoming, StagedInstance, Staging
from services.dicom.encoding import Buffer
from services.dicom.errors import DicomError, NotDicomError
from services.dicom.part10 import MAX_META_BYTES, split_part10
from services.dicom.uids import TransferSyntax, transfer_syntax
from services.dicom.walk import walk

HEAD_BYTES: Final = MAX_META_BYTES
"""Bytes of a file, at most, in which its file meta information has to end."""
MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR (PS3.3 F.2.2.1), which is no instance of a study."""
_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_IDENTITY: Final = range(_SOP_CLASS, 0xFFFE0000)
_UID_BYTES: Final = 66
_INFLATED_HEAD_BYTES: Final = 64 << 10
_PIECE_BYTES: Final = 1 << 20


def read_head(head: Buffer, *, as_stated: bool = False) -> tuple[Announced, int]:
    """Read what a file is, and the offset of its data set (PS3.10 section 7.1).

    The UIDs of the data set count where they can be read in the head.

    Args:
        head: The file or its first ``HEAD_BYTES`` bytes.
        as_stated: Let those of the file meta information count, where it has them.

    Raises:
        NotDicomError: No "DICM" after 128 bytes.
        DicomError: The file meta information is broken.
    """
    meta, offset = split_part10(head)
    syntax = transfer_syntax(meta.transfer_syntax_uid)
    found = _identity(memoryview(head)[offset:], syntax)
    stated = meta.sop_class_uid, meta.sop_instance_uid
    first, second = (stated, found) if as_stated else (found, stated)
    announced = Announced(first[0] or second[0], first[1] or second[1], meta.transfer_syntax_uid)
    return announced, offset


class Part10Intake:
    """Stages DICOM files.

    Args:
        staging: Where bytes go.
        max_object_bytes: Largest data set that is taken.
        take_mismatched: Take files whose file meta information names another instance than their
            data set, which counts then; otherwise they are refused (PS3.10 table 7.1-1).
    """

    def __init__(
        self, staging: Staging, max_object_bytes: int, *, take_mismatched: bool = False
    ) -> None:
        self._staging = staging
        self._max_object_bytes = max_object_bytes
        self._as_stated = not take_mismatched

    async def stage(self, content: AsyncIterator[bytes | memoryview]) -> StagedInstance:
        """Take a file, make it durable, and return what it is; nobody is told of it yet.

        Args:
            content: Its bytes, in pieces.

        Raises:
            NotDicomError: No DICOM file. Nothing of it is kept.
            RefusedError: It is broken, too large, a DICOMDIR, or not the instance that its file
                meta information names.
            StorageFullError: No room.
            OSError: The disk failed.
        """
        head = await _head_of(content)
        announced, offset = _announced(head, as_stated=self._as_stated)
        incoming = self._open(announced)
        try:
            size = await _feed(incoming, memoryview(head)[offset:], 0, self._max_object_bytes)
            async for piece in content:
                size = await _feed(incoming, memoryview(piece), size, self._max_object_bytes)
            return await incoming.commit()
        finally:
            await incoming.close()

    def _open(self, announced: Announced) -> Incoming:
        try:
            return self._staging.incoming(announced)
        except DicomError as error:
            field, rule = error.field, error.rule
        raise RefusedError(RefusalKind.NOT_UNDERSTOOD, field, rule)


def _announced(head: bytearray, *, as_stated: bool) -> tuple[Announced, int]:
    try:
        announced, offset = read_head(head, as_stated=as_stated)
    except NotDicomError:
        raise
    except DicomError as error:
        field, rule = error.field, error.rule
    else:
        if announced.sop_class_uid != MEDIA_STORAGE_DIRECTORY:
            return announced, offset
        field, rule = "SOPClassUID", "a DICOMDIR is no instance"
    raise RefusedError(RefusalKind.NOT_UNDERSTOOD, field, rule)


async def _head_of(content: AsyncIterator[bytes | memoryview]) -> bytearray:
    head = bytearray()
    async for piece in content:
        head += piece
        if len(head) >= HEAD_BYTES:
            break
    return head


async def _feed(incoming: Incoming, piece: memoryview, size: int, most: int) -> int:
    """Add a piece and return the size of all so far."""
    size += len(piece)
    if size > most:
        raise RefusedError(RefusalKind.NOT_UNDERSTOOD, "data set", "larger than is taken")
    for start in range(0, len(piece), _PIECE_BYTES):
        incoming.add(piece[start : start + _PIECE_BYTES])
        if incoming.is_full:
            await incoming.spill()
    return size


def _identity(data: Buffer, syntax: TransferSyntax) -> tuple[str, str]:
    """Read SOP class and instance; "" where they cannot be read from the head."""
    found = {_SOP_CLASS: "", _SOP_INSTANCE: ""}
    try:
        start = _inflated(data) if syntax.deflated else data
        for element in walk(start, syntax, wanted=_IDENTITY):
            if element.tag > _SOP_INSTANCE:
                break
            if element.tag in found:
                value = bytes(start[element.offset :][: min(element.length, _UID_BYTES)])
                found[element.tag] = value.decode("latin-1").strip(" \0")
    except (DicomError, zlib.error):
        # Staging judges a broken data set; here it only has to be named.
        pass
    return found[_SOP_CLASS], found[_SOP_INSTANCE]


def _inflated(data: Buffer) -> bytes:
    # Bounded twice: by what goes in and by what may come out.
    piece = bytes(data[:_INFLATED_HEAD_BYTES])
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(piece, _INFLATED_HEAD_BYTES)
