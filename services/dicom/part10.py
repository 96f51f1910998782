"""DICOM files: preamble and File Meta Information (PS3.10 section 7.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from services.dicom.encoding import UNDEFINED_LENGTH, Buffer, header_reader
from services.dicom.errors import (
    LimitExceededError,
    MalformedError,
    MissingElementError,
    NotDicomError,
)
from services.dicom.uids import require_uid

IMPLEMENTATION_CLASS_UID: Final = "2.25.308098194143441124562362260923698121550"
IMPLEMENTATION_VERSION_NAME: Final = "HEIMDALLR"
PREAMBLE_BYTES: Final = 128
MAX_META_BYTES: Final = 1 << 20
_MAX_META_ELEMENTS: Final = 64
_START: Final = PREAMBLE_BYTES + 4


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the File Meta Information says of the data set; "" where it says nothing."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Write the preamble and File Meta Information that precede a data set in a file.

    The preamble is zero and nothing depends on sender, time or door, so that the same data
    set in the same transfer syntax gives the same bytes.

    Raises:
        InvalidUidError: An argument is not a UID.
    """
    elements = b"".join(
        (
            struct.pack("<HH2s2xL2s", 0x0002, 0x0001, b"OB", 2, b"\x00\x01"),
            _uid(0x0002, "MediaStorageSOPClassUID", sop_class_uid),
            _uid(0x0003, "MediaStorageSOPInstanceUID", sop_instance_uid),
            _uid(0x0010, "TransferSyntaxUID", transfer_syntax_uid),
            _uid(0x0012, "ImplementationClassUID", IMPLEMENTATION_CLASS_UID),
            _short(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii"), b" "),
        )
    )
    group_length = struct.pack("<HH2sHL", 0x0002, 0x0000, b"UL", 4, len(elements))
    return bytes(PREAMBLE_BYTES) + b"DICM" + group_length + elements


def _uid(element: int, field: str, uid: str) -> bytes:
    return _short(element, b"UI", require_uid(field, uid).encode("ascii"), b"\0")


def _short(element: int, vr: bytes, value: bytes, pad: bytes) -> bytes:
    value += pad * (len(value) % 2)
    return struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value


def split_part10(source: Buffer | BinaryIO) -> tuple[FileMeta, int]:
    """Read the File Meta Information of a DICOM file and find where its data set starts.

    The group length is not believed: the group ends where another begins. The preamble is
    ignored, whatever it holds. A file without preamble is not a DICOM file to us, because
    its transfer syntax would be a guess.

    Args:
        source: The file, or its first bytes, or an open binary file at its start, of which
            at most ``MAX_META_BYTES`` are read.

    Returns:
        What it says, and the offset of the data set. UIDs of class and instance are as found,
        neither required nor checked, because the data set states them again.

    Raises:
        NotDicomError: No "DICM" after 128 bytes.
        MissingElementError: No Transfer Syntax UID.
        InvalidUidError: The Transfer Syntax UID is not a UID.
        MalformedError, TruncatedError, LimitExceededError: Broken meta information.
    """
    data: Buffer
    if isinstance(source, bytes | bytearray | memoryview):
        data = source
    else:
        data = source.read(MAX_META_BYTES)
    if bytes(data[PREAMBLE_BYTES:_START]) != b"DICM":
        raise NotDicomError("file", "no DICM after 128 bytes")
    values, offset = _meta_values(data)
    transfer_syntax_uid = values.get(0x0010, "")
    if not transfer_syntax_uid:
        raise MissingElementError("TransferSyntaxUID")
    require_uid("TransferSyntaxUID", transfer_syntax_uid)
    return FileMeta(values.get(0x0002, ""), values.get(0x0003, ""), transfer_syntax_uid), offset


def _meta_values(data: Buffer) -> tuple[dict[int, str], int]:
    """Read the UIDs of group 0002 by element number, and the offset after the group."""
    header = header_reader(data, explicit_vr=True, little_endian=True)
    end = min(len(data), MAX_META_BYTES)
    values: dict[int, str] = {}
    offset = _START
    for _ in range(_MAX_META_ELEMENTS):
        if bytes(data[offset : offset + 2]) != b"\x02\x00":
            return values, offset
        tag, vr, value, length = header(offset, end)
        offset = value + length
        if length == UNDEFINED_LENGTH or offset > end:
            raise MalformedError("FileMetaInformation", "a value runs past the end")
        if vr == "UI":
            text = bytes(data[value : value + min(length, 128)]).decode("latin-1")
            values.setdefault(tag & 0xFFFF, text.strip(" \0"))
    raise LimitExceededError("FileMetaInformation", "too many elements")
