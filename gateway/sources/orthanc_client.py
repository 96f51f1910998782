"""Orthanc's REST API, as far as studies are fetched by it."""

from __future__ import annotations

import base64
import json
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import aiohttp

from gateway.peers.peer import Peer
from gateway.peers.resolving import addresses
from gateway.peers.tls import client_context
from gateway.sources.settings import SourceSettings
from gateway.sources.work import SourceError

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")
_PIECE: Final = 1 << 20


class NotThereError(Exception):
    """Orthanc does not have what was asked for any more."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change that Orthanc lists.

    Attributes:
        seq: Its number; later ones are greater.
        kind: E.g. "StableStudy".
        orthanc_id: What changed.
    """

    seq: int
    kind: str
    orthanc_id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A study as Orthanc has it.

    Attributes:
        study_instance_uid: Study Instance UID (0020,000D).
        is_stable: Whether nothing came to it for a while.
        instances: Orthanc's id by SOP Instance UID (0008,0018).
    """

    study_instance_uid: str
    is_stable: bool
    instances: dict[str, str]


class OrthancClient:
    """Asks one Orthanc; use `orthanc`.

    Args:
        session: HTTP session with its base address and credentials.
        root: Path of the REST API, without a slash at its end.
        settings: Bounds.
    """

    def __init__(self, session: aiohttp.ClientSession, root: str, settings: SourceSettings) -> None:
        self._session = session
        self._root = root
        self._settings = settings

    async def version(self) -> str:
        """Return Orthanc's version.

        Raises:
            SourceError: It does not answer as Orthanc does.
        """
        system = await self._json("/system")
        version = system.get("Version") if isinstance(system, dict) else None
        if not isinstance(version, str) or not re.fullmatch(r"[A-Za-z0-9.-]{1,32}", version):
            raise SourceError("what answers there is no Orthanc")
        return version

    async def study_count(self) -> int:
        """Return how many studies it has; see `version`."""
        statistics = await self._json("/statistics")
        return _number(statistics, "CountStudies")

    async def last_change(self) -> int:
        """Return the number of the last change; see `version`."""
        return _number(await self._json("/changes?last"), "Last")

    async def changes(self, since: int, limit: int) -> tuple[list[Change], int, bool]:
        """Return changes after one, the number of the last of them, and whether these are all."""
        answer = await self._json(f"/changes?since={since}&limit={limit}")
        try:
            found = [
                Change(int(one["Seq"]), str(one["ChangeType"]), _id(one["ID"]))
                for one in answer["Changes"]
                if _ID.fullmatch(str(one.get("ID")))
            ]
            return found, int(answer["Last"]), bool(answer["Done"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _not_orthanc() from None

    async def studies(self, since: int, limit: int) -> list[str]:
        """Return Orthanc's ids of some of its studies."""
        answer = await self._json(f"/studies?since={since}&limit={limit}")
        try:
            return [_id(one) for one in answer]
        except (TypeError, ValueError):
            raise _not_orthanc() from None

    async def study_of(self, level: str, orthanc_id: str) -> str:
        """Return Orthanc's id of the study that a series or instance belongs to.

        Raises:
            NotThereError: It is gone.
        """
        answer = await self._json(f"/{level}/{quote(orthanc_id)}/study")
        try:
            return _id(answer["ID"])
        except (KeyError, TypeError, ValueError):
            raise _not_orthanc() from None

    async def study(self, orthanc_id: str) -> Listed:
        """Return what a study consists of.

        Raises:
            NotThereError: It is gone.
        """
        about = await self._json(f"/studies/{quote(orthanc_id)}")
        instances = await self._json(f"/studies/{quote(orthanc_id)}/instances")
        try:
            return Listed(
                str(about["MainDicomTags"]["StudyInstanceUID"]),
                bool(about.get("IsStable", False)),
                {str(one["MainDicomTags"]["SOPInstanceUID"]): _id(one["ID"]) for one in instances},
            )
        except (KeyError, TypeError, ValueError):
            raise _not_orthanc() from None

    async def file(self, orthanc_id: str) -> AsyncGenerator[bytes, None]:
        """Yield the DICOM file of an instance.

        Raises:
            NotThereError: It is gone.
            SourceError: It breaks off.
        """
        async with self._get(f"/instances/{quote(orthanc_id)}/file") as answer:
            try:
                async for piece in answer.content.iter_chunked(_PIECE):
                    yield piece
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                raise SourceError("Orthanc broke off in the middle of an instance") from None

    async def _json(self, path: str) -> Any:
        async with self._get(path) as answer:
            body = bytearray()
            try:
                async for piece in answer.content.iter_chunked(_PIECE):
                    body += piece
                    if len(body) > self._settings.max_answer_bytes:
                        raise SourceError("an answer of Orthanc is longer than is taken")
                return json.loads(body)
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                raise SourceError("Orthanc broke off in the middle of an answer") from None
            except (ValueError, RecursionError):
                raise _not_orthanc() from None

    @asynccontextmanager
    async def _get(self, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            answer = await self._session.get(self._root + path, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise SourceError("Orthanc does not answer") from None
        async with answer:
            if answer.status == 404:
                raise NotThereError
            if answer.status in (401, 403):
                raise SourceError("Orthanc refuses our credentials")
            if answer.status != 200:
                raise SourceError(f"Orthanc answers with HTTP status {answer.status}")
            yield answer


@asynccontextmanager
async def orthanc(
    peer: Peer, rest_path: str, settings: SourceSettings
) -> AsyncIterator[OrthancClient]:
    """Open a client for the Orthanc of a registered peer.

    Args:
        peer: Its registered address and credentials; only that server is spoken to.
        rest_path: Path of its REST API.
        settings: Bounds.

    Raises:
        SourceError: Its certificates cannot be used.
        PeerUnreachableError: Its name is unknown, or leads where no peer can be.
    """
    url = urlsplit(peer.require_web().url)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    await addresses(peer.name, host, port, settings.timeout_s)
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=settings.timeout_s, sock_read=settings.timeout_s
    )
    async with aiohttp.ClientSession(
        f"{url.scheme}://{url.netloc.rpartition('@')[2]}",
        headers=_headers(peer),
        timeout=timeout,
        connector=aiohttp.TCPConnector(ssl=_tls(peer), limit=settings.fetches + 2),
        auto_decompress=False,
    ) as session:
        yield OrthancClient(session, rest_path.rstrip("/"), settings)


def _headers(peer: Peer) -> dict[str, str]:
    shown = peer.credentials
    headers = {"Accept-Encoding": "identity"}
    if shown.bearer_token:
        headers["Authorization"] = f"Bearer {shown.bearer_token}"
    elif shown.user_name:
        basic = f"{shown.user_name}:{shown.password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(basic).decode('ascii')}"
    return headers


def _tls(peer: Peer) -> ssl.SSLContext:
    web = peer.require_web()
    try:
        return client_context(web.tls_ca_pem, peer.credentials, names_are_checked=True)
    except (ssl.SSLError, ValueError):
        raise SourceError("the certificates registered for the peer cannot be used") from None


def _id(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("no id of Orthanc")
    return value


def _number(answer: Any, name: str) -> int:
    try:
        return int(answer[name])
    except (KeyError, TypeError, ValueError):
        raise _not_orthanc() from None


def _not_orthanc() -> SourceError:
    return SourceError("what answers there is no Orthanc")
