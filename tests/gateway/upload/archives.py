"""Zip files, good and forged, made by hand."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from gateway.part10_intake import MEDIA_STORAGE_DIRECTORY
from gateway.upload.zip_archive import ArchiveLimits
from services.dicom.part10 import file_meta
from services.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from tests.services.dicom.encode import explicit, item

LIMITS = ArchiveLimits(
    max_entries=1000, max_inflated_bytes=64 << 20, max_ratio=20, ratio_from_bytes=1 << 20
)


def zipped(files: Mapping[str, bytes], *, stored: bool = False) -> bytes:
    """Return a zip file."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_link(name: str, target: str) -> bytes:
    """Return a zip file whose only entry is a symbolic link."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = 0o120777 << 16
        archive.writestr(info, target)
    return buffer.getvalue()


def claiming(data: bytes, size: int) -> bytes:
    """Return a zip file of one deflated entry whose size is a lie."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(data) + packer.flush()
    crc = zlib.crc32(data)
    about = (20, 0, 8, 0, 33, crc, len(packed), size, 1, 0)
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", *about) + b"a" + packed
    return local + central(len(packed), size, crc, 0, 8) + end(1, 47, len(local))


def overlapping(count: int, size: int) -> bytes:
    """Return a zip file in which many entries share the bytes of one."""
    data = bytes(size)
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 33, 0, size, size, 1, 0)
    head = local + b"a" + data
    record = central(size, size, zlib.crc32(data), 0, 0)
    return head + record * count + end(count, len(record) * count, len(head))


def central(packed: int, size: int, crc: int, offset: int, method: int) -> bytes:
    """Return one entry of a central directory."""
    values = (20, 20, 0, method, 0, 33, crc, packed, size, 1, 0, 0, 0, 0, 0, offset)
    return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *values) + b"a"


def end(count: int, size: int, offset: int) -> bytes:
    """Return the end of a zip file."""
    narrow = min(count, 0xFFFF)
    return struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, narrow, narrow, size, offset, 0)


def dicomdir(*references: list[str] | str) -> bytes:
    """Return a DICOMDIR whose records refer to files (PS3.3 F.3)."""
    records = b""
    for reference in references:
        value = (reference if isinstance(reference, str) else "\\".join(reference)).encode()
        value += b" " * (len(value) % 2)
        records += item(explicit(0x00041430, "CS", b"IMAGE ") + explicit(0x00041500, "CS", value))
    head = file_meta(MEDIA_STORAGE_DIRECTORY, "1.2.3.4", EXPLICIT_VR_LITTLE_ENDIAN)
    return head + explicit(0x00041130, "CS", b"TEST") + explicit(0x00041220, "SQ", records)


def written(folder: Path, data: bytes) -> Path:
    """Put bytes into a file."""
    path = folder / "archive"
    path.write_bytes(data)
    return path
