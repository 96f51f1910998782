"""What every DICOMweb request has: a caller, UIDs in its address, a place on the public URL."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from gateway.dicomweb.archive import Target
from gateway.dicomweb.metrics import REQUEST_SECONDS
from gateway.http import cookie
from gateway.http.permitted import HttpCallers
from gateway.http.problem import Problem, bad_request
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.access.v1.permission_pb2 import Permission
from services.dicom.uids import valid_uid
from services.runtime.tokens import Caller

ROOT: Final = "/dicom-web"
_HOST: Final = re.compile(
    r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?"
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Reader:
    """Lets requests read.

    Attributes:
        callers: Checks who calls.
    """

    callers: HttpCallers

    async def require(
        self, request: web.Request, name: str, action: AuditAction.ValueType
    ) -> tuple[Caller, str]:
        """Return who makes a request that reads, and their token.

        The archive is called with that token: it checks it again, and records the call.

        Raises:
            Problem: Nobody we know, or not permitted.
        """
        permission = Permission.PERMISSION_ARCHIVE_READ
        caller = await self.callers.require(
            request, permission, f"/gateway.dicomweb/{name}", action
        )
        return caller, token_of(request)


def token_of(request: web.Request) -> str:
    """Return the token of a request that was let in."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is not None:
        return header.partition(" ")[2].strip()
    return cookie.token(request) or ""


def target_of(request: web.Request) -> Target:
    """Return what the address names.

    Raises:
        Problem: Something in it is no UID.
    """
    names = (request.match_info.get(name, "") for name in ("study", "series", "instance"))
    target = Target(*names)
    for uid in (target.study, target.series, target.instance):
        if uid and not valid_uid(uid):
            raise bad_request("The address holds something that is no UID.")
    return target


def root_url(request: web.Request) -> str:
    """Return the URL of the service as the client sees it.

    Raises:
        Problem: The client calls us by something that is no host.
    """
    if not _HOST.fullmatch(request.host):
        raise bad_request("The host is no name and no address.")
    forwarded = request.headers.get("X-Forwarded-Proto", "").lower()
    scheme = forwarded if forwarded in ("http", "https") else request.scheme
    return f"{scheme}://{request.host}{ROOT}"


def measured(route: str, handler: Handler) -> Handler:
    """Return a handler whose time is counted under the name of its route."""

    async def timed(request: web.Request) -> web.StreamResponse:
        began, status = time.perf_counter(), 500
        try:
            response = await handler(request)
            status = response.status
        except Problem as problem:
            status = problem.status.value
            raise
        else:
            return response
        finally:
            seconds = time.perf_counter() - began
            REQUEST_SECONDS.labels(route, f"{status // 100}xx").observe(seconds)

    return timed
