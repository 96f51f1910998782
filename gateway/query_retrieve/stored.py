"""Stored instances as they are handed on: found by UID, read, and recoded where that is needed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from gateway.query_retrieve.selection import Selection
from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1 import archive_service_pb2_grpc as pb_grpc
from heimdallr.conversion.v1 import conversion_service_pb2 as conversion
from heimdallr.conversion.v1 import conversion_service_pb2_grpc as conversion_grpc
from services.dicom.errors import DicomError, InconsistentError, LimitExceededError
from services.dicom.part10 import split_part10
from services.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from services.runtime.blob_messages import blob_from_proto, blob_to_proto
from services.runtime.blob_ref import BlobRef
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import ServiceError
from services.runtime.local_blobs import LocalBlobs

WRITTEN: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
"""What an instance is recoded to for a peer that does not take its own transfer syntax."""
NOT_READ: Final = (OSError, ServiceError, ServiceCallError, DicomError)
"""What reading an instance fails with."""
MOST: Final = 50_000
"""Instances of one selection; each takes about half a kibibyte here."""
_HELD_BYTES: Final = 8 << 20
_META_BYTES: Final = 4 << 10


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance and where its bytes are; see ``LocatedInstance``.

    A copy that was released has the ids of what it was made of and UIDs of its own.
    """

    instance_id: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    ref: BlobRef
    study_id: str = ""
    series_id: str = ""
    is_copy: bool = False


class StoredInstances:
    """Finds and reads what is stored.

    Args:
        blobs: The blob store of this machine.
        archive: Finds instances, and sends the bytes of those that are not on this machine.
        recoding: Writes them in other transfer syntaxes.
    """

    def __init__(
        self,
        blobs: LocalBlobs,
        archive: pb_grpc.ArchiveServiceAsyncStub,
        recoding: conversion_grpc.ConversionServiceAsyncStub,
    ) -> None:
        self._blobs = blobs
        self._archive = archive
        self._recoding = recoding

    async def find(self, selection: Selection) -> list[StoredInstance]:
        """Return what a selection holds, by series number, then instance number.

        Raises:
            LimitExceededError: More than ``MOST``.
            ServiceCallError: The archive cannot be asked.
        """
        request = pb.LocateInstancesRequest(
            study_instance_uids=selection.study_uids,
            series_instance_uids=selection.series_uids,
            sop_instance_uids=selection.sop_instance_uids,
            patient_id=selection.patient_id,
        )
        found: list[StoredInstance] = []
        call = self._archive.LocateInstances(request)
        try:
            with typed_errors():
                async for answer in call:
                    found += map(_stored, answer.instances)
                    if len(found) > MOST:
                        raise LimitExceededError("selection", "too many instances")
        finally:
            call.cancel()
        return found

    async def data_set(
        self, instance: StoredInstance, transfer_syntax_uid: str
    ) -> AsyncGenerator[bytes, None]:
        """Yield the data set of an instance, without File Meta Information.

        Nothing of a blob whose bytes are not those of its hash is yielded, if it lies here.

        Args:
            instance: The instance.
            transfer_syntax_uid: Its own, or one of ``WRITTEN``.

        Raises:
            ServiceError, ServiceCallError, OSError, DicomError: It cannot be read or recoded.
        """
        chunks = self._file(instance, transfer_syntax_uid)
        async with aclosing(_without_meta(chunks, transfer_syntax_uid)) as parts:
            async for part in parts:
                yield part

    async def verify(self, instance: StoredInstance) -> None:
        """Read an instance whole and compare it with its hash.

        Raises:
            ServiceError, ServiceCallError, OSError, DicomError: It cannot be read, or is another.
        """
        async with aclosing(self._file(instance, instance.transfer_syntax_uid)) as chunks:
            async for _ in chunks:
                pass

    async def head(self, instance: StoredInstance, most: int) -> bytes:
        """Return the first bytes of an instance's file.

        Raises:
            ServiceError, ServiceCallError, OSError, DicomError: It cannot be read.
        """
        if await self._blobs.exists(instance.ref):
            return await self._blobs.read_range(instance.ref, 0, min(most, instance.ref.size_bytes))
        head = b""
        async with aclosing(self._file(instance, instance.transfer_syntax_uid)) as chunks:
            async for chunk in chunks:
                head += chunk
                if len(head) >= most:
                    break
        return head[:most]

    async def _file(
        self, instance: StoredInstance, transfer_syntax_uid: str
    ) -> AsyncGenerator[bytes, None]:
        with typed_errors():
            if transfer_syntax_uid != instance.transfer_syntax_uid:
                request = conversion.TranscodeInstanceRequest(
                    blob=blob_to_proto(instance.ref), transfer_syntax_uid=transfer_syntax_uid
                )
                async for answer in self._recoding.TranscodeInstance(request):
                    yield answer.data
            elif await self._blobs.exists(instance.ref):
                async for chunk in self._local(instance.ref):
                    yield chunk
            elif instance.is_copy:
                # Its id is that of the original, whose bytes must never stand in for the copy's.
                copy = pb.FetchResultRequest(study_id=instance.study_id, sha256=instance.ref.sha256)
                async for result in self._archive.FetchResult(copy):
                    yield result.data
            else:
                wanted = pb.FetchInstanceRequest(instance_id=instance.instance_id)
                async for fetched in self._archive.FetchInstance(wanted):
                    yield fetched.data

    async def _local(self, ref: BlobRef) -> AsyncIterator[bytes]:
        if ref.size_bytes <= _HELD_BYTES:
            yield await self._blobs.read(ref)
            return
        # Once to check it and once to send it: too large to be held meanwhile.
        async for _ in self._blobs.stream(ref):
            pass
        async for chunk in self._blobs.stream(ref):
            yield chunk


async def _without_meta(
    chunks: AsyncGenerator[bytes, None], transfer_syntax_uid: str
) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks):
        head = b""
        async for chunk in chunks:
            head += chunk
            if len(head) >= _META_BYTES:
                break
        meta, offset = split_part10(head)
        if meta.transfer_syntax_uid != transfer_syntax_uid:
            raise InconsistentError("TransferSyntaxUID", "not the one that was asked for")
        if offset < len(head):
            yield head[offset:]
        async for chunk in chunks:
            yield chunk


def _stored(located: pb.LocatedInstance) -> StoredInstance:
    return StoredInstance(
        instance_id=located.instance_id,
        sop_class_uid=located.sop_class_uid,
        sop_instance_uid=located.sop_instance_uid,
        transfer_syntax_uid=located.transfer_syntax_uid,
        ref=blob_from_proto(located.blob),
        study_id=located.study_id,
        series_id=located.series_id,
    )
