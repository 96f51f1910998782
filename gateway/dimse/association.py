"""One association, from the first byte of its connection to the last (PS3.8 section 9.2)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from gateway.dimse import pdu
from gateway.dimse.admission import Admission
from gateway.dimse.allowed import AllowList
from gateway.dimse.commands import (
    C_ECHO_RQ,
    C_STORE_RQ,
    N_EVENT_REPORT_RQ,
    SUCCESS,
    Command,
    Reply,
    Status,
)
from gateway.dimse.connection import Connection
from gateway.dimse.denials import ASSOCIATE
from gateway.dimse.errors import (
    NotDicomPeerError,
    PeerGoneError,
    PeerSilentError,
    ProtocolError,
    ReleasedError,
)
from gateway.dimse.exchange import serve
from gateway.dimse.inbox import InboxLimits
from gateway.dimse.link import Link
from gateway.dimse.negotiation import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    LOCAL_LIMIT_EXCEEDED,
    USER_NOT_IDENTIFIED,
    VERIFICATION,
    Rejection,
    accepted,
    encode_accept,
    is_stored,
    negotiate,
    rejection,
)
from gateway.dimse.recorder import AssociationRecord
from gateway.dimse.service import Request, Services
from gateway.metrics import ASSOCIATIONS_OPEN, count_association, count_instance
from gateway.source import Door, Source
from services.runtime import logs
from services.runtime.ids import new_id

ENDED: Final = "association.ended"
_SOP_CLASS_NOT_SUPPORTED: Final = Status(0x0122, "no such service in this context")
_UNRECOGNIZED_OPERATION: Final = Status(0x0211, "not offered")
_OUT_OF_RESOURCES: Final = Status(0xA700, "the identifier is too large")
_RESOURCE_LIMITATION: Final = Status(0x0213, "the data set is too large")
_AE_TITLES: Final = slice(4, 36)
_RELEASE_BYTES: Final = 4
_DENIALS: Final = {
    CALLED_AE_TITLE_NOT_RECOGNIZED: "CALLED_AE_TITLE",
    CALLING_AE_TITLE_NOT_RECOGNIZED: "CALLING_AE_TITLE",
    USER_NOT_IDENTIFIED: "USER_IDENTITY",
}
"""Rejections of peers that may not associate, rather than cannot."""
_LONGEST_FAREWELL_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class AssociationSettings:
    """How associations are conducted.

    Attributes:
        ae_title: The called AE title that is required; None lets any be called.
        negotiate_timeout_s: Time from connecting to a whole A-ASSOCIATE-RQ.
        inbox: What a peer may send afterwards.
        max_identifier_bytes: Largest data set of a request other than C-STORE.
        allowed: Who may associate.
    """

    ae_title: str | None
    negotiate_timeout_s: float
    inbox: InboxLimits
    max_identifier_bytes: int = 4 << 20
    allowed: AllowList = field(default_factory=AllowList)


class Association:
    """Serves one connection.

    Args:
        connection: The connection, just made.
        settings: How it is conducted.
        admission: Gives it its place.
        services: What it is offered.
    """

    def __init__(
        self,
        connection: Connection,
        settings: AssociationSettings,
        admission: Admission,
        services: Services,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._admission = admission
        self._services = services
        self._stored_count = 0
        self._last_words = b""
        self._record: AssociationRecord | None = None
        self._busy = self._draining = self._rejected = False

    async def run(self) -> None:
        """Serve until the connection ends; raises nothing that a peer can cause."""
        rule = "STOPPED"
        try:
            await self._serve()
            rule = "REJECTED" if self._rejected else rule
        except ReleasedError:
            rule = "RELEASED"
            self._last_words = pdu.encode_release_response()
        except ProtocolError as error:
            rule = error.rule
            self._last_words = pdu.encode_abort(error.reason)
        except PeerSilentError:
            rule = "SILENT"
            self._last_words = pdu.encode_abort(0)
        except PeerGoneError:
            rule = "GONE"
        except NotDicomPeerError:
            rule = "NOT_DICOM"
            self._connection.cut()
        finally:
            self._admission.leave(self._connection)
            self._connection.close(_LONGEST_FAREWELL_S, self._last_words)
            self._end_record(rule)
            count_association(rule)
            logs.get_logger().info(ENDED, rule=rule, count=self._stored_count)

    def drain(self) -> None:
        """End after the message that is being answered, or now if there is none."""
        self._draining = True
        if not self._busy:
            self._connection.cut()

    async def _serve(self) -> None:
        try:
            async with asyncio.timeout(self._settings.negotiate_timeout_s):
                request, titles = await self._request()
        except TimeoutError:
            raise NotDicomPeerError from None
        self._admission.leave(self._connection)
        address = self._connection.peer_address
        record = self._services.recorder.begin(request, address, self._connection.tls_version)
        self._record = record
        refusal = self._refusal(request, address)
        if refusal is None and not self._admission.enter(address):
            refusal = LOCAL_LIMIT_EXCEEDED
        if refusal is not None:
            await self._reject(refusal)
            return
        try:
            with ASSOCIATIONS_OPEN.track_inprogress():
                await self._identified(request, titles)
        finally:
            self._admission.exit(address)

    def _refusal(self, request: pdu.AssociateRequest, address: str) -> Rejection | None:
        refusal = rejection(request, self._settings.ae_title)
        if refusal is None and not self._settings.allowed.allows(request.calling_ae_title, address):
            refusal = CALLING_AE_TITLE_NOT_RECOGNIZED
        self._note(refusal, request.calling_ae_title)
        return refusal

    def _note(self, refusal: Rejection | None, ae_title: str) -> None:
        if refusal in _DENIALS:
            self._services.denials.note(ASSOCIATE, ae_title, _DENIALS[refusal])

    def _end_record(self, rule: str) -> None:
        if self._record is None:
            return
        if rule == "RELEASED":
            self._record.pdu("A-RELEASE-RQ", _RELEASE_BYTES, received=True)
        elif self._last_words:
            self._record.pdu("A-ABORT", _RELEASE_BYTES, received=False)
        self._record.end(rule)

    async def _request(self) -> tuple[pdu.AssociateRequest, bytes]:
        timeout_s = self._settings.negotiate_timeout_s
        if (await self._connection.read(1, timeout_s))[0] != pdu.ASSOCIATE_RQ:
            raise NotDicomPeerError
        rest = await self._connection.read(pdu.HEADER_BYTES - 1, timeout_s)
        length = int.from_bytes(rest[1:], "big")
        if length > pdu.MAX_ASSOCIATE_BYTES:
            raise ProtocolError("ASSOCIATE_TOO_LONG", pdu.INVALID_PARAMETER)
        body = await self._connection.read(length, timeout_s)
        return pdu.decode_associate_request(body), bytes(body[_AE_TITLES])

    async def _reject(self, refusal: Rejection) -> None:
        self._rejected = True
        reject = pdu.encode_reject(refusal.result, refusal.source, refusal.reason)
        if self._record is not None:
            self._record.pdu("A-ASSOCIATE-RJ", len(reject) - pdu.HEADER_BYTES, received=False)
        await self._connection.write(reject, self._settings.inbox.pdu_timeout_s)

    async def _identified(self, request: pdu.AssociateRequest, titles: bytes) -> None:
        refusal = await self._services.identification.rejection(request.identity)
        if refusal is None:
            await self._accepted(request, titles)
        else:
            self._note(refusal, request.calling_ae_title)
            await self._reject(refusal)

    async def _accepted(self, request: pdu.AssociateRequest, titles: bytes) -> None:
        results = negotiate(request, self._services.offered)
        limits = self._settings.inbox
        told = self._services.identification.answers(request.identity)
        answer = encode_accept(
            titles[:16], titles[16:], results, limits.max_pdu_length, identified=told
        )
        await self._connection.write(answer, limits.pdu_timeout_s)
        source = Source(
            door=Door.DIMSE,
            association_id=new_id(),
            calling_ae_title=request.calling_ae_title,
            called_ae_title=request.called_ae_title,
            peer_address=self._connection.peer_address,
        )
        record = self._record
        if record is not None:
            record.association_id, record.contexts = source.association_id, results
            record.pdu("A-ASSOCIATE-AC", len(answer) - pdu.HEADER_BYTES, received=False)
        contexts = accepted(results)
        link = Link(self._connection, contexts, limits, request.max_pdu_length, record)
        released = False
        try:
            await self._messages(source, link)
        except ReleasedError:
            released = True
            raise
        finally:
            await link.close()
            await self._closed(source, released=released)

    async def _closed(self, source: Source, *, released: bool) -> None:
        if self._stored_count:
            await self._services.storage.closed(
                source, released=released, stored_count=self._stored_count
            )

    async def _messages(self, source: Source, link: Link) -> None:
        while not self._draining:
            context_id, command = await link.next_request()
            self._busy = True
            if command.field == C_STORE_RQ:
                reply = Reply(await self._store(source, link, context_id, command))
            else:
                reply = await self._serve_request(source, link, context_id, command)
            await link.respond(context_id, command, reply)
            self._busy = False
        self._last_words = pdu.encode_abort(0)

    async def _store(self, source: Source, link: Link, context_id: int, command: Command) -> Status:
        context = link.contexts[context_id]
        if not command.has_data_set:
            raise ProtocolError("NO_DATA_SET", pdu.INVALID_PARAMETER)
        async with aclosing(link.data_set(context_id)) as data_set:
            status = _SOP_CLASS_NOT_SUPPORTED
            if is_stored(context.abstract_syntax):
                storage = self._services.storage
                status = await storage.store(source, context, command, data_set)
                count_instance(status.code)
                self._stored_count += status.code == SUCCESS.code
            async for _ in data_set:
                pass
        return status

    async def _serve_request(
        self, source: Source, link: Link, context_id: int, command: Command
    ) -> Reply:
        context = link.contexts[context_id]
        most = self._settings.max_identifier_bytes
        data = await _whole(link, context_id, most) if command.has_data_set else b""
        if command.field == C_ECHO_RQ:
            verifies = context.abstract_syntax == VERIFICATION
            return Reply(SUCCESS if verifies else _SOP_CLASS_NOT_SUPPORTED)
        if data is None:
            is_composite = command.field < N_EVENT_REPORT_RQ
            return Reply(_OUT_OF_RESOURCES if is_composite else _RESOURCE_LIMITATION)
        provider = self._services.find(context.abstract_syntax, command.field)
        if provider is None:
            return Reply(_UNRECOGNIZED_OPERATION)
        return await serve(provider, Request(source, context, command, data), link)


async def _whole(link: Link, context_id: int, most: int) -> bytes | None:
    """Return a data set; None when it is longer than that."""
    data = bytearray()
    size = 0
    async with aclosing(link.data_set(context_id)) as data_set:
        async for fragment in data_set:
            size += len(fragment)
            if size <= most:
                data += fragment
    return bytes(data) if size <= most else None
