"""``/api/v1/uploads``: the resumable upload protocol of tus.io, version 1.0.0.

Extensions: creation, creation-with-upload, expiration, termination. What became of an upload is
read with GET, which tus leaves free.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import hdrs, web

from gateway.http.permitted import HttpCallers, peer_address
from gateway.http.problem import Problem, bad_request, not_found
from gateway.upload.receiving import BrokenOffError, OffsetError, SlowBodyError, TooLongError
from gateway.upload.settings import UploadSettings
from gateway.upload.spool import Upload
from gateway.upload.uploads import Uploads
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.access.v1.permission_pb2 import Permission
from services.runtime.errors import LimitExceededError, StorageFullError
from services.runtime.tokens import Caller

PATH: Final = "/api/v1/uploads"
VERSION: Final = "1.0.0"
_EXTENSIONS: Final = "creation,creation-with-upload,expiration,termination"
_BODY_TYPE: Final = "application/offset+octet-stream"
_RESUMABLE: Final = "Tus-Resumable"
_OFFSET: Final = "Upload-Offset"
_LENGTH: Final = "Upload-Length"
_MOST_LISTED: Final = 100


class UploadDoor:
    """Answers what is asked under ``/api/v1/uploads``.

    Args:
        uploads: The uploads.
        callers: Who may ask.
        settings: Bounds.
    """

    def __init__(self, uploads: Uploads, callers: HttpCallers, settings: UploadSettings) -> None:
        self._uploads = uploads
        self._callers = callers
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        """Return which method of which address goes where."""
        one = f"{PATH}/{{upload_id}}"
        return [
            web.options(PATH, self.options),
            web.post(PATH, self.create),
            web.get(PATH, self.list, allow_head=False),
            web.head(one, self.head),
            web.patch(one, self.patch),
            web.delete(one, self.delete),
            web.get(one, self.get, allow_head=False),
        ]

    async def options(self, _request: web.Request) -> web.Response:
        """Say what is spoken here."""
        return self._answer(
            HTTPStatus.NO_CONTENT,
            {
                "Tus-Version": VERSION,
                "Tus-Extension": _EXTENSIONS,
                "Tus-Max-Size": str(self._settings.max_bytes),
            },
        )

    async def create(self, request: web.Request) -> web.Response:
        """Begin an upload, with its first bytes where they come along."""
        caller = await self._caller(request, "Create")
        length = self._length(request)
        has_body = request.body_exists and request.content_type == _BODY_TYPE
        spool = self._uploads.spool
        try:
            upload = await asyncio.to_thread(
                spool.create, caller.subject, length, peer_address(request)
            )
        except LimitExceededError:
            raise _too_many() from None
        except StorageFullError:
            raise _no_room() from None
        try:
            entry = await self._callers.record(
                caller, "/gateway.upload/Create", AuditAction.AUDIT_ACTION_INGEST, upload.upload_id
            )
        except Problem:
            await self._uploads.terminate(upload)
            raise
        await self._callers.ended(entry)
        offset = await self._append(upload, 0, request) if has_body else 0
        headers = {
            hdrs.LOCATION: f"{PATH}/{upload.upload_id}",
            _OFFSET: str(offset),
            **self._expires(upload),
        }
        return self._answer(HTTPStatus.CREATED, headers)

    async def list(self, request: web.Request) -> web.Response:
        """Tell the caller's own latest uploads."""
        caller = await self._caller(request, "List", speaks_tus=False)
        return await asyncio.to_thread(self._listed, caller.subject)

    async def head(self, request: web.Request) -> web.Response:
        """Tell how much of an upload came."""
        upload = self._own(await self._caller(request, "Head"), request)
        offset = await self._uploads.stand(upload)
        headers = {_OFFSET: str(offset), _LENGTH: str(upload.length), **self._expires(upload)}
        return self._answer(HTTPStatus.OK, headers)

    async def patch(self, request: web.Request) -> web.Response:
        """Take more of an upload."""
        upload = self._own(await self._caller(request, "Append"), request)
        if request.content_type != _BODY_TYPE:
            status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
            raise Problem(status, "wrong-type", f"The body has to be {_BODY_TYPE}.")
        offset = await self._append(upload, _number(request, _OFFSET), request)
        headers = {_OFFSET: str(offset), **self._expires(upload)}
        return self._answer(HTTPStatus.NO_CONTENT, headers)

    async def delete(self, request: web.Request) -> web.Response:
        """Forget an upload; what was taken from it stays."""
        upload = self._own(await self._caller(request, "Terminate"), request)
        await self._uploads.terminate(upload)
        return self._answer(HTTPStatus.NO_CONTENT, {})

    async def get(self, request: web.Request) -> web.Response:
        """Tell what became of an upload."""
        upload = self._own(await self._caller(request, "Get", speaks_tus=False), request)
        document = await asyncio.to_thread(self._document, upload)
        return web.json_response(document, headers={"Cache-Control": "no-store"})

    async def _caller(self, request: web.Request, name: str, *, speaks_tus: bool = True) -> Caller:
        caller = await self._callers.require(
            request,
            Permission.PERMISSION_ARCHIVE_WRITE,
            f"/gateway.upload/{name}",
            AuditAction.AUDIT_ACTION_INGEST,
        )
        if speaks_tus and request.headers.get(_RESUMABLE) != VERSION:
            status = HTTPStatus.PRECONDITION_FAILED
            raise Problem(status, "wrong-version", "Speak tus 1.0.0.", {"Tus-Version": VERSION})
        if hdrs.CONTENT_ENCODING in request.headers:
            status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
            raise Problem(status, "encoded", "The body has to come as it is, without encoding.")
        return caller

    def _own(self, caller: Caller, request: web.Request) -> Upload:
        upload = self._uploads.spool.get(request.match_info["upload_id"])
        if upload is None or upload.owner != caller.subject:
            raise not_found()
        return upload

    def _length(self, request: web.Request) -> int:
        length = _number(request, _LENGTH)
        if length == 0:
            raise bad_request("An upload has at least one byte.")
        if length > self._settings.max_bytes:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise Problem(status, "too-large", "The upload is larger than is taken.")
        return length

    async def _append(self, upload: Upload, offset: int, request: web.Request) -> int:
        try:
            return await self._uploads.append(upload, offset, request)
        except OffsetError:
            text = "The upload stands elsewhere: ask with HEAD."
            raise Problem(HTTPStatus.CONFLICT, "wrong-offset", text) from None
        except TooLongError:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise Problem(status, "too-large", "More came than was announced.") from None
        except SlowBodyError:
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "too-slow", "The body stopped.") from None
        except BrokenOffError:
            # Nobody reads it, unless another request took over.
            raise Problem(
                HTTPStatus.LOCKED, "broken-off", "The upload goes on elsewhere."
            ) from None
        except StorageFullError:
            raise _no_room() from None

    def _expires(self, upload: Upload) -> dict[str, str]:
        if self._uploads.spool.is_finished(upload):
            return {}
        at = datetime.now(UTC) + timedelta(seconds=self._settings.expire_after_s)
        return {"Upload-Expires": format_datetime(at, usegmt=True)}

    def _listed(self, owner: str) -> web.Response:
        uploads = self._uploads.spool.uploads(owner)[-_MOST_LISTED:]
        documents = [self._document(upload, counts_only=True) for upload in reversed(uploads)]
        return web.json_response({"uploads": documents}, headers={"Cache-Control": "no-store"})

    def _document(self, upload: Upload, *, counts_only: bool = False) -> dict[str, Any]:
        spool = self._uploads.spool
        outcome = spool.outcome(upload).to_json()
        for internal in (
            "finished",
            "next_place",
            *(("refused", "skipped") if counts_only else ()),
        ):
            del outcome[internal]
        created = datetime.fromtimestamp(upload.create_time, UTC)
        return {
            "upload_id": upload.upload_id,
            "state": self._uploads.state(upload),
            "length": upload.length,
            "offset": spool.offset(upload),
            "create_time": created.isoformat(timespec="seconds"),
            **outcome,
        }

    def _answer(self, status: HTTPStatus, headers: dict[str, str]) -> web.Response:
        fixed = {_RESUMABLE: VERSION, "Cache-Control": "no-store"}
        return web.Response(status=status, headers={**fixed, **headers})


def _number(request: web.Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise bad_request(f"{header} has to be a number of bytes.")
    return int(text)


def _too_many() -> Problem:
    text = "Too many uploads are open. Finish or delete some first."
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many", text, {"Retry-After": "10"})


def _no_room() -> Problem:
    text = "There is no room for it at the moment."
    status = HTTPStatus.INSUFFICIENT_STORAGE
    return Problem(status, "no-room", text, {"Retry-After": "60"})
