"""Puts instances together from the chunks of one stream."""

from __future__ import annotations

import hashlib
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from services.coordinator.intake.envelope import Envelope
from services.coordinator.intake.rejection import RejectedError, RejectionReason
from services.runtime.blobs import BlobStore, BlobWriter
from services.runtime.errors import InvalidFieldError

MAX_CHUNK_BYTES: Final = 1 << 20


@dataclass(slots=True)
class OpenInstance:
    """An instance whose bytes are arriving."""

    envelope: Envelope
    writer: BlobWriter
    stack: AsyncExitStack
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    size_bytes: int = 0

    async def commit(self) -> Envelope:
        """Make the bytes durable.

        Raises:
            RejectedError: They are not what the envelope said.
        """
        async with self.stack:
            if self.size_bytes != self.envelope.blob.size_bytes:
                raise RejectedError("chunked.size_bytes", "the size of the chunks together")
            if self.digest.hexdigest() != self.envelope.blob.sha256:
                raise RejectedError("chunked.sha256", "the hash of the chunks together")
            await self.writer.commit()
        return self.envelope


class ChunkAssembler:
    """Half-done instances of one stream, bounded in number and bytes.

    Args:
        blobs: Where the bytes go.
        max_instances: Most instances that are half done.
        max_bytes: Most bytes that half-done instances may announce together.
    """

    def __init__(self, blobs: BlobStore, *, max_instances: int, max_bytes: int) -> None:
        self._blobs = blobs
        self._max_instances = max_instances
        self._max_bytes = max_bytes
        self._open: dict[int, OpenInstance] = {}
        self._dropped: set[int] = set()

    async def begin(self, sequence: int, envelope: Envelope) -> None:
        """Expect the chunks of an instance.

        Raises:
            RejectedError: Too many or too much at once; its chunks will be dropped.
            StorageFullError: No room.
        """
        announced = sum(i.envelope.blob.size_bytes for i in self._open.values())
        if len(self._open) >= self._max_instances:
            raise self.drop(sequence, _limit("fewer half-done instances at once"))
        if announced + envelope.blob.size_bytes > self._max_bytes:
            raise self.drop(sequence, _limit("fewer bytes of half-done instances at once"))
        stack = AsyncExitStack()
        writer = await stack.enter_async_context(self._blobs.stage(envelope.blob.media_type))
        self._open[sequence] = OpenInstance(envelope, writer, stack)

    async def add(self, sequence: int, data: bytes, *, last: bool) -> OpenInstance | None:
        """Take the next chunk; the instance when it was the last one.

        Raises:
            RejectedError: The instance is not taken; the rest of its chunks will be dropped.
            InvalidFieldError: No such instance was announced.
            StorageFullError: No room.
        """
        if sequence in self._dropped:
            if last:
                self._dropped.discard(sequence)
            return None
        instance = self._open.get(sequence)
        if instance is None:
            raise InvalidFieldError("sequence", "that of an instance whose chunks are expected")
        fault = _fault(instance, data)
        if fault is not None:
            await self._abandon(sequence, last=last)
            raise fault
        await instance.writer.write(data)
        instance.digest.update(data)
        instance.size_bytes += len(data)
        return self._open.pop(sequence) if last else None

    def drop(self, sequence: int, error: RejectedError) -> RejectedError:
        """Drop the chunks that follow for a rejected instance; returns the error.

        Raises:
            InvalidFieldError: More than can be kept track of.
        """
        if len(self._dropped) >= 64 * self._max_instances:
            raise InvalidFieldError("chunk.last", "set on the last chunk of each instance")
        self._dropped.add(sequence)
        return error

    def expects(self, sequence: int) -> bool:
        """Return whether chunks of this instance are still to come."""
        return sequence in self._open or sequence in self._dropped

    @property
    def unfinished(self) -> list[int]:
        """Sequences of the instances that are half done."""
        return list(self._open)

    async def close(self) -> None:
        """Forget everything half done."""
        for sequence in list(self._open):
            await self._abandon(sequence, last=True)

    async def _abandon(self, sequence: int, *, last: bool) -> None:
        await self._open.pop(sequence).stack.aclose()
        if not last:
            self._dropped.add(sequence)


def _fault(instance: OpenInstance, data: bytes) -> RejectedError | None:
    if len(data) > MAX_CHUNK_BYTES:
        return RejectedError("chunk.data", "at most 1 MiB")
    if instance.size_bytes + len(data) > instance.envelope.blob.size_bytes:
        return RejectedError("chunked.size_bytes", "the size of the chunks together")
    return None


def _limit(rule: str) -> RejectedError:
    return RejectedError("chunked", rule, RejectionReason.LIMIT_EXCEEDED)
