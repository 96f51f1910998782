"""STOW-RS: instances come in (PS3.18 section 10.5), each acknowledged once it is durable."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from gateway.dicomweb.multipart import MultipartError
from gateway.dicomweb.problems import not_acceptable
from gateway.dicomweb.qido import DICOM_JSON
from gateway.dicomweb.requests import ROOT, measured, root_url, target_of
from gateway.dicomweb.settings import DicomwebSettings
from gateway.dicomweb.stow_body import StowBody
from gateway.dicomweb.stow_outcome import (
    MISMATCH,
    NOT_UNDERSTOOD,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    Failed,
    StowOutcome,
)
from gateway.file_door import Handover
from gateway.handover import Departure, HandoverError, Received
from gateway.http.permitted import HttpCallers, peer_address, unavailable
from gateway.http.problem import bad_request
from gateway.metrics import INSTANCE_BYTES, count_instance
from gateway.part10_intake import Part10Intake, read_head
from gateway.refusal import RefusalKind, RefusedError
from gateway.source import Door, Source
from gateway.staging import StagedInstance
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.access.v1.permission_pb2 import Permission
from services.dicom.errors import DicomError, NotDicomError
from services.runtime import logs
from services.runtime.errors import BlobNotFoundError, StorageFullError
from services.runtime.ids import new_id

FAILED: Final = "dicomweb.store_failed"
_METHOD: Final = "/gateway.dicomweb/StoreInstances"
_HEAD_BYTES: Final = 16 << 10
_AHEAD: Final = 16
"""Instances that are being indexed while the next are read."""
_REASONS: Final = {
    RefusalKind.MISMATCH: MISMATCH,
    RefusalKind.NOT_UNDERSTOOD: NOT_UNDERSTOOD,
}


class Stow:
    """Takes instances in.

    Args:
        callers: Checks who calls.
        intake: Makes files durable.
        handover: Indexes them.
        settings: Bounds.
    """

    def __init__(
        self,
        callers: HttpCallers,
        intake: Part10Intake,
        handover: Handover,
        settings: DicomwebSettings,
    ) -> None:
        self._callers = callers
        self._intake = intake
        self._handover = handover
        self._settings = settings
        self._free = settings.max_stores

    def routes(self) -> list[web.RouteDef]:
        """Return the addresses."""
        return [
            web.post(ROOT + address, measured("store", self.store))
            for address in ("/studies", "/studies/{study}")
        ]

    async def store(self, request: web.Request) -> web.StreamResponse:
        """Store what a request brings and tell what became of each instance."""
        action = AuditAction.AUDIT_ACTION_INGEST
        permission = Permission.PERMISSION_ARCHIVE_WRITE
        caller = await self._callers.require(request, permission, _METHOD, action)
        study, body = target_of(request).study, StowBody(request, self._settings)
        _require_json(request)
        body.check()
        if not self._free:
            raise unavailable()
        self._free -= 1
        try:
            entry = await self._callers.record(caller, _METHOD, action)
            outcome = await self._stored(request, body, study)
            await self._callers.ended(entry)
        finally:
            self._free += 1
        return _answer(request, outcome, study)

    async def _stored(self, request: web.Request, body: StowBody, study: str) -> StowOutcome:
        outcome = StowOutcome()
        source = Source(Door.DICOMWEB, new_id(), "", "", peer_address(request))
        taking = _Taking(self._intake, self._handover, source, study, outcome)
        released = False
        try:
            async for is_dicom, content in body.instances():
                await taking.take(is_dicom, content)
            released = True
        except MultipartError as error:
            raise bad_request(f"The body is not well formed: {error}.") from None
        finally:
            await taking.settled()
            if outcome.stored:
                await self._handover.depart(Departure(source, released, len(outcome.stored)))
        if not outcome.stored and not outcome.failed:
            raise bad_request("The body brings no instance.")
        return outcome


class _Taking:
    """Takes the instances of one request."""

    def __init__(
        self,
        intake: Part10Intake,
        handover: Handover,
        source: Source,
        study: str,
        outcome: StowOutcome,
    ) -> None:
        self._intake = intake
        self._handover = handover
        self._source = source
        self._study = study
        self._outcome = outcome
        self._indexing: set[asyncio.Task[None]] = set()

    async def take(self, is_dicom: bool, content: AsyncIterator[bytes]) -> None:
        """Make an instance durable and have it indexed while the next is read."""
        head = bytearray()
        if not is_dicom:
            self._fail(head, NOT_UNDERSTOOD)
            return
        try:
            staged = await self._intake.stage(_with_head(content, head))
        except NotDicomError:
            self._fail(head, NOT_UNDERSTOOD)
        except RefusedError as refusal:
            self._fail(head, _REASONS[refusal.kind])
        except StorageFullError:
            self._fail(head, OUT_OF_RESOURCES)
        except OSError as error:
            logs.get_logger().error(FAILED, **logs.failure(error))
            self._fail(head, PROCESSING_FAILURE)
        else:
            await self._index(staged)

    async def settled(self) -> None:
        """Wait for what is being indexed."""
        if self._indexing:
            await asyncio.wait(self._indexing)

    async def _index(self, staged: StagedInstance) -> None:
        if self._study and staged.attributes.study_instance_uid != self._study:
            self._fail_staged(staged, MISMATCH)
            return
        while len(self._indexing) >= _AHEAD:
            await asyncio.wait(self._indexing, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._handed_over(staged))
        self._indexing.add(task)
        task.add_done_callback(self._indexing.discard)

    async def _handed_over(self, staged: StagedInstance) -> None:
        received = Received(staged, self._source, datetime.now(UTC))
        try:
            what = await self._handover.hand_over(received)
        except HandoverError:
            self._fail_staged(staged, NOT_UNDERSTOOD)
        except StorageFullError:
            self._fail_staged(staged, OUT_OF_RESOURCES)
        except (OSError, BlobNotFoundError) as error:
            logs.get_logger().error(FAILED, **logs.failure(error))
            self._fail_staged(staged, PROCESSING_FAILURE)
        else:
            INSTANCE_BYTES.inc(staged.ref.size_bytes)
            count_instance(0)
            self._outcome.stored.append((staged, what))

    def _fail_staged(self, staged: StagedInstance, reason: int) -> None:
        count_instance(reason)
        found = staged.attributes
        self._outcome.failed.append(Failed(found.sop_class_uid, found.sop_instance_uid, reason))

    def _fail(self, head: bytearray, reason: int) -> None:
        count_instance(reason)
        try:
            announced, _ = read_head(bytes(head))
        except DicomError:
            self._outcome.failed.append(Failed("", "", reason))
        else:
            uids = announced.sop_class_uid, announced.sop_instance_uid
            self._outcome.failed.append(Failed(*uids, reason))


async def _with_head(content: AsyncIterator[bytes], head: bytearray) -> AsyncIterator[bytes]:
    """Pass content on and keep its beginning, which names what is refused."""
    async for piece in content:
        if len(head) < _HEAD_BYTES:
            head += piece[: _HEAD_BYTES - len(head)]
        yield piece


def _require_json(request: web.Request) -> None:
    accept = request.headers.get("Accept", "")
    if "dicom+xml" in accept and "json" not in accept and "*" not in accept:
        raise not_acceptable("The outcome is given as application/dicom+json.")


def _answer(request: web.Request, outcome: StowOutcome, study: str) -> web.Response:
    body = json.dumps(outcome.to_json(root_url(request), study)).encode()
    headers = {"Cache-Control": "no-store"}
    if outcome.status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "60"
    return web.Response(
        status=outcome.status.value, body=body, content_type=DICOM_JSON, headers=headers
    )
