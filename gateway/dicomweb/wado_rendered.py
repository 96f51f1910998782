"""WADO-RS: pictures of frames, and thumbnails (PS3.18 sections 10.4.1.1.2 and 10.4.1.1.3)."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from aiohttp import web

from gateway.dicomweb.accept import accepted
from gateway.dicomweb.archive import Archive, Located
from gateway.dicomweb.cache import DiskCache
from gateway.dicomweb.conversion import Conversion
from gateway.dicomweb.parts import NO_STORE, etag, not_modified
from gateway.dicomweb.rendered_request import picture_type, render_request
from gateway.dicomweb.requests import ROOT, Handler, Reader, measured, target_of
from gateway.http.problem import bad_request, not_found
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from services.dicom.uids import is_image_sop_class
from services.runtime.blob_messages import blob_to_proto

_FRAME: Final = re.compile(r"[0-9]{1,9}")
_INSTANCE: Final = "/studies/{study}/series/{series}/instances/{instance}"
_FRAMES: Final = _INSTANCE + "/frames/{frame}"


class RenderedResource:
    """Gives pictures out; each is made once and kept for a while.

    Args:
        reader: Lets requests in.
        archive: Knows where instances are.
        conversion: Draws.
        cache: Keeps pictures.
    """

    def __init__(
        self, reader: Reader, archive: Archive, conversion: Conversion, cache: DiskCache
    ) -> None:
        self._reader = reader
        self._archive = archive
        self._conversion = conversion
        self._cache = cache

    def routes(self) -> list[web.RouteDef]:
        """Return the addresses."""
        rendered = [_INSTANCE + "/rendered", _FRAMES + "/rendered"]
        thumbnails = [_INSTANCE + "/thumbnail", _FRAMES + "/thumbnail"]
        thumbnails += ["/studies/{study}/thumbnail", "/studies/{study}/series/{series}/thumbnail"]
        small, large = self._handler(thumbnail=True), self._handler(thumbnail=False)
        return [
            *(web.get(ROOT + address, measured("rendered", large)) for address in rendered),
            *(web.get(ROOT + address, measured("thumbnail", small)) for address in thumbnails),
        ]

    def _handler(self, *, thumbnail: bool) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._retrieve(request, thumbnail=thumbnail)

        return handle

    async def _retrieve(self, request: web.Request, *, thumbnail: bool) -> web.StreamResponse:
        action = AuditAction.AUDIT_ACTION_FETCH
        _, token = await self._reader.require(request, "RetrieveRendered", action)
        media_type = picture_type(accepted(request))
        frame = _frame(request)
        wanted = render_request(request.query, media_type, frame or 1, thumbnail=thumbnail)
        located = await self._located(token, request)
        if frame is None and not request.match_info.get("instance"):
            wanted.frame = max(located.number_of_frames // 2, 1)
        if wanted.frame > max(located.number_of_frames, 1):
            raise not_found()
        wanted.blob.CopyFrom(blob_to_proto(located.blob))
        key = wanted.SerializeToString(deterministic=True).hex()
        tag = etag(hashlib.sha256(key.encode()).hexdigest())
        if (held := not_modified(request, tag)) is not None:
            return held
        picture = await self._cache.get("picture", key, lambda: self._conversion.render(wanted))
        headers = {"Content-Type": media_type, "Cache-Control": NO_STORE, "ETag": tag}
        return web.Response(body=picture, headers=headers)

    async def _located(self, token: str, request: web.Request) -> Located:
        target = target_of(request)
        if target.instance:
            return await self._archive.instance(token, target)
        found = await self._archive.instances(token, target)
        images = [one for one in found if is_image_sop_class(one.sop_class_uid)] or found
        first = [one for one in images if one.series_id == images[0].series_id]
        return first[len(first) // 2]


def _frame(request: web.Request) -> int | None:
    text = request.match_info.get("frame")
    if text is None:
        return None
    if not _FRAME.fullmatch(text) or int(text) < 1:
        raise bad_request("A frame is one number from 1.")
    return int(text)
