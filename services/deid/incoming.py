"""Objects that come in a stream, each written to disk before it is treated."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from services.deid.destination import MEDIA_TYPE
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import InvalidFieldError, LimitExceededError
from services.runtime.local_files import storage_errors

MAX_CHUNK_BYTES: Final = 1 << 20
MAX_NAME_CHARS: Final = 256
MAX_OBJECTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Arrived:
    """An object that came whole.

    Attributes:
        number: Of the object in its stream, from 1.
        name: The caller's name of it.
        path: Where it lies.
        blob: Its hash and size.
    """

    number: int
    name: str
    path: Path
    blob: BlobRef


async def begin_of(
    requests: AsyncIterator[pb.DeidentifyInstancesRequest],
) -> pb.StreamBegin:
    """Return the first message of a stream.

    Raises:
        InvalidFieldError: It is another one than ``begin``, or there is none.
    """
    async for request in requests:
        if request.WhichOneof("event") == "begin":
            return request.begin
        break
    raise InvalidFieldError("begin", "first, once")


async def objects_of(
    requests: AsyncIterator[pb.DeidentifyInstancesRequest], folder: Path, object_bytes: int
) -> AsyncGenerator[Arrived, None]:
    """Yield the objects of a stream, each as soon as it is whole.

    Args:
        requests: What comes after ``begin``.
        folder: Takes the files; who gets an object removes its file.
        object_bytes: Largest object.

    Raises:
        InvalidFieldError: The stream breaks a rule of its contract.
        LimitExceededError: An object is too large, or there are too many.
        StorageFullError: No room for one.
    """
    number = 0
    async for request in requests:
        if request.WhichOneof("event") != "object":
            raise InvalidFieldError("object", "announced before its chunks")
        number += 1
        if number > MAX_OBJECTS:
            raise LimitExceededError("stream_objects")
        begin = _checked(request.object, object_bytes)
        path = folder / f"{number}.dcm"
        yield Arrived(number, begin.name, path, await _received(requests, path, begin.size_bytes))


def _checked(begin: pb.ObjectBegin, object_bytes: int) -> pb.ObjectBegin:
    if len(begin.name) > MAX_NAME_CHARS:
        raise InvalidFieldError("object.name", f"at most {MAX_NAME_CHARS} characters")
    if begin.size_bytes < 1:
        raise InvalidFieldError("object.size_bytes", "at least 1")
    if begin.size_bytes > object_bytes:
        raise LimitExceededError("object_bytes")
    return begin


async def _received(
    requests: AsyncIterator[pb.DeidentifyInstancesRequest], path: Path, size_bytes: int
) -> BlobRef:
    digest, left = hashlib.sha256(), size_bytes
    with path.open("xb") as file:
        while left:
            chunk = await _chunk(requests)
            left -= len(chunk)
            if left < 0:
                raise InvalidFieldError("chunk", "no more bytes than were announced")
            await asyncio.to_thread(_take, file, digest, chunk)
    return BlobRef(digest.hexdigest(), size_bytes, MEDIA_TYPE)


async def _chunk(requests: AsyncIterator[pb.DeidentifyInstancesRequest]) -> bytes:
    async for request in requests:
        if request.WhichOneof("event") != "chunk":
            break
        if not 1 <= len(request.chunk) <= MAX_CHUNK_BYTES:
            raise InvalidFieldError("chunk", f"1 to {MAX_CHUNK_BYTES} bytes")
        return request.chunk
    raise InvalidFieldError("chunk", "every byte that was announced")


def _take(file: BinaryIO, digest: hashlib._Hash, chunk: bytes) -> None:
    digest.update(chunk)
    with storage_errors():
        file.write(chunk)
