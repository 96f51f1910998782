"""Command sets (PS3.7 section 6.3 and Annex E): Implicit VR Little Endian, group 0000 only."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from gateway.dimse.errors import ProtocolError
from gateway.dimse.pdu import INVALID_PARAMETER

MAX_COMMAND_BYTES: Final = 16 << 10
C_STORE_RQ: Final = 0x0001
C_ECHO_RQ: Final = 0x0030
C_CANCEL_RQ: Final = 0x0FFF
_RESPONSE: Final = 0x8000
_NO_DATA_SET: Final = 0x0101
_ELEMENT: Final = struct.Struct("<HHL")
_COMMENT_CHARS: Final = 64

_AFFECTED_SOP_CLASS: Final = 0x0002
_COMMAND_FIELD: Final = 0x0100
_MESSAGE_ID: Final = 0x0110
_RESPONDED_MESSAGE_ID: Final = 0x0120
_DATA_SET_TYPE: Final = 0x0800
_STATUS: Final = 0x0900
_ERROR_COMMENT: Final = 0x0902
_AFFECTED_SOP_INSTANCE: Final = 0x1000


@dataclass(frozen=True, slots=True)
class Command:
    """A request's command set.

    Attributes:
        field: Command Field (0000,0100).
        message_id: Message ID (0000,0110).
        has_data_set: Whether a data set follows.
        sop_class_uid: Affected SOP Class UID (0000,0002), "" if absent; not checked.
        sop_instance_uid: Affected SOP Instance UID (0000,1000), "" if absent; not checked.
    """

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Status:
    """Status (0000,0900) of a response and an Error Comment (0000,0902) of ours."""

    code: int
    comment: str = ""


def decode_command(data: bytes) -> Command:
    """Decode a command set.

    Raises:
        ProtocolError: It is malformed or lacks what every request has.
    """
    values = _elements(data)
    return Command(
        field=_short(values, _COMMAND_FIELD),
        message_id=_short(values, _MESSAGE_ID, default=0),
        has_data_set=_short(values, _DATA_SET_TYPE) != _NO_DATA_SET,
        sop_class_uid=_uid(values, _AFFECTED_SOP_CLASS),
        sop_instance_uid=_uid(values, _AFFECTED_SOP_INSTANCE),
    )


def encode_response(command: Command, status: Status) -> bytes:
    """Return the command set of the response to a request (PS3.7 section 9.3).

    UIDs are sent back as they came, if they are of ASCII.
    """
    elements = b""
    if command.sop_class_uid.isascii():
        elements += _element(_AFFECTED_SOP_CLASS, _padded(command.sop_class_uid, b"\0"))
    elements += _element(_COMMAND_FIELD, _us(command.field | _RESPONSE))
    elements += _element(_RESPONDED_MESSAGE_ID, _us(command.message_id))
    elements += _element(_DATA_SET_TYPE, _us(_NO_DATA_SET))
    elements += _element(_STATUS, _us(status.code))
    if status.comment:
        elements += _element(_ERROR_COMMENT, _padded(status.comment[:_COMMENT_CHARS], b" "))
    if command.sop_instance_uid and command.sop_instance_uid.isascii():
        elements += _element(_AFFECTED_SOP_INSTANCE, _padded(command.sop_instance_uid, b"\0"))
    return _element(0x0000, len(elements).to_bytes(4, "little")) + elements


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
