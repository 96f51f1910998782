"""WADO-RS: frames and bulk data of an instance (PS3.18 sections 10.4.1.1.5 and 10.4.1.1.6)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiohttp import web

from gateway.dicomweb.accept import ANY, accepted
from gateway.dicomweb.archive import Archive, Located
from gateway.dicomweb.conversion import Conversion
from gateway.dicomweb.files import StoredFiles
from gateway.dicomweb.forms import OCTETS, FrameForm, frame_form
from gateway.dicomweb.parts import NO_STORE, etag, not_modified, streamed, whole
from gateway.dicomweb.pixels import Layout, NoPixelsError
from gateway.dicomweb.problems import not_acceptable, problems
from gateway.dicomweb.requests import ROOT, Reader, measured, target_of
from gateway.http.problem import bad_request, not_found
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from services.dicom.errors import DicomError

_NUMBERS: Final = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*")
_AT_ONCE: Final = 8
"""Frames that are put together in memory; more are streamed."""


class FramesResource:
    """Gives frames out, as they are stored or decoded.

    Args:
        reader: Lets requests in.
        archive: Knows where instances are.
        files: Reads them.
        conversion: Decodes them.
        max_frames: Most frames of one request.
    """

    def __init__(
        self,
        reader: Reader,
        archive: Archive,
        files: StoredFiles,
        conversion: Conversion,
        max_frames: int,
    ) -> None:
        self._reader = reader
        self._archive = archive
        self._files = files
        self._conversion = conversion
        self._max_frames = max_frames

    def routes(self) -> list[web.RouteDef]:
        """Return the address."""
        address = "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}"
        return [web.get(ROOT + address, measured("frames", self.retrieve))]

    async def retrieve(self, request: web.Request) -> web.StreamResponse:
        """Give the frames that the address names."""
        action = AuditAction.AUDIT_ACTION_FETCH
        _, token = await self._reader.require(request, "RetrieveFrames", action)
        target, numbers = target_of(request), self._numbers(request)
        located = await self._archive.instance(token, target)
        layout = await layout_of(self._files, located)
        if layout.count and max(numbers) > layout.count:
            raise not_found()
        form = frame_form(
            accepted(request), layout.syntax, len(numbers), readable=layout.frames is not None
        )
        tag = etag(located.blob.sha256, form.transfer_syntax, *map(str, numbers[:_AT_ONCE]))
        headers = {"Cache-Control": NO_STORE}
        if len(numbers) <= _AT_ONCE:
            headers["ETag"] = tag
            if (held := not_modified(request, tag)) is not None:
                return held
        return await self._answer(request, located, layout, form, numbers, headers)

    async def _answer(
        self,
        request: web.Request,
        located: Located,
        layout: Layout,
        form: FrameForm,
        numbers: Sequence[int],
        headers: dict[str, str],
    ) -> web.StreamResponse:
        kind = f"{form.media_type}; transfer-syntax={form.transfer_syntax}"
        frames = self._frames(located, layout, form, numbers)
        if len(numbers) > _AT_ONCE:
            return await streamed(request, form.media_type, _parts(kind, frames), headers)
        contents = [frame async for frame in frames]
        if not form.multipart:
            return web.Response(body=contents[0], headers={"Content-Type": kind, **headers})
        return whole(form.media_type, [(kind, content) for content in contents], headers)

    async def _frames(
        self, located: Located, layout: Layout, form: FrameForm, numbers: Sequence[int]
    ) -> AsyncIterator[bytes]:
        if form.decoded or layout.frames is None:
            async for frame in self._conversion.decoded(located.blob, numbers):
                yield frame
            return
        with problems():
            for number in numbers:
                yield await self._files.frame(located.blob, layout.frames, number - 1)

    def _numbers(self, request: web.Request) -> list[int]:
        text = request.match_info["frames"]
        if not _NUMBERS.fullmatch(text):
            raise bad_request("Frames are numbers from 1, separated by commas.")
        numbers = [int(part) for part in text.split(",")]
        if len(numbers) > self._max_frames or min(numbers) < 1:
            raise bad_request(f"Frames are 1 to {self._max_frames} numbers from 1.")
        return numbers


async def layout_of(files: StoredFiles, located: Located) -> Layout:
    """Return where the frames of an instance are.

    Raises:
        Problem: It has none, or is gone or damaged.
    """
    try:
        with problems():
            return await files.layout(located.blob)
    except NoPixelsError:
        raise not_found() from None
    except DicomError:
        raise not_acceptable("The pixels cannot be read.") from None


async def _parts(
    kind: str, frames: AsyncIterator[bytes]
) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    async for frame in frames:
        yield kind, _once(frame)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def takes_octets(request: web.Request) -> tuple[bool, bool]:
    """Return whether octets are taken as parts, and whether at all."""
    for media in accepted(request):
        if media.matches(OCTETS):
            return media.is_multipart or media.media_type == ANY, True
    return False, False
