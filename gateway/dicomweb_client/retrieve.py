"""WADO-RS as user agent (PS3.18 section 10.4): whole instances, as the peer stores them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp.helpers import parse_mimetype

from gateway.dicomweb.multipart import (
    Bounds,
    MultipartError,
    MultipartParser,
    MultipartReader,
    valid_boundary,
)
from gateway.dicomweb_client.session import WebSession
from gateway.peers.errors import PeerRefusedError
from gateway.peers.reception import Reception
from services.dicom.uids import valid_uid
from services.runtime.errors import InvalidFieldError

_ACCEPT: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_DICOM: Final = "application/dicom"
_MAX_PARTS: Final = 200_000
_PIECE: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class Resource:
    """A study, one of its series, or one of its instances."""

    study_instance_uid: str
    series_instance_uid: str = ""
    sop_instance_uid: str = ""

    def path(self) -> str:
        """Return where it is, relative to the base URL.

        Raises:
            InvalidFieldError: A UID is none, or one above is absent.
        """
        names = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
        uids = [getattr(self, name) for name in names]
        while uids and not uids[-1]:
            uids.pop()
        for name, uid in zip(names, uids or [""], strict=False):
            if not valid_uid(uid):
                raise InvalidFieldError(name, "a UID")
        kinds = ("studies", "series", "instances")
        return "/".join(f"{kind}/{uid}" for kind, uid in zip(kinds, uids, strict=False))


@dataclass(frozen=True, slots=True)
class Retrieved:
    """How far a retrieval is.

    Attributes:
        stored: Instances that were new to us.
        known: Instances that we had already.
        failed: Instances that were not taken.
        received_bytes: Bytes received.
    """

    stored: int
    known: int
    failed: int
    received_bytes: int


async def retrieve(
    session: WebSession, resource: Resource, reception: Reception
) -> AsyncGenerator[Retrieved, None]:
    """Take the instances of a resource; yield how far it is after each.

    Raises:
        InvalidFieldError: The resource is none.
        PeerUnreachableError, PeerRefusedError: The peer does not answer, or not as it should.
    """
    async with session.get(resource.path(), [], _ACCEPT) as response:
        counted = _Counted(response)
        try:
            async for content in _files(session, response, counted):
                await reception.take(content)
                yield Retrieved(
                    reception.stored, reception.known, reception.failed, counted.received_bytes
                )
        except MultipartError as error:
            status = str(response.status)
            raise PeerRefusedError(session.peer.name, status, str(error)) from None


class _Counted:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.received_bytes = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._response.content.iter_chunked(_PIECE):
            self.received_bytes += len(piece)
            yield piece


async def _files(
    session: WebSession, response: aiohttp.ClientResponse, counted: _Counted
) -> AsyncIterator[AsyncIterator[bytes]]:
    kind = parse_mimetype(response.headers.get("Content-Type", ""))
    if (kind.type, kind.subtype, kind.suffix) == ("application", "dicom", ""):
        yield counted.pieces()
        return
    boundary = kind.parameters.get("boundary", "")
    if kind.type != "multipart" or not valid_boundary(boundary):
        status = str(response.status)
        raise PeerRefusedError(session.peer.name, status, "its answer is not multipart")
    reader = MultipartReader(counted.pieces(), MultipartParser(boundary, Bounds(parts=_MAX_PARTS)))
    async for headers, content in reader.parts():
        if headers.get("content-type", _DICOM).partition(";")[0].strip().lower() == _DICOM:
            yield content
