"""The flight recorder: what the last associations said to us, and we to them, for support.

No pixel, no data set, no identifier of a patient or an instance: kinds of messages, SOP classes,
lengths, statuses and times.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from gateway.dimse import commands
from gateway.dimse.commands import Command, Reply
from gateway.dimse.negotiation import ContextResult
from gateway.dimse.pdu import AssociateRequest

_NAMES: Final = {
    commands.C_STORE_RQ: "C-STORE",
    commands.C_GET_RQ: "C-GET",
    commands.C_FIND_RQ: "C-FIND",
    commands.C_MOVE_RQ: "C-MOVE",
    commands.C_ECHO_RQ: "C-ECHO",
    commands.N_EVENT_REPORT_RQ: "N-EVENT-REPORT",
    commands.N_GET_RQ: "N-GET",
    commands.N_SET_RQ: "N-SET",
    commands.N_ACTION_RQ: "N-ACTION",
    commands.N_CREATE_RQ: "N-CREATE",
    commands.N_DELETE_RQ: "N-DELETE",
}
OPEN: Final = "OPEN"


@dataclass(slots=True)
class Traffic:
    """A message, or a PDU without one.

    Attributes:
        offset_s: Time since the association was asked for, in seconds.
        received: Whether it came from the peer.
        kind: "C-STORE-RQ", "A-ASSOCIATE-AC" ...
        context_id: Presentation context; 0 for none.
        message_id: Message ID, or that of the request that is answered.
        status: Status (0000,0900) of a response.
        sop_class_uid: SOP class of the context; "" for none.
        pdu_count: PDUs that it took.
        byte_count: Bytes of their variable fields.
    """

    offset_s: float
    received: bool
    kind: str
    context_id: int = 0
    message_id: int = 0
    status: int | None = None
    sop_class_uid: str = ""
    pdu_count: int = 1
    byte_count: int = 0


@dataclass(slots=True)
class AssociationRecord:
    """One association.

    Attributes:
        association_id: Our id of it, UUIDv7; "" where it was rejected.
        begin_time: When it was asked for.
        calling_ae_title: What the peer calls itself.
        called_ae_title: What it called us.
        peer_address: Address without port.
        tls: Version of TLS; "" for plain TCP.
        max_pdu_length: Longest P-DATA-TF variable field that the peer takes; 0 is unlimited.
        contexts: Answer to each presentation context.
        traffic: The last messages.
        message_count: All messages.
        outcome: "RELEASED", "REJECTED", the rule that was broken ...; "OPEN" while it lasts.
        duration_s: How long it lasted, in seconds.
    """

    begin_time: datetime
    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    tls: str
    max_pdu_length: int
    traffic: deque[Traffic]
    association_id: str = ""
    contexts: Sequence[ContextResult] = ()
    message_count: int = 0
    outcome: str = OPEN
    duration_s: float = 0.0
    _began: float = field(default_factory=time.monotonic, repr=False)

    def pdu(self, kind: str, byte_count: int, *, received: bool) -> None:
        """Note a PDU that carries no message."""
        self.traffic.append(Traffic(self._offset(), received, kind, byte_count=byte_count))

    def message(
        self,
        context: ContextResult | None,
        command: Command,
        *,
        received: bool,
        pdu_count: int,
        byte_count: int,
        status: int | None = None,
    ) -> Traffic:
        """Note a message, and return what was noted.

        Args:
            context: Its presentation context.
            command: Its command set; of a response of ours that of the request.
            received: Whether it came from the peer.
            pdu_count: PDUs that it took.
            byte_count: Bytes of their variable fields.
            status: Status of a response of ours.
        """
        self.message_count += 1
        traffic = Traffic(
            offset_s=self._offset(),
            received=received,
            kind=kind_of(command, answered=status is not None),
            context_id=context.context_id if context is not None else 0,
            message_id=command.message_id,
            status=command.status if command.is_response else status,
            sop_class_uid=context.abstract_syntax if context is not None else "",
            pdu_count=pdu_count,
            byte_count=byte_count,
        )
        self.traffic.append(traffic)
        return traffic

    def end(self, outcome: str) -> None:
        """Note how it ended."""
        self.outcome, self.duration_s = outcome, self._offset()

    def _offset(self) -> float:
        return time.monotonic() - self._began


class Counted(Protocol):
    """Where PDUs are counted as they come."""

    pdu_count: int
    byte_count: int


class MessageLog:
    """Notes the messages of one association.

    Args:
        record: Where they are noted.
        contexts: Accepted presentation contexts by id.
        inbox: Counts what comes.
    """

    def __init__(
        self, record: AssociationRecord, contexts: Mapping[int, ContextResult], inbox: Counted
    ) -> None:
        self._record = record
        self._contexts = contexts
        self._inbox = inbox
        self._noted = (0, 0)
        self._last: Traffic | None = None

    def arrived(self, context_id: int, command: Command) -> None:
        """Note a command set that came."""
        pdu_count, byte_count = self._since()
        self._last = self._record.message(
            self._contexts.get(context_id),
            command,
            received=True,
            pdu_count=pdu_count,
            byte_count=byte_count,
        )

    def answered(self, context_id: int, command: Command, reply: Reply) -> None:
        """Note a response of ours, and the data set that the request had."""
        if self._last is not None:
            pdu_count, byte_count = self._since()
            self._last.pdu_count += pdu_count
            self._last.byte_count += byte_count
        self._record.message(
            self._contexts.get(context_id),
            command,
            received=False,
            pdu_count=2 if reply.data_set else 1,
            byte_count=len(reply.data_set),
            status=reply.status.code,
        )

    def asked(self, kind: str, byte_count: int) -> None:
        """Note a request of ours."""
        self._record.pdu(kind, byte_count, received=False)

    def _since(self) -> tuple[int, int]:
        before = self._noted
        self._noted = (self._inbox.pdu_count, self._inbox.byte_count)
        return self._noted[0] - before[0], self._noted[1] - before[1]


class FlightRecorder:
    """Keeps the last associations in memory.

    Args:
        most: How many.
        most_messages: Messages of each, the last ones.
    """

    def __init__(self, most: int = 100, most_messages: int = 50) -> None:
        self._records: deque[AssociationRecord] = deque(maxlen=most)
        self._most_messages = most_messages

    def begin(self, request: AssociateRequest, peer_address: str, tls: str) -> AssociationRecord:
        """Return the record of an association that was just asked for."""
        record = AssociationRecord(
            begin_time=datetime.now(UTC),
            calling_ae_title=request.calling_ae_title,
            called_ae_title=request.called_ae_title,
            peer_address=peer_address,
            tls=tls,
            max_pdu_length=request.max_pdu_length,
            traffic=deque(maxlen=self._most_messages),
        )
        self._records.append(record)
        return record

    def recent(self, most: int) -> list[AssociationRecord]:
        """Return the last associations, the latest first."""
        records = list(self._records)
        return records[: -most - 1 : -1]


def kind_of(command: Command, *, answered: bool = False) -> str:
    """Return the name of a command, or of our answer to it."""
    if command.field == commands.C_CANCEL_RQ:
        return "C-CANCEL-RQ"
    name = command_name(command.field & ~commands.RESPONSE)
    return f"{name}-{'RSP' if answered or command.is_response else 'RQ'}"


def command_name(command_field: int) -> str:
    """Return the name of a request, such as "C-FIND"."""
    return _NAMES.get(command_field, "UNKNOWN")
