"""Command sets (PS3.7 section 6.3 and Annex E): Implicit VR Little Endian, group 0000 only."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.dimse.errors import ProtocolError
from gateway.dimse.pdu import INVALID_PARAMETER

MAX_COMMAND_BYTES: Final = 16 << 10
C_STORE_RQ: Final = 0x0001
C_GET_RQ: Final = 0x0010
C_FIND_RQ: Final = 0x0020
C_MOVE_RQ: Final = 0x0021
C_ECHO_RQ: Final = 0x0030
N_EVENT_REPORT_RQ: Final = 0x0100
N_GET_RQ: Final = 0x0110
N_SET_RQ: Final = 0x0120
N_ACTION_RQ: Final = 0x0130
N_CREATE_RQ: Final = 0x0140
N_DELETE_RQ: Final = 0x0150
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000
"""Added to the Command Field of a request, it is that of its response."""

MOVE_DESTINATION: Final = 0x0600
EVENT_TYPE_ID: Final = 0x1002
ACTION_TYPE_ID: Final = 0x1008
REMAINING: Final = 0x1020
COMPLETED: Final = 0x1021
FAILED: Final = 0x1022
WARNING: Final = 0x1023
"""Elements of group 0000 that single services need (PS3.7 Annex E)."""

_NO_DATA_SET: Final = 0x0101
_WITH_DATA_SET: Final = 0x0001
_MEDIUM: Final = 0x0000
_ELEMENT: Final = struct.Struct("<HHL")
_COMMENT_CHARS: Final = 64

_AFFECTED_SOP_CLASS: Final = 0x0002
_REQUESTED_SOP_CLASS: Final = 0x0003
_COMMAND_FIELD: Final = 0x0100
_MESSAGE_ID: Final = 0x0110
_RESPONDED_MESSAGE_ID: Final = 0x0120
_PRIORITY: Final = 0x0700
_DATA_SET_TYPE: Final = 0x0800
_STATUS: Final = 0x0900
_ERROR_COMMENT: Final = 0x0902
_AFFECTED_SOP_INSTANCE: Final = 0x1000
_REQUESTED_SOP_INSTANCE: Final = 0x1001
_ORIGINATOR_AE_TITLE: Final = 0x1030
_ORIGINATOR_MESSAGE_ID: Final = 0x1031


@dataclass(frozen=True, slots=True)
class Command:
    """A command set of a peer.

    Attributes:
        field: Command Field (0000,0100).
        message_id: Message ID (0000,0110), or of a response that of the request.
        has_data_set: Whether a data set follows.
        sop_class_uid: Affected or Requested SOP Class UID, "" if absent; not checked.
        sop_instance_uid: Affected or Requested SOP Instance UID, "" if absent; not checked.
        elements: Every value as it came, by element number.
    """

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str
    sop_instance_uid: str
    elements: Mapping[int, bytes] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def is_response(self) -> bool:
        """Whether it answers a request of ours."""
        return bool(self.field & RESPONSE)

    @property
    def status(self) -> int:
        """Status (0000,0900) of a response; FFFFH if absent."""
        return self.number(_STATUS, 0xFFFF)

    def number(self, element: int, default: int) -> int:
        """Return the value of an element of VR US."""
        value = self.elements.get(element, b"")
        return int.from_bytes(value, "little") if len(value) == 2 else default

    def text(self, element: int, max_bytes: int = 64) -> str:
        """Return the start of a value as text, without padding; not checked."""
        return self.elements.get(element, b"")[:max_bytes].decode("latin-1").strip("\0 ")


@dataclass(frozen=True, slots=True)
class Status:
    """Status (0000,0900) of a response and an Error Comment (0000,0902) of ours."""

    code: int
    comment: str = ""


SUCCESS: Final = Status(0x0000)


@dataclass(frozen=True, slots=True)
class InstanceName:
    """SOP class and SOP Instance UID."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A response.

    Attributes:
        status: Its status.
        data_set: The encoded data set that goes with it, in the context's transfer syntax.
        sop_instance_uid: Affected SOP Instance UID; "" sends that of the request back.
        numbers: Further elements of VR US by element number, e.g. ``REMAINING``.
    """

    status: Status
    data_set: bytes = b""
    sop_instance_uid: str = ""
    numbers: Mapping[int, int] = dataclasses.field(default_factory=dict)


def decode_command(data: bytes) -> Command:
    """Decode a command set.

    Raises:
        ProtocolError: It is malformed or lacks what every command has.
    """
    values = _elements(data)
    command_field = _short(values, _COMMAND_FIELD)
    answers = command_field & RESPONSE or command_field == C_CANCEL_RQ
    return Command(
        field=command_field,
        message_id=_short(values, _RESPONDED_MESSAGE_ID if answers else _MESSAGE_ID, default=0),
        has_data_set=_short(values, _DATA_SET_TYPE) != _NO_DATA_SET,
        sop_class_uid=_uid(values, _AFFECTED_SOP_CLASS) or _uid(values, _REQUESTED_SOP_CLASS),
        sop_instance_uid=(
            _uid(values, _AFFECTED_SOP_INSTANCE) or _uid(values, _REQUESTED_SOP_INSTANCE)
        ),
        elements=values,
    )


def encode_response(command: Command, reply: Reply) -> bytes:
    """Return the command set of the response to a request (PS3.7 sections 9.3 and 10.3).

    UIDs are sent back as they came, if they are of ASCII.
    """
    kind = _WITH_DATA_SET if reply.data_set else _NO_DATA_SET
    elements = {
        _COMMAND_FIELD: _us(command.field | RESPONSE),
        _RESPONDED_MESSAGE_ID: _us(command.message_id),
        _DATA_SET_TYPE: _us(kind),
        _STATUS: _us(reply.status.code),
        **{number: _us(value) for number, value in reply.numbers.items()},
    }
    if command.sop_class_uid.isascii():
        elements[_AFFECTED_SOP_CLASS] = _padded(command.sop_class_uid, b"\0")
    if reply.status.comment:
        elements[_ERROR_COMMENT] = _padded(reply.status.comment[:_COMMENT_CHARS], b" ")
    instance = reply.sop_instance_uid or command.sop_instance_uid
    if instance and instance.isascii():
        elements[_AFFECTED_SOP_INSTANCE] = _padded(instance, b"\0")
    return _command(elements)


@dataclass(frozen=True, slots=True)
class MoveOriginator:
    """Who asked for a C-STORE by C-MOVE (PS3.7 section 9.1.1.1).

    Attributes:
        ae_title: Its AE title.
        message_id: Message ID of its C-MOVE-RQ.
    """

    ae_title: str
    message_id: int


def encode_store_request(
    message_id: int,
    sop_class_uid: str,
    sop_instance_uid: str,
    originator: MoveOriginator | None = None,
) -> bytes:
    """Return the command set of a C-STORE-RQ of medium priority (PS3.7 section 9.3.1.1)."""
    elements = {
        _AFFECTED_SOP_CLASS: _padded(sop_class_uid, b"\0"),
        _COMMAND_FIELD: _us(C_STORE_RQ),
        _MESSAGE_ID: _us(message_id),
        _PRIORITY: _us(_MEDIUM),
        _DATA_SET_TYPE: _us(_WITH_DATA_SET),
        _AFFECTED_SOP_INSTANCE: _padded(sop_instance_uid, b"\0"),
    }
    if originator is not None:
        elements[_ORIGINATOR_AE_TITLE] = _padded(originator.ae_title, b" ")
        elements[_ORIGINATOR_MESSAGE_ID] = _us(originator.message_id)
    return _command(elements)


def encode_event_report(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, event_type: int
) -> bytes:
    """Return the command set of an N-EVENT-REPORT-RQ with a data set (PS3.7 section 10.3.1.1)."""
    return _command(
        {
            _AFFECTED_SOP_CLASS: _padded(sop_class_uid, b"\0"),
            _COMMAND_FIELD: _us(N_EVENT_REPORT_RQ),
            _MESSAGE_ID: _us(message_id),
            _DATA_SET_TYPE: _us(_WITH_DATA_SET),
            _AFFECTED_SOP_INSTANCE: _padded(sop_instance_uid, b"\0"),
            EVENT_TYPE_ID: _us(event_type),
        }
    )


def _elements(data: bytes) -> dict[int, bytes]:
    values: dict[int, bytes] = {}
    offset = 0
    while offset < len(data):
        if len(data) - offset < _ELEMENT.size:
            raise ProtocolError("COMMAND_CUT", INVALID_PARAMETER)
        group, element, length = _ELEMENT.unpack_from(data, offset)
        start = offset + _ELEMENT.size
        offset = start + length
        if group != 0 or offset > len(data):
            raise ProtocolError("COMMAND_INVALID", INVALID_PARAMETER)
        values.setdefault(element, data[start:offset])
    return values


def _command(values: Mapping[int, bytes]) -> bytes:
    elements = b"".join(_element(number, value) for number, value in sorted(values.items()))
    return _element(0x0000, len(elements).to_bytes(4, "little")) + elements


def _short(values: dict[int, bytes], element: int, default: int | None = None) -> int:
    value = values.get(element, b"")
    if len(value) == 2:
        return int.from_bytes(value, "little")
    if default is None:
        raise ProtocolError("COMMAND_INCOMPLETE", INVALID_PARAMETER)
    return default


def _uid(values: dict[int, bytes], element: int) -> str:
    # One character more than a UID may have is enough to refuse it.
    return values.get(element, b"")[:66].decode("latin-1").rstrip("\0 ")


def _element(element: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0, element, len(value)) + value


def _us(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _padded(text: str, pad: bytes) -> bytes:
    value = text.encode("ascii", "replace")
    return value + pad * (len(value) % 2)
