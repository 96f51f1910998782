"""NIfTI-1 files as the converter writes them, and their gzipped form."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Final

import nibabel
import numpy as np

from services.conversion.volume_check import Grid

_HEADER_BYTES: Final = 348
_CHUNK_BYTES: Final = 4 << 20
_LEVEL: Final = 1
_THREADS: Final = 2
# Magic, deflate, no name, time 0, fastest, Unix (RFC 1952): the same bytes at any time.
_GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\x03"
# Free text of the header, which may carry dates and comments: data_type and db_name, descrip
# and aux_file, intent_name.
_TEXTS: Final = ((4, 32), (148, 252), (328, 344))


def read_grid(path: Path) -> Grid | None:
    """Read the header of a volume; None where it is not a NIfTI-1 file."""
    try:
        image = load(path)
        shape = tuple(int(size) for size in image.shape)
        affine = np.asarray(image.affine, dtype=np.float64)
        promised = int(image.header["vox_offset"]) or _HEADER_BYTES + 4
        promised += int(np.prod(shape)) * image.get_data_dtype().itemsize
    except (nibabel.filebasedimages.ImageFileError, ValueError, OSError, AttributeError):
        return None
    return Grid(shape, affine, max(0, promised - path.stat().st_size))


def gzip_volume(source: Path, target: Path) -> None:
    """Compress a NIfTI-1 file; the same volume gives the same bytes at any time.

    Blocks are compressed by a few threads, of which only so many are in memory, and joined to
    one gzip member; text in the header is blanked.
    """
    with source.open("rb") as read, target.open("wb") as write:
        _compress(read, write, source.stat().st_size)


def _compress(read: BinaryIO, write: BinaryIO, size: int) -> None:
    write.write(_GZIP_HEADER)
    checksum = 0
    pending: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(_THREADS) as threads:
        for chunk, last in _chunks(read, size):
            checksum = zlib.crc32(chunk, checksum)
            pending.append(threads.submit(_deflated, chunk, last=last))
            if len(pending) > _THREADS:
                write.write(pending.popleft().result())
        for future in pending:
            write.write(future.result())
    write.write(checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"))


def _chunks(read: BinaryIO, size: int) -> Iterator[tuple[bytes, bool]]:
    done = 0
    while chunk := read.read(_CHUNK_BYTES):
        first, done = done == 0, done + len(chunk)
        yield (_blanked(chunk) if first else chunk), done >= size


def _blanked(chunk: bytes) -> bytes:
    header = bytearray(chunk)
    for start, end in _TEXTS:
        header[start:end] = bytes(end - start)
    return bytes(header)


def _deflated(chunk: bytes, *, last: bool) -> bytes:
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return stream.compress(chunk) + stream.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


def load(path: Path) -> Any:
    """Open a volume for reading parts of it; voxels stay on disk until sliced."""
    return nibabel.load(path)
