"""``POST /api/v1/ingestion/studies``: an Orthanc tells that a study is there."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Final

import grpc
from aiohttp import web

from gateway.http.permitted import HttpCallers, unavailable
from gateway.http.problem import Problem, bad_request
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.sources.v1 import sources_service_pb2 as pb
from heimdallr.sources.v1 import sources_service_pb2_grpc as pb_grpc
from services.runtime.client import ServiceCallError, typed_errors

PATH: Final = "/api/v1/ingestion/studies"
_METHOD: Final = "/gateway.sources/Notice"
_BODY_TIMEOUT_S: Final = 10.0


class Webhook:
    """Takes notices, which are durable when they are answered.

    Args:
        stub: The registry of sources.
        callers: Who may tell.
    """

    def __init__(self, stub: pb_grpc.SourcesServiceAsyncStub, callers: HttpCallers) -> None:
        self._stub = stub
        self._callers = callers

    def routes(self) -> list[web.RouteDef]:
        """Return which method of which address goes where."""
        return [web.post(PATH, self.notice)]

    async def notice(self, request: web.Request) -> web.Response:
        """Note a study: ``{"ID": "<Orthanc's id>", "Source": "<name, if there are several>"}``."""
        action = AuditAction.AUDIT_ACTION_INGEST
        permission = Permission.PERMISSION_ARCHIVE_WRITE
        await self._callers.require(request, permission, _METHOD, action)
        orthanc_id, source_name = await _told(request)
        wanted = pb.NoticeStudyRequest(orthanc_id=orthanc_id, source_name=source_name)
        try:
            with typed_errors():
                noted = await self._stub.NoticeStudy(wanted)
        except ServiceCallError as error:
            raise _problem(error) from None
        return web.json_response(
            {"source_id": noted.source_id},
            status=HTTPStatus.ACCEPTED,
            headers={"Cache-Control": "no-store"},
        )


async def _told(request: web.Request) -> tuple[str, str]:
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            body = json.loads(await request.read())
    except TimeoutError:
        status = HTTPStatus.REQUEST_TIMEOUT
        raise Problem(status, "too-slow", "The body did not come in time.") from None
    except (ValueError, RecursionError):
        raise bad_request("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise bad_request("The body is an object with ID.")
    orthanc_id, source_name = body.get("ID"), body.get("Source", "")
    if not isinstance(orthanc_id, str) or not isinstance(source_name, str):
        raise bad_request("ID and Source are texts.")
    return orthanc_id[:64], source_name[:64]


def _problem(error: ServiceCallError) -> Problem:
    if error.code is grpc.StatusCode.INVALID_ARGUMENT:
        return bad_request("ID is Orthanc's own id of a study.")
    if error.code is grpc.StatusCode.NOT_FOUND:
        text = "No Orthanc is registered as a source under this name, or several are: name one."
        return Problem(HTTPStatus.NOT_FOUND, "no-such-source", text)
    return unavailable()
