"""What arrives over an established association: command sets and fragments of data sets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterator
from dataclasses import dataclass

from gateway.dimse import pdu
from gateway.dimse.commands import MAX_COMMAND_BYTES, Command, decode_command
from gateway.dimse.connection import Connection
from gateway.dimse.errors import PeerGoneError, ProtocolError, ReleasedError

_TOLERANCE_BYTES = 12
"""Peers differ in whether the maximum length counts the headers around a fragment."""


@dataclass(frozen=True, slots=True)
class InboxLimits:
    """Bounds on what a peer may send.

    Attributes:
        max_pdu_length: What we said we take, in bytes.
        max_object_bytes: Largest data set.
        idle_timeout_s: Longest silence between PDUs.
        pdu_timeout_s: Longest time for one PDU to arrive once begun.
    """

    max_pdu_length: int
    max_object_bytes: int
    idle_timeout_s: float
    pdu_timeout_s: float


class Inbox:
    """Reads DIMSE messages fragment by fragment; never holds a data set.

    Args:
        connection: The established association's connection.
        context_ids: Accepted presentation contexts.
        limits: What the peer may send.

    Attributes:
        pdu_count: P-DATA-TF PDUs that came.
        byte_count: Bytes of their variable fields.
    """

    def __init__(
        self, connection: Connection, context_ids: Collection[int], limits: InboxLimits
    ) -> None:
        self._connection = connection
        self._context_ids = context_ids
        self._limits = limits
        self._pdvs: Iterator[pdu.Pdv] = iter(())
        self.pdu_count = self.byte_count = 0

    async def command(self, idle_timeout_s: float | None = None) -> tuple[int, Command]:
        """Return the next command set and its presentation context id.

        Args:
            idle_timeout_s: Longest silence before it; None is that of the limits.

        Raises:
            ReleasedError: The peer is done.
            PeerGoneError, PeerSilentError, ProtocolError: It is gone or misbehaves.
        """
        data = bytearray()
        context_id = 0
        while True:
            value = await self._next(idle_timeout_s)
            if not value.is_command or (context_id and value.context_id != context_id):
                raise ProtocolError("COMMAND_EXPECTED", pdu.UNEXPECTED_PDU)
            context_id = value.context_id
            data += value.data
            if len(data) > MAX_COMMAND_BYTES:
                raise ProtocolError("COMMAND_TOO_LONG", pdu.INVALID_PARAMETER)
            if value.is_last:
                return context_id, decode_command(bytes(data))

    async def data_set(self, context_id: int) -> AsyncGenerator[memoryview, None]:
        """Yield the fragments of the data set that follows a command, each valid until the next.

        Raises:
            PeerGoneError, PeerSilentError, ProtocolError: It is cut off.
        """
        size = 0
        while True:
            try:
                value = await self._next()
            except ReleasedError:
                raise ProtocolError("RELEASED_WITHIN_MESSAGE", pdu.UNEXPECTED_PDU) from None
            if value.is_command or value.context_id != context_id:
                raise ProtocolError("DATA_SET_EXPECTED", pdu.UNEXPECTED_PDU)
            size += len(value.data)
            if size > self._limits.max_object_bytes:
                raise ProtocolError("OBJECT_TOO_LARGE")
            yield value.data
            if value.is_last:
                return

    async def _next(self, idle_timeout_s: float | None = None) -> pdu.Pdv:
        while True:
            value = next(self._pdvs, None)
            if value is None:
                self._pdvs = pdu.pdvs(await self._data_pdu(idle_timeout_s))
                continue
            if value.context_id not in self._context_ids:
                raise ProtocolError("CONTEXT_NOT_ACCEPTED", pdu.INVALID_PARAMETER)
            return value

    async def _data_pdu(self, idle_timeout_s: float | None) -> memoryview:
        idle_s = idle_timeout_s or self._limits.idle_timeout_s
        connection = self._connection
        if connection.buffered_bytes >= pdu.HEADER_BYTES:
            header = connection.take(pdu.HEADER_BYTES)
        else:
            header = await connection.read(pdu.HEADER_BYTES, idle_s)
        kind, length = pdu.decode_header(header)
        if kind == pdu.DATA_TF:
            if length > self._limits.max_pdu_length + _TOLERANCE_BYTES:
                raise ProtocolError("PDU_TOO_LONG", pdu.INVALID_PARAMETER)
            self.pdu_count += 1
            self.byte_count += length
            return await connection.read(length, self._limits.pdu_timeout_s)
        if kind == pdu.ABORT:
            raise PeerGoneError
        if kind == pdu.RELEASE_RQ and length == 4:
            await connection.read(length, self._limits.pdu_timeout_s)
            raise ReleasedError
        known = kind in pdu.KNOWN_TYPES
        reason = pdu.UNEXPECTED_PDU if known else pdu.UNRECOGNIZED_PDU
        raise ProtocolError("PDU_UNEXPECTED", reason)
