"""Protocol data units of the upper layer (PS3.8 section 9.3): encoding, bounded decoding."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.dimse.errors import ProtocolError
from gateway.dimse.identity import UserIdentity, read_identity

ASSOCIATE_RQ: Final = 0x01
ASSOCIATE_AC: Final = 0x02
DATA_TF: Final = 0x04
RELEASE_RQ: Final = 0x05
ABORT: Final = 0x07
KNOWN_TYPES: Final = range(0x01, 0x08)
HEADER_BYTES: Final = 6
PDV_HEADER_BYTES: Final = 6
MAX_ASSOCIATE_BYTES: Final = 128 << 10

UNRECOGNIZED_PDU: Final = 1
UNEXPECTED_PDU: Final = 2
INVALID_PARAMETER: Final = 6
"""Reason/Diag. of A-ABORT from the service provider (PS3.8 Table 9-26)."""

HEADER: Final = struct.Struct(">BxL")
_ITEM: Final = struct.Struct(">BxH")
PDV: Final = struct.Struct(">LBB")
_FIXED: Final = struct.Struct(">HH16s16s32s")
_MAX_ITEMS: Final = 4096
_MAX_CONTEXTS: Final = 128
_MAX_OPTIONS_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as proposed (PS3.8 Table 9-13)."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Roles:
    """Which roles the peer proposes to take for a SOP class (PS3.7 Table D.3-9)."""

    user: bool
    provider: bool


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """What an A-ASSOCIATE-RQ asks for (PS3.8 Table 9-11).

    Attributes:
        protocol_version: Bit field; bit 0 is version 1.
        called_ae_title: As sent, without outer spaces.
        calling_ae_title: As sent, without outer spaces.
        application_context: UID of the application context.
        contexts: Presentation contexts in the order proposed.
        max_pdu_length: Longest P-DATA-TF variable field that the peer takes; 0 is unlimited.
        roles: Proposed roles by SOP class; the peer is the user of those that are absent.
        options: Service class application information by SOP class (PS3.7 Table D.3-12).
        identity: Who the peer's user is said to be; None where nothing is said.
    """

    protocol_version: int
    called_ae_title: str
    calling_ae_title: str
    application_context: str
    contexts: tuple[ProposedContext, ...]
    max_pdu_length: int
    roles: Mapping[str, Roles] = field(default_factory=dict)
    options: Mapping[str, bytes] = field(default_factory=dict)
    identity: UserIdentity | None = None


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """What an A-ASSOCIATE-AC agrees to (PS3.8 Table 9-17).

    Attributes:
        results: Result and transfer syntax by presentation context id.
        max_pdu_length: Longest P-DATA-TF variable field that the peer takes; 0 is unlimited.
    """

    results: Mapping[int, tuple[int, str]]
    max_pdu_length: int


@dataclass(slots=True)
class _Parts:
    application_context: str = ""
    contexts: list[ProposedContext] = field(default_factory=list)
    max_pdu_length: int = 0
    roles: dict[str, Roles] = field(default_factory=dict)
    options: dict[str, bytes] = field(default_factory=dict)
    identity: UserIdentity | None = None


class Pdv(NamedTuple):
    """A presentation data value (PS3.8 section 9.3.5.1); ``data`` is valid until the next read."""

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview


def decode_header(header: memoryview) -> tuple[int, int]:
    """Return the type of a PDU and the length of what follows its header."""
    kind, length = HEADER.unpack(header)
    return kind, length


def decode_associate_request(body: memoryview) -> AssociateRequest:
    """Decode the body of an A-ASSOCIATE-RQ.

    Raises:
        ProtocolError: An item runs past the end, or there are too many.
    """
    if len(body) < _FIXED.size:
        raise ProtocolError("ASSOCIATE_TOO_SHORT", INVALID_PARAMETER)
    version, _, called, calling, _ = _FIXED.unpack_from(body)
    parts = _Parts()
    for kind, value in _items(body[_FIXED.size :]):
        if kind == 0x10:
            parts.application_context = _uid(value)
        elif kind == 0x20:
            parts.contexts.append(_context(value))
        elif kind == 0x50:
            _read_user_information(value, parts)
    if len(parts.contexts) > _MAX_CONTEXTS:
        raise ProtocolError("TOO_MANY_CONTEXTS", INVALID_PARAMETER)
    return AssociateRequest(
        protocol_version=version,
        called_ae_title=_ae_title(called),
        calling_ae_title=_ae_title(calling),
        application_context=parts.application_context,
        contexts=tuple(parts.contexts),
        max_pdu_length=parts.max_pdu_length,
        roles=parts.roles,
        options=parts.options,
        identity=parts.identity,
    )


def decode_associate_accept(body: memoryview) -> AssociateAccept:
    """Decode the body of an A-ASSOCIATE-AC.

    Raises:
        ProtocolError: An item runs past the end, or there are too many.
    """
    if len(body) < _FIXED.size:
        raise ProtocolError("ASSOCIATE_TOO_SHORT", INVALID_PARAMETER)
    parts, results = _Parts(), {}
    for kind, value in _items(body[_FIXED.size :]):
        if kind == 0x21 and len(value) >= 4:
            syntaxes = [_uid(item) for inner, item in _items(value[4:]) if inner == 0x40]
            results[value[0]] = (value[2], syntaxes[0] if syntaxes else "")
        elif kind == 0x50:
            _read_user_information(value, parts)
    return AssociateAccept(results, parts.max_pdu_length)


def pdvs(body: memoryview) -> Iterator[Pdv]:
    """Yield the presentation data values of a P-DATA-TF.

    Raises:
        ProtocolError: A length is impossible or a context id even.
    """
    offset, end = 0, len(body)
    while offset < end:
        if end - offset < PDV.size:
            raise ProtocolError("PDV_HEADER_CUT", INVALID_PARAMETER)
        length, context_id, control = PDV.unpack_from(body, offset)
        stop = offset + 4 + length
        if length < 2 or stop > end or not context_id & 1:
            raise ProtocolError("PDV_INVALID", INVALID_PARAMETER)
        yield Pdv(context_id, bool(control & 1), bool(control & 2), body[offset + 6 : stop])
        offset = stop


def encode(kind: int, body: bytes) -> bytes:
    """Return a PDU."""
    return HEADER.pack(kind, len(body)) + body


def encode_data(context_id: int, fragment: bytes, *, is_command: bool, is_last: bool) -> bytes:
    """Return a P-DATA-TF with one presentation data value."""
    control = (1 if is_command else 0) | (2 if is_last else 0)
    return encode(DATA_TF, PDV.pack(len(fragment) + 2, context_id, control) + fragment)


def encode_reject(result: int, source: int, reason: int) -> bytes:
    """Return an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""
    return encode(0x03, bytes((0, result, source, reason)))


def encode_release_response() -> bytes:
    """Return an A-RELEASE-RP."""
    return encode(0x06, bytes(4))


def encode_release_request() -> bytes:
    """Return an A-RELEASE-RQ."""
    return encode(RELEASE_RQ, bytes(4))


def encode_abort(reason: int) -> bytes:
    """Return an A-ABORT by the service provider (PS3.8 Table 9-26)."""
    return encode(ABORT, bytes((0, 0, 2, reason)))


def encode_item(kind: int, value: bytes) -> bytes:
    """Return an item or sub-item of an A-ASSOCIATE PDU."""
    return _ITEM.pack(kind, len(value)) + value


def sized(value: bytes) -> bytes:
    """Return a value after its length of two bytes, as in sub-items of PS3.7 Annex D."""
    return len(value).to_bytes(2, "big") + value


def _items(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    offset, count = 0, 0
    while offset < len(data):
        if len(data) - offset < _ITEM.size or count >= _MAX_ITEMS:
            raise ProtocolError("ASSOCIATE_ITEM_CUT", INVALID_PARAMETER)
        kind, length = _ITEM.unpack_from(data, offset)
        start = offset + _ITEM.size
        offset, count = start + length, count + 1
        if offset > len(data):
            raise ProtocolError("ASSOCIATE_ITEM_PAST_END", INVALID_PARAMETER)
        yield kind, data[start:offset]


def _context(value: memoryview) -> ProposedContext:
    if len(value) < 4 or not value[0] & 1:
        raise ProtocolError("CONTEXT_INVALID", INVALID_PARAMETER)
    abstract, transfer = "", []
    for kind, item in _items(value[4:]):
        if kind == 0x30:
            abstract = _uid(item)
        elif kind == 0x40:
            transfer.append(_uid(item))
    return ProposedContext(value[0], abstract, tuple(transfer))


def _read_user_information(value: memoryview, parts: _Parts) -> None:
    for kind, item in _items(value):
        if kind == 0x51 and len(item) == 4:
            parts.max_pdu_length = int.from_bytes(item, "big")
        elif kind == 0x58:
            parts.identity = read_identity(item)
        elif kind in (0x54, 0x56) and len(item) >= 2:
            uid_end = 2 + int.from_bytes(item[:2], "big")
            uid, rest = _uid(item[2:uid_end]), bytes(item[uid_end:])
            if kind == 0x56:
                parts.options.setdefault(uid, rest[:_MAX_OPTIONS_BYTES])
            elif len(rest) == 2:
                parts.roles.setdefault(uid, Roles(user=rest[0] == 1, provider=rest[1] == 1))


def _uid(value: memoryview) -> str:
    # Cut: what is longer than a UID is refused all the same.
    return bytes(value[:128]).decode("latin-1").strip(" \0")


def _ae_title(value: bytes) -> str:
    text = value.decode("latin-1").strip(" \0")
    return "".join(char if char.isprintable() and char.isascii() else "?" for char in text)
