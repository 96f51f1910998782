"""WADO-RS: instances of a study, a series, or one (PS3.18 section 10.4.1.1.1)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiohttp import web

from gateway.dicomweb.accept import accepted
from gateway.dicomweb.archive import Archive, Located
from gateway.dicomweb.conversion import Conversion
from gateway.dicomweb.files import StoredFiles
from gateway.dicomweb.forms import DICOM, InstanceForm, instance_form
from gateway.dicomweb.parts import NO_STORE, etag, not_modified, plain, streamed
from gateway.dicomweb.problems import problems
from gateway.dicomweb.requests import ROOT, Reader, measured, target_of
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from services.dicom.uids import transfer_syntax

_RANGE: Final = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})")
_PIECE: Final = 1 << 20


class InstancesResource:
    """Gives instances out.

    Args:
        reader: Lets requests in.
        archive: Knows where instances are.
        files: Reads them.
        conversion: Writes them in another transfer syntax.
    """

    def __init__(
        self, reader: Reader, archive: Archive, files: StoredFiles, conversion: Conversion
    ) -> None:
        self._reader = reader
        self._archive = archive
        self._files = files
        self._conversion = conversion

    def routes(self) -> list[web.RouteDef]:
        """Return the addresses."""
        addresses = (
            "/studies/{study}",
            "/studies/{study}/series/{series}",
            "/studies/{study}/series/{series}/instances/{instance}",
        )
        return [web.get(ROOT + a, measured("instances", self.retrieve)) for a in addresses]

    async def retrieve(self, request: web.Request) -> web.StreamResponse:
        """Give what the address names."""
        action = AuditAction.AUDIT_ACTION_FETCH
        _, token = await self._reader.require(request, "RetrieveInstances", action)
        target = target_of(request)
        if target.instance:
            found = [await self._archive.instance(token, target)]
        else:
            found = await self._archive.instances(token, target)
        form = instance_form(accepted(request), [one.transfer_syntax_uid for one in found])
        headers = {"Cache-Control": NO_STORE}
        if len(found) == 1:
            written = _written(form, found[0]) or found[0].transfer_syntax_uid
            headers["ETag"] = etag(found[0].blob.sha256, written)
            if (held := not_modified(request, headers["ETag"])) is not None:
                return held
        if form.multipart:
            return await streamed(request, DICOM, self._parts(form, found), headers)
        return await self._one(request, form, found[0], headers)

    async def _parts(
        self, form: InstanceForm, found: Sequence[Located]
    ) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        for one in found:
            written = _written(form, one) or one.transfer_syntax_uid
            yield f"{DICOM}; transfer-syntax={written}", self._content(form, one)

    async def _content(self, form: InstanceForm, one: Located) -> AsyncIterator[bytes]:
        written = _written(form, one)
        if written is not None:
            async for piece in self._conversion.transcoded(one.blob, written):
                yield piece
            return
        with problems():
            async for piece in self._files.stream(one.blob):
                yield piece

    async def _one(
        self, request: web.Request, form: InstanceForm, one: Located, headers: dict[str, str]
    ) -> web.StreamResponse:
        written = _written(form, one)
        kind = f"{DICOM}; transfer-syntax={written or one.transfer_syntax_uid}"
        wanted = byte_range(request, one.blob.size_bytes)
        if written is not None:
            return await plain(request, kind, self._content(form, one), headers)
        headers["Accept-Ranges"] = "bytes"
        if wanted is None:
            headers["Content-Length"] = str(one.blob.size_bytes)
            return await plain(request, kind, self._content(form, one), headers)
        return await self._ranged(request, kind, one, wanted, headers)

    async def _ranged(
        self,
        request: web.Request,
        kind: str,
        one: Located,
        wanted: tuple[int, int],
        headers: dict[str, str],
    ) -> web.StreamResponse:
        begin, end = wanted
        size = one.blob.size_bytes
        if begin >= size:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        response = web.StreamResponse(status=206, headers={"Content-Type": kind, **headers})
        response.content_length = end - begin
        with problems():
            piece = await self._files.part(one.blob, (begin, min(_PIECE, end - begin)))
            await response.prepare(request)
            while piece:
                await response.write(piece)
                begin += len(piece)
                piece = await self._files.part(one.blob, (begin, min(_PIECE, end - begin)))
        await response.write_eof()
        return response


def byte_range(request: web.Request, size: int) -> tuple[int, int] | None:
    """Return the first byte asked for and the one after the last (RFC 9110 section 14).

    Several ranges, and any with a condition, are answered by the whole.
    """
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None or "If-Range" in request.headers:
        return None
    begin = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    return (begin, end) if begin < end or begin >= size else None


def _written(form: InstanceForm, one: Located) -> str | None:
    return form.written_in(transfer_syntax(one.transfer_syntax_uid))
