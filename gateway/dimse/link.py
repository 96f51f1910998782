"""Messages of one association, both ways: requests, responses and C-CANCEL (PS3.7 section 8)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import Final

from gateway.dimse import pdu
from gateway.dimse.commands import (
    C_CANCEL_RQ,
    Command,
    InstanceName,
    MoveOriginator,
    Reply,
    encode_event_report,
    encode_response,
    encode_store_request,
)
from gateway.dimse.connection import Connection
from gateway.dimse.errors import PeerGoneError, PeerSilentError
from gateway.dimse.fragments import encode_data_set, encode_message
from gateway.dimse.inbox import Inbox, InboxLimits
from gateway.dimse.negotiation import ContextResult
from gateway.dimse.recorder import AssociationRecord, MessageLog

_LONGEST_PDU: Final = 128 << 10
_SHORTEST_PDU: Final = 128
_MESSAGE_IDS: Final = 1 << 16
_RUN_BYTES: Final = 256 << 10
"""Of a data set, given to the socket at once."""
_WHILE_SERVED_S: Final = 24 * 3600.0
"""A peer that waits for us owes nothing."""

Arrival = tuple[int, Command]
"""Presentation context id and command set of a request."""


class Link:
    """Reads requests one by one, and meanwhile takes what answers or cancels.

    Args:
        connection: Of the established association.
        contexts: Accepted presentation contexts by id.
        limits: What the peer may send.
        max_pdu_length: Longest P-DATA-TF variable field that the peer takes; 0 is unlimited.
        record: Of the flight recorder.
    """

    def __init__(
        self,
        connection: Connection,
        contexts: Mapping[int, ContextResult],
        limits: InboxLimits,
        max_pdu_length: int,
        record: AssociationRecord | None = None,
    ) -> None:
        self.contexts = contexts
        self._connection = connection
        self._limits = limits
        self._inbox = Inbox(connection, contexts, limits)
        self._log = MessageLog(record, contexts, self._inbox) if record is not None else None
        self._max_pdu_length = max(_SHORTEST_PDU, min(max_pdu_length or _LONGEST_PDU, _LONGEST_PDU))
        self._ahead: asyncio.Task[Arrival] | None = None
        self._writing = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[Command]] = {}
        self._last_message_id = 0
        self._cancelled: set[int] = set()
        self._closed = False

    def data_set(self, context_id: int) -> AsyncGenerator[memoryview, None]:
        """See ``Inbox.data_set``."""
        return self._inbox.data_set(context_id)

    async def next_request(self) -> Arrival:
        """Return the next request and its presentation context id.

        Raises:
            ReleasedError: The peer is done.
            PeerGoneError, PeerSilentError, ProtocolError: It is gone or misbehaves.
        """
        ahead = self._ahead
        if ahead is None:
            return await self._arrival(None)
        await asyncio.wait((ahead,), timeout=self._limits.idle_timeout_s)
        if not ahead.done():
            raise PeerSilentError
        self._ahead = None
        return ahead.result()

    def look_ahead(self) -> asyncio.Task[Arrival]:
        """Return the task that reads the next request while another is being served.

        It takes the time the service takes; cancels and responses are noted on the way. What it
        brings is returned by `next_request`.
        """
        if self._ahead is None:
            self._ahead = asyncio.create_task(self._arrival(_WHILE_SERVED_S))
        return self._ahead

    def taken(self) -> None:
        """Forget what `look_ahead` brought; it is being dealt with."""
        self._ahead = None

    def begin(self, command: Command) -> None:
        """Forget C-CANCELs that came for earlier requests."""
        self._cancelled.discard(command.message_id)

    def is_cancelled(self, command: Command) -> bool:
        """Tell whether a C-CANCEL came for a request since it began."""
        return command.message_id in self._cancelled

    async def respond(self, context_id: int, command: Command, reply: Reply) -> None:
        """Send a response.

        Raises:
            PeerGoneError, PeerSilentError: The peer does not take it.
        """
        encoded = encode_response(command, reply)
        message = encode_message(context_id, encoded, reply.data_set, self._max_pdu_length)
        async with self._writing:
            await self._write(message)
        if self._log is not None:
            self._log.answered(context_id, command, reply)

    async def store(
        self,
        context_id: int,
        instance: InstanceName,
        data_set: AsyncIterator[bytes],
        originator: MoveOriginator | None = None,
    ) -> int:
        """Send an instance and return the status the peer gives it.

        Args:
            context_id: Presentation context.
            instance: What it is.
            data_set: Its data set, not empty. An error that it raises before its first bytes
                leaves the association as it was; a later one ends it.
            originator: Who asked for it by C-MOVE.

        Raises:
            PeerGoneError: The association ended before.
            PeerSilentError: The peer takes or answers nothing.
        """
        number = self._next_message_id()
        command = encode_store_request(
            number, instance.sop_class_uid, instance.sop_instance_uid, originator
        )
        return (await self._call(context_id, number, "C-STORE-RQ", command, data_set)).status

    async def report(
        self, context_id: int, instance: InstanceName, event_type: int, data_set: bytes
    ) -> int:
        """Send an N-EVENT-REPORT and return the status the peer gives it.

        Raises:
            PeerGoneError, PeerSilentError: As `store`.
        """
        number = self._next_message_id()
        command = encode_event_report(
            number, instance.sop_class_uid, instance.sop_instance_uid, event_type
        )
        sent = self._call(context_id, number, "N-EVENT-REPORT-RQ", command, _once(data_set))
        return (await sent).status

    async def _call(
        self,
        context_id: int,
        message_id: int,
        kind: str,
        command: bytes,
        data_set: AsyncIterator[bytes],
    ) -> Command:
        # Not even the command is sent before there is something to send.
        first = await anext(aiter(data_set), b"")
        future: asyncio.Future[Command] = asyncio.get_running_loop().create_future()
        self._waiting[message_id] = future
        try:
            if self._closed:
                raise PeerGoneError
            if self._log is not None:
                self._log.asked(kind, len(command))
            async with self._writing:
                await self._write(encode_message(context_id, command, b"", self._max_pdu_length))
                await self._write_data_set(context_id, first, data_set)
            async with asyncio.timeout(self._limits.idle_timeout_s):
                return await future
        except TimeoutError:
            raise PeerSilentError from None
        finally:
            del self._waiting[message_id]

    def _next_message_id(self) -> int:
        self._last_message_id = self._last_message_id % (_MESSAGE_IDS - 1) + 1
        return self._last_message_id

    def lose(self) -> None:
        """Tell whoever waits for a response, or will, that the peer is gone."""
        self._closed = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(PeerGoneError())

    async def close(self) -> None:
        """Stop reading, and `lose` the peer."""
        self.lose()
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()
            # Whatever it brought, or failed with, nobody is left to serve.
            await asyncio.wait((ahead,))
            with suppress(asyncio.CancelledError):
                ahead.exception()

    async def _arrival(self, idle_timeout_s: float | None) -> Arrival:
        while True:
            context_id, command = await self._inbox.command(idle_timeout_s)
            if self._log is not None:
                self._log.arrived(context_id, command)
            if command.field == C_CANCEL_RQ:
                self._cancelled.add(command.message_id)
            elif command.is_response:
                await self._answered(context_id, command)
            else:
                return context_id, command

    async def _answered(self, context_id: int, command: Command) -> None:
        if command.has_data_set:
            async with aclosing(self._inbox.data_set(context_id)) as data_set:
                async for _ in data_set:
                    pass
        future = self._waiting.get(command.message_id)
        if future is not None and not future.done():
            future.set_result(command)

    async def _write_data_set(
        self, context_id: int, first: bytes, rest: AsyncIterator[bytes]
    ) -> None:
        step = self._max_pdu_length - pdu.PDV_HEADER_BYTES
        held = memoryview(first)
        try:
            async for chunk in rest:
                # At least a byte is kept: the last fragment says that it is the last.
                whole = max(len(held) - 1, 0) // step * step
                await self._write_fragments(context_id, held[:whole], step, is_last=False)
                held = memoryview(bytes(held[whole:]) + chunk)
        except BaseException:
            # The peer waits for the rest of the message, which will not come.
            self._connection.cut()
            raise
        await self._write_fragments(context_id, held, step, is_last=True)

    async def _write_fragments(
        self, context_id: int, data: memoryview, step: int, *, is_last: bool
    ) -> None:
        run = max(_RUN_BYTES // step, 1) * step
        for start in range(0, max(len(data), 1) if is_last else len(data), run):
            part = data[start : start + run]
            ends = is_last and start + run >= len(data)
            await self._write(encode_data_set(context_id, part, step, is_last=ends))

    async def _write(self, data: bytes) -> None:
        await self._connection.write(data, self._limits.pdu_timeout_s)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
