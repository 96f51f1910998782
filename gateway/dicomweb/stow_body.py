"""The body of a STOW-RS request: which instances it brings (PS3.18 section 10.5.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from gateway.dicomweb.accept import MULTIPART, media_ranges
from gateway.dicomweb.forms import DICOM
from gateway.dicomweb.multipart import (
    Bounds,
    MultipartParser,
    MultipartReader,
    valid_boundary,
)
from gateway.dicomweb.problems import too_large, unsupported_media
from gateway.dicomweb.settings import DicomwebSettings
from gateway.http.problem import Problem, bad_request

_PIECE: Final = 256 << 10

Instance = tuple[bool, AsyncIterator[bytes]]
"""Whether it claims to be DICOM, and its bytes."""


@dataclass(frozen=True, slots=True)
class StowBody:
    """Reads the instances of a request.

    Attributes:
        request: The request.
        settings: Bounds on it.
    """

    request: web.Request
    settings: DicomwebSettings

    def check(self) -> None:
        """Judge by the headers.

        Raises:
            Problem: The body is of a kind that is not taken, or too long.
        """
        coding = self.request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower()
        if coding != "identity":
            raise unsupported_media("A body is taken as it is, without content coding.")
        length = self.request.content_length
        if length is not None and length > self.settings.max_request_bytes:
            raise too_large()
        self._boundary()

    async def instances(self) -> AsyncIterator[Instance]:
        """Yield the instances, each to be read before the next.

        Raises:
            MultipartError: The body breaks its form.
            Problem: It is longer than is taken, or does not come.
        """
        boundary = self._boundary()
        if boundary is None:
            yield True, self._pieces()
            return
        bounds = Bounds(self.settings.max_parts, self.settings.max_part_header_bytes)
        reader = MultipartReader(self._pieces(), MultipartParser(boundary, bounds))
        async for headers, content in reader.parts():
            yield _is_dicom(headers), content

    def _boundary(self) -> str | None:
        """Return the boundary of a multipart body; None where the body is one instance."""
        (media, *_) = media_ranges(self.request.headers.get(hdrs.CONTENT_TYPE, "")) or (None,)
        if media is None or media.media_type not in (MULTIPART, DICOM):
            raise unsupported_media("Instances come as multipart/related of application/dicom.")
        if media.media_type == DICOM:
            return None
        if media.inner not in (DICOM, "*/*"):
            text = "Parts are application/dicom; metadata beside bulk data is not taken."
            raise unsupported_media(text)
        boundary = media.parameters.get("boundary", "")
        if not valid_boundary(boundary):
            raise bad_request("The body names no boundary.")
        return boundary

    async def _pieces(self) -> AsyncIterator[bytes]:
        size = 0
        while True:
            try:
                async with asyncio.timeout(self.settings.body_timeout_s):
                    piece = await self.request.content.read(_PIECE)
            except TimeoutError:
                status = HTTPStatus.REQUEST_TIMEOUT
                raise Problem(status, "too-slow", "The body did not come in time.") from None
            except (web.HTTPException, ValueError):
                raise bad_request("The body is cut off.") from None
            if not piece:
                return
            size += len(piece)
            if size > self.settings.max_request_bytes:
                raise too_large()
            yield piece


def _is_dicom(headers: Mapping[str, str]) -> bool:
    coding = headers.get("content-transfer-encoding", "binary").lower()
    kind = headers.get("content-type", DICOM).partition(";")[0].strip().lower()
    return kind == DICOM and coding in ("binary", "8bit", "7bit")
