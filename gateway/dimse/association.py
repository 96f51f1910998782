"""One association, from the first byte of its connection to the last (PS3.8 section 9.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.dimse import pdu
from gateway.dimse.admission import Admission
from gateway.dimse.commands import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_STORE_RQ,
    Command,
    Status,
    encode_response,
)
from gateway.dimse.connection import Connection
from gateway.dimse.errors import (
    NotDicomPeerError,
    PeerGoneError,
    PeerSilentError,
    ProtocolError,
    ReleasedError,
)
from gateway.dimse.inbox import Inbox, InboxLimits
from gateway.dimse.negotiation import (
    LOCAL_LIMIT_EXCEEDED,
    VERIFICATION,
    ContextResult,
    Rejection,
    accepted,
    encode_accept,
    negotiate,
    rejection,
)
from gateway.metrics import ASSOCIATIONS_OPEN, count_association, count_instance
from gateway.source import Door, Source
from services.runtime import logs
from services.runtime.ids import new_id

ENDED: Final = "association.ended"
SUCCESS: Final = Status(0x0000)
_SOP_CLASS_NOT_SUPPORTED: Final = Status(0x0122, "no such service in this context")
_UNRECOGNIZED_OPERATION: Final = Status(0x0211, "not offered")
_AE_TITLES: Final = slice(4, 36)
_LONGEST_FAREWELL_S: Final = 5.0


class StorageProvider(Protocol):
    """What is done with the instances that peers send."""

    async def store(
        self,
        source: Source,
        context: ContextResult,
        command: Command,
        data_set: AsyncIterator[memoryview],
    ) -> Status:
        """Take one instance and return its status; 0000H only once it is durable.

        What is left of ``data_set`` is passed over. Its errors are passed on.
        """
        ...

    async def closed(self, source: Source, *, released: bool, stored_count: int) -> None:
        """Learn that an association has ended."""
        ...


@dataclass(frozen=True, slots=True)
class AssociationSettings:
    """How associations are conducted.

    Attributes:
        ae_title: The called AE title that is required; None lets any be called.
        negotiate_timeout_s: Time from connecting to a whole A-ASSOCIATE-RQ.
        inbox: What a peer may send afterwards.
    """

    ae_title: str | None
    negotiate_timeout_s: float
    inbox: InboxLimits


class Association:
    """Serves one connection.

    Args:
        connection: The connection, just made.
        settings: How it is conducted.
        admission: Gives it its place.
        provider: Takes what it brings.
    """

    def __init__(
        self,
        connection: Connection,
        settings: AssociationSettings,
        admission: Admission,
        provider: StorageProvider,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._admission = admission
        self._provider = provider
        self._stored_count = 0
        self._last_words = b""
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
        refusal = rejection(request, self._settings.ae_title)
        address = self._connection.peer_address
        if refusal is None and not self._admission.enter(address):
            refusal = LOCAL_LIMIT_EXCEEDED
        if refusal is not None:
            await self._reject(refusal)
            return
        try:
            with ASSOCIATIONS_OPEN.track_inprogress():
                await self._accepted(request, titles)
        finally:
            self._admission.exit(address)

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
        await self._connection.write(reject, self._settings.inbox.pdu_timeout_s)

    async def _accepted(self, request: pdu.AssociateRequest, titles: bytes) -> None:
        results = negotiate(request)
        limits = self._settings.inbox
        answer = encode_accept(titles[:16], titles[16:], results, limits.max_pdu_length)
        await self._connection.write(answer, limits.pdu_timeout_s)
        source = Source(
            door=Door.DIMSE,
            association_id=new_id(),
            calling_ae_title=request.calling_ae_title,
            called_ae_title=request.called_ae_title,
            peer_address=self._connection.peer_address,
        )
        contexts = accepted(results)
        released = False
        try:
            await self._messages(source, contexts, Inbox(self._connection, contexts, limits))
        except ReleasedError:
            released = True
            raise
        finally:
            await self._closed(source, released=released)

    async def _closed(self, source: Source, *, released: bool) -> None:
        if self._stored_count:
            await self._provider.closed(source, released=released, stored_count=self._stored_count)

    async def _messages(
        self, source: Source, contexts: Mapping[int, ContextResult], inbox: Inbox
    ) -> None:
        while not self._draining:
            context_id, command = await inbox.command()
            self._busy = True
            if command.field == C_CANCEL_RQ:
                self._busy = False
                continue
            context = contexts[context_id]
            if command.has_data_set:
                async with aclosing(inbox.data_set(context_id)) as data_set:
                    status = await self._answer(source, context, command, data_set)
                    async for _ in data_set:
                        pass
            else:
                status = await self._answer(source, context, command, None)
            await self._respond(context_id, command, status)
            self._busy = False
        self._last_words = pdu.encode_abort(0)

    async def _answer(
        self,
        source: Source,
        context: ContextResult,
        command: Command,
        data_set: AsyncIterator[memoryview] | None,
    ) -> Status:
        verifies = context.abstract_syntax == VERIFICATION
        if command.field == C_ECHO_RQ:
            return SUCCESS if verifies else _SOP_CLASS_NOT_SUPPORTED
        if command.field != C_STORE_RQ:
            return _UNRECOGNIZED_OPERATION
        if verifies:
            return _SOP_CLASS_NOT_SUPPORTED
        if data_set is None:
            raise ProtocolError("NO_DATA_SET", pdu.INVALID_PARAMETER)
        status = await self._provider.store(source, context, command, data_set)
        count_instance(status.code)
        self._stored_count += status.code == SUCCESS.code
        return status

    async def _respond(self, context_id: int, command: Command, status: Status) -> None:
        response = pdu.encode_data(
            context_id, encode_response(command, status), is_command=True, is_last=True
        )
        await self._connection.write(response, self._settings.inbox.pdu_timeout_s)
