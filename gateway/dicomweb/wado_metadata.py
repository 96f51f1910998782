"""WADO-RS: metadata in the DICOM JSON Model (PS3.18 section 10.4.1.1.4), gzipped, made once."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import itertools
import json
from collections.abc import Sequence
from typing import Final

import grpc
from aiohttp import web

from gateway.dicomweb.archive import Archive, Located
from gateway.dicomweb.cache import DiskCache
from gateway.dicomweb.files import StoredFiles
from gateway.dicomweb.parts import NO_STORE, etag, not_modified
from gateway.dicomweb.problems import problems
from gateway.dicomweb.qido import json_type
from gateway.dicomweb.requests import ROOT, Reader, measured, root_url, target_of
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb
from heimdallr.workflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from services.dicom.bulk_path import PREFIX, bulk_path
from services.dicom.encoding import Buffer
from services.dicom.errors import DicomError
from services.dicom.json import JsonObject, header_json
from services.dicom.part10 import MAX_META_BYTES, split_part10
from services.runtime.blob_messages import blob_from_proto
from services.runtime.blobs import BlobStore
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import ServiceError

_LEVEL: Final = 5
_TIMEOUT_S: Final = 10.0
_URI: Final = b'"BulkDataURI":"'
_INSTANCE_UID: Final = "00080018"


class MetadataResource:
    """Gives metadata out.

    Args:
        reader: Lets requests in.
        archive: Knows where instances are.
        source: Makes the metadata of a series.
        cache: Keeps what was made.
    """

    def __init__(
        self, reader: Reader, archive: Archive, source: MetadataSource, cache: DiskCache
    ) -> None:
        self._reader = reader
        self._archive = archive
        self._source = source
        self._cache = cache

    def routes(self) -> list[web.RouteDef]:
        """Return the addresses."""
        addresses = (
            "/studies/{study}/metadata",
            "/studies/{study}/series/{series}/metadata",
            "/studies/{study}/series/{series}/instances/{instance}/metadata",
        )
        return [web.get(ROOT + a, measured("metadata", self.retrieve)) for a in addresses]

    async def retrieve(self, request: web.Request) -> web.StreamResponse:
        """Give the metadata of what the address names."""
        action = AuditAction.AUDIT_ACTION_READ
        _, token = await self._reader.require(request, "RetrieveMetadata", action)
        media_type, target, root = json_type(request), target_of(request), root_url(request)
        if target.instance:
            found = [await self._archive.instance(token, target)]
        else:
            found = await self._archive.instances(token, target)
        key = _key(root, found)
        if (held := not_modified(request, etag(key))) is not None:
            return held
        content = await self._cache.get("metadata", key, lambda: self._made(found, root))
        headers = {
            "Content-Type": media_type,
            "Cache-Control": NO_STORE,
            "ETag": etag(key),
            "Vary": "Accept-Encoding",
        }
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
        else:
            content = await asyncio.to_thread(gzip.decompress, content)
        return web.Response(body=content, headers=headers)

    async def _made(self, found: Sequence[Located], root: str) -> bytes:
        by_series = itertools.groupby(found, key=lambda one: one.series_id)
        arrays = [await self._source.series(list(series)) for _, series in by_series]
        return await asyncio.to_thread(_put_together, arrays, root)


class MetadataSource:
    """Finds the metadata that conversion has made of a series, or makes it.

    Args:
        own: Channel that calls as the gateway.
        blobs: Where instances and results are stored.
        files: Reads instances.
    """

    def __init__(self, own: grpc.aio.Channel, blobs: BlobStore, files: StoredFiles) -> None:
        self._workflow = WorkflowServiceStub(own)
        self._blobs = blobs
        self._files = files

    async def series(self, found: Sequence[Located]) -> bytes:
        """Return a JSON array with one object an instance; addresses of bulk data are paths.

        Args:
            found: Instances of one series.

        Raises:
            Problem: An instance is gone or damaged.
        """
        described = await self._described(found) if len(found) > 1 else None
        if described is not None:
            return described
        objects = []
        for one in found:
            with problems():
                objects.append(await self._files.examined(one.blob, _Writer(one)))
        return b"[" + b",".join(objects) + b"]"

    async def _described(self, found: Sequence[Located]) -> bytes | None:
        request = workflow_pb.GetStudyResultsRequest(study_id=found[0].study_id)
        try:
            with typed_errors():
                results = await self._workflow.GetStudyResults(request, timeout=_TIMEOUT_S)
            for series in results.series:
                if series.series_id == found[0].series_id and series.HasField("metadata"):
                    content = await self._blobs.read(blob_from_proto(series.metadata))
                    return await asyncio.to_thread(_if_of, content, found)
        except (ServiceCallError, ServiceError):
            # What can be made is not refused because what was made is away.
            return None
        return None


class _Writer:
    def __init__(self, one: Located) -> None:
        self._one = one

    def __call__(self, file: Buffer) -> bytes:
        return encoded(self._object(file))

    def _object(self, file: Buffer) -> JsonObject:
        target = self._one.target
        uri = bulk_path(target.study, target.series, target.instance)
        try:
            meta, start = split_part10(file[:MAX_META_BYTES])
            data_set = memoryview(file)[start:]
            return header_json(data_set, meta.transfer_syntax_uid, bulk_uri=uri)
        except (DicomError, ValueError):
            uids = {
                "00080016": self._one.sop_class_uid,
                _INSTANCE_UID: target.instance,
                "0020000D": target.study,
                "0020000E": target.series,
            }
            return {tag: {"vr": "UI", "Value": [uid]} for tag, uid in uids.items()}


def encoded(content: JsonObject) -> bytes:
    """Return an object as JSON."""
    # allow_nan would write what is not JSON.
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")


def _if_of(content: bytes, found: Sequence[Located]) -> bytes | None:
    """Return described metadata if it is of exactly these instances."""
    plain = gzip.decompress(content)
    described = {
        instance.get(_INSTANCE_UID, {}).get("Value", [""])[0] for instance in json.loads(plain)
    }
    return plain if described == {one.target.instance for one in found} else None


def _put_together(arrays: Sequence[bytes], root: str) -> bytes:
    inner = b",".join(array[1:-1] for array in arrays if len(array) > 2)
    # In JSON a quote within a value is escaped: this can only be the name of a member.
    path, url = _URI + PREFIX.encode(), _URI + f"{root}/{PREFIX}".encode("latin-1")
    return gzip.compress(b"[" + inner.replace(path, url) + b"]", _LEVEL, mtime=0)


def _key(root: str, found: Sequence[Located]) -> str:
    digest = hashlib.sha256(root.encode())
    for one in found:
        digest.update(one.blob.sha256.encode())
    return digest.hexdigest()
