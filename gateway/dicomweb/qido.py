"""QIDO-RS: searching studies, series and instances (PS3.18 section 10.6)."""

from __future__ import annotations

import json
from typing import Final

from aiohttp import web

from gateway.dicomweb.accept import accepted
from gateway.dicomweb.archive import Archive
from gateway.dicomweb.problems import not_acceptable
from gateway.dicomweb.qido_json import match_json
from gateway.dicomweb.qido_request import Search, read_search
from gateway.dicomweb.requests import ROOT, Handler, Reader, measured, root_url, target_of
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.archive.v1 import archive_service_pb2 as pb

DICOM_JSON: Final = "application/dicom+json"
_JSON: Final = "application/json"
_LEVELS: Final = {
    "studies": pb.QUERY_LEVEL_STUDY,
    "series": pb.QUERY_LEVEL_SERIES,
    "instances": pb.QUERY_LEVEL_INSTANCE,
}


class Qido:
    """Answers searches.

    Args:
        reader: Lets requests in.
        archive: Is searched.
        max_results: Most matches of one search.
    """

    def __init__(self, reader: Reader, archive: Archive, max_results: int) -> None:
        self._reader = reader
        self._archive = archive
        self._max_results = max_results

    def routes(self) -> list[web.RouteDef]:
        """Return which address is searched at which level."""
        addresses = {
            "/studies": "studies",
            "/series": "series",
            "/instances": "instances",
            "/studies/{study}/series": "series",
            "/studies/{study}/instances": "instances",
            "/studies/{study}/series/{series}/instances": "instances",
        }
        return [
            web.get(ROOT + address, measured("search", self._handler(level)))
            for address, level in addresses.items()
        ]

    def _handler(self, level: str) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._search(request, level)

        return handle

    async def _search(self, request: web.Request, level: str) -> web.StreamResponse:
        _, token = await self._reader.require(request, "Search", AuditAction.AUDIT_ACTION_SEARCH)
        media_type = json_type(request)
        target = target_of(request)
        above = [("StudyInstanceUID", target.study), ("SeriesInstanceUID", target.series)]
        named = [(keyword, uid) for keyword, uid in above if uid]
        search = read_search(_LEVELS[level], named, request.query, self._max_results)
        rows = [row async for row in self._archive.query(token, search.request)]
        return _answer(request, search, rows, media_type, named=len(named))


def _answer(
    request: web.Request,
    search: Search,
    rows: list[pb.QueryRow],
    media_type: str,
    *,
    named: int,
) -> web.Response:
    root = root_url(request)
    found = [
        match_json(row, root, named=named, fields=search.fields, every=search.all_fields)
        for row in rows[: search.limit]
    ]
    headers = {"Cache-Control": "no-store"}
    if len(rows) > search.limit:
        headers["Warning"] = f'299 {request.host}: "There are additional results."'
    if not found:
        # PS3.18 10.6.3.1: a search without a match has no content.
        return web.Response(status=204, headers=headers)
    body = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
    return web.Response(body=body, content_type=media_type, headers=headers)


def json_type(request: web.Request) -> str:
    """Return the JSON type that a client takes.

    Raises:
        Problem: It takes none.
    """
    for media in accepted(request):
        if media.is_multipart:
            continue
        if media.matches(DICOM_JSON):
            return DICOM_JSON
        if media.matches(_JSON):
            return _JSON
    raise not_acceptable("What is given here is application/dicom+json.")
