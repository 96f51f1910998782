"""WADO-RS: values that metadata leaves out (PS3.18 section 10.4.1.1.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from aiohttp import web

from gateway.dicomweb.archive import Archive, Located
from gateway.dicomweb.files import StoredFiles
from gateway.dicomweb.forms import OCTETS
from gateway.dicomweb.parts import NO_STORE, etag, not_modified, whole
from gateway.dicomweb.problems import not_acceptable, problems
from gateway.dicomweb.requests import ROOT, Reader, measured, target_of
from gateway.dicomweb.wado_frames import layout_of, takes_octets
from gateway.dicomweb.wado_instances import byte_range
from gateway.http.problem import bad_request, not_found
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from services.dicom.encoding import UNDEFINED_LENGTH, Buffer, inflate
from services.dicom.errors import DicomError
from services.dicom.part10 import MAX_META_BYTES, split_part10
from services.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from services.dicom.walk import DEFAULT_LIMITS, PIXEL_TAGS, Element, walk

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_WORDS: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_MAX_BYTES: Final = 256 << 20
_MOST_FRAMES: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Wanted:
    tag: int
    offset: int | None
    length: int | None


class BulkdataResource:
    """Gives single values out.

    Args:
        reader: Lets requests in.
        archive: Knows where instances are.
        files: Reads them.
    """

    def __init__(self, reader: Reader, archive: Archive, files: StoredFiles) -> None:
        self._reader = reader
        self._archive = archive
        self._files = files

    def routes(self) -> list[web.RouteDef]:
        """Return the addresses."""
        root = "/studies/{study}/series/{series}/instances/{instance}/bulkdata/{tag}"
        return [
            web.get(ROOT + address, measured("bulkdata", self.retrieve))
            for address in (root, root + "/{offset}/{length}")
        ]

    async def retrieve(self, request: web.Request) -> web.StreamResponse:
        """Give the value that the address names."""
        action = AuditAction.AUDIT_ACTION_FETCH
        _, token = await self._reader.require(request, "RetrieveBulkdata", action)
        target, wanted = target_of(request), _wanted(request)
        located = await self._archive.instance(token, target)
        multipart, possible = takes_octets(request)
        if not possible:
            raise not_acceptable("Values are given as application/octet-stream.")
        tag = etag(located.blob.sha256, f"{wanted.tag:08X}", str(wanted.offset))
        headers = {"Cache-Control": NO_STORE, "ETag": tag}
        if (held := not_modified(request, tag)) is not None:
            return held
        if wanted.tag in PIXEL_TAGS:
            fragments = await self._fragments(located)
            if fragments is not None:
                return whole(OCTETS, fragments, headers)
        value = await self._value(located, wanted)
        if multipart and "Range" not in request.headers:
            kind = f"{OCTETS}; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN}"
            return whole(OCTETS, [(kind, value)], headers)
        return _octets(request, value, headers)

    async def _value(self, located: Located, wanted: _Wanted) -> bytes:
        try:
            with problems():
                found = await self._files.examined(located.blob, lambda file: _find(file, wanted))
        except DicomError:
            raise not_acceptable("The instance cannot be read.") from None
        if found is None:
            raise not_found()
        return found

    async def _fragments(self, located: Located) -> list[tuple[str, bytes]] | None:
        """Return the frames of encapsulated pixel data, one a part; None where it is native."""
        layout = await layout_of(self._files, located)
        frames = layout.frames
        if frames is None or not layout.syntax.encapsulated or layout.count > _MOST_FRAMES:
            return None
        kind = f"{OCTETS}; transfer-syntax={layout.syntax.uid}"
        with problems():
            return [
                (kind, await self._files.frame(located.blob, frames, number))
                for number in range(layout.count)
            ]


def _wanted(request: web.Request) -> _Wanted:
    tag = request.match_info["tag"]
    numbers = [request.match_info.get(name) for name in ("offset", "length")]
    if not _TAG.fullmatch(tag):
        raise bad_request("The address holds something that is no tag.")
    if any(text is not None and not _NUMBER.fullmatch(text) for text in numbers):
        raise bad_request("The address holds something that is no number.")
    offset, length = (None if text is None else int(text) for text in numbers)
    return _Wanted(int(tag, 16), offset, length)


def _find(file: Buffer, wanted: _Wanted) -> bytes | None:
    """Return the value of an element that is really there, as little endian words."""
    meta, start = split_part10(file[:MAX_META_BYTES])
    syntax = transfer_syntax(meta.transfer_syntax_uid)
    data: Buffer = memoryview(file)[start:]
    if syntax.deflated:
        data = inflate(data, DEFAULT_LIMITS.max_inflated_bytes)
    nested = wanted.offset is not None
    for element in walk(data, syntax, wanted={wanted.tag}, nested=nested):
        if _is(element, wanted):
            if element.length == UNDEFINED_LENGTH or element.length > _MAX_BYTES:
                return None
            value = bytes(data[element.offset : element.offset + element.length])
            return value if syntax.little_endian else _swapped(value, element.vr)
    return None


def _is(element: Element, wanted: _Wanted) -> bool:
    if element.tag != wanted.tag:
        return False
    return wanted.offset is None or (element.offset, element.length) == (
        wanted.offset,
        wanted.length,
    )


def _swapped(value: bytes, vr: str) -> bytes:
    size = _WORDS.get(vr, 1)
    if size == 1 or len(value) % size:
        return value
    return np.frombuffer(value, f">u{size}").astype(f"<u{size}").tobytes()


def _octets(request: web.Request, value: bytes, headers: dict[str, str]) -> web.Response:
    headers = {"Content-Type": OCTETS, "Accept-Ranges": "bytes", **headers}
    wanted = byte_range(request, len(value))
    if wanted is None:
        return web.Response(body=value, headers=headers)
    begin, end = wanted
    if begin >= len(value):
        return web.Response(status=416, headers={"Content-Range": f"bytes */{len(value)}"})
    headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(value)}"
    return web.Response(status=206, body=value[begin:end], headers=headers)
