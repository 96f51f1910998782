"""QIDO-RS as user agent (PS3.18 section 10.6)."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import aiohttp

from gateway.dicomweb_client.session import WebSession
from gateway.peers.errors import PeerRefusedError
from gateway.scu.find import MAX_MATCHES, Truncated
from gateway.scu.identifier import Key, known_tag
from services.dicom.json import JsonObject
from services.dicom.uids import valid_uid
from services.runtime.errors import InvalidFieldError

DICOM_JSON: Final = "application/dicom+json"
_PAGE: Final = 1_000
_MAX_KEYS: Final = 50
_MAX_FIELDS: Final = 100
_MAX_VALUE: Final = 4_096
_NO_CONTENT: Final = 204


class SearchLevel(Enum):
    """What is searched for."""

    STUDIES = "studies"
    SERIES = "series"
    INSTANCES = "instances"


@dataclass(frozen=True, slots=True)
class Search:
    """A search.

    Attributes:
        level: What is searched for.
        study_instance_uid: Study to search in, if any.
        series_instance_uid: Series to search in, if any.
        keys: Matching keys.
        include_fields: Attributes that are asked for besides.
        fuzzy_matching: Whether names match loosely.
        limit: Most matches.
    """

    level: SearchLevel
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    keys: Sequence[Key] = ()
    include_fields: Sequence[str] = ()
    fuzzy_matching: bool = False
    limit: int = MAX_MATCHES

    def path(self) -> str:
        """Return the resource, relative to the base URL (PS3.18 Table 10.6.1-1).

        Raises:
            InvalidFieldError: It is asked for in what cannot hold it.
        """
        study, series = self.study_instance_uid, self.series_instance_uid
        order = list(SearchLevel)
        depth = order.index(self.level)
        for field, uid, least in (("study", study, 1), ("series", series, 2)):
            if uid and (depth < least or not valid_uid(uid)):
                raise InvalidFieldError(f"{field}_instance_uid", "a UID, above the level")
        if series and not study:
            raise InvalidFieldError("study_instance_uid", "needed with the series")
        above = f"studies/{study}/" if study else ""
        above += f"series/{series}/" if series else ""
        return above + self.level.value

    def parameters(self) -> list[tuple[str, str]]:
        """Return the query parameters without those of paging.

        Raises:
            InvalidFieldError: A key is unknown or has no value, or there are too many.
        """
        if len(self.keys) > _MAX_KEYS or len(self.include_fields) > _MAX_FIELDS:
            raise InvalidFieldError("keys", f"at most {_MAX_KEYS}, and {_MAX_FIELDS} fields")
        found = []
        for key in self.keys:
            if not 0 < len(key.value) <= _MAX_VALUE:
                raise InvalidFieldError("keys", f"values of 1 to {_MAX_VALUE} characters")
            found.append((f"{known_tag(key.keyword):08X}", key.value))
        found += [("includefield", f"{known_tag(name):08X}") for name in self.include_fields]
        if self.fuzzy_matching:
            found.append(("fuzzymatching", "true"))
        return found


async def search(
    session: WebSession, wanted: Search
) -> AsyncGenerator[JsonObject | Truncated, None]:
    """Yield matches page after page; ``Truncated`` last when the limit cut them.

    Raises:
        InvalidFieldError: The search is none.
        PeerUnreachableError, PeerRefusedError: The peer does not answer, or not as it should.
    """
    path, parameters = wanted.path(), wanted.parameters()
    count, before = 0, None
    while count < wanted.limit:
        size = min(_PAGE, wanted.limit - count)
        paging = [("limit", str(size)), ("offset", str(count))]
        page = await _page(session, path, [*parameters, *paging])
        # A server that knows no offset sends the same again.
        if not page or page[0] == before:
            return
        for match in page[: wanted.limit - count]:
            yield match
        if len(page) < size:
            return
        if len(page) > wanted.limit - count:
            break
        count += len(page)
        before = page[0]
    yield Truncated()


async def _page(
    session: WebSession, path: str, parameters: list[tuple[str, str]]
) -> list[JsonObject]:
    async with session.get(path, parameters, DICOM_JSON) as response:
        if response.status == _NO_CONTENT:
            return []
        found = await parsed(session, response)
    if not isinstance(found, list) or not all(isinstance(match, dict) for match in found):
        raise PeerRefusedError(session.peer.name, "200", "its answer is no list of DICOM JSON")
    return found


async def parsed(session: WebSession, response: aiohttp.ClientResponse) -> Any:
    """Return an answer's JSON.

    Raises:
        PeerRefusedError: It is none, or longer than is taken.
    """
    body = await session.body(response)
    try:
        return json.loads(body) if body.strip() else []
    except (ValueError, RecursionError):
        status = str(response.status)
        raise PeerRefusedError(session.peer.name, status, "its answer is no JSON") from None
