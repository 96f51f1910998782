"""What becomes of an A-ASSOCIATE-RQ: refusal, or a result for each presentation context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from gateway.dimse.pdu import (
    AssociateRequest,
    ProposedContext,
    Roles,
    encode,
    encode_item,
    sized,
)
from services.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from services.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    STORAGE_TRANSFER_SYNTAXES,
    is_storage_sop_class,
    sop_class_name,
    valid_uid,
)

VERIFICATION: Final = "1.2.840.10008.1.1"
STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"
APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
_STORAGE_ROOT: Final = "1.2.840.10008.5.1.4.1.1."
_PRIVATE_TRANSFER_SYNTAXES: Final = frozenset({"1.2.840.113619.5.2"})
STORED_TRANSFER_SYNTAXES: Final = frozenset(STORAGE_TRANSFER_SYNTAXES) | _PRIVATE_TRANSFER_SYNTAXES
MESSAGE_TRANSFER_SYNTAXES: Final = frozenset({EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN})
"""Of data sets that are no stored objects."""
# Taken only when nothing better is proposed: they lose VRs, cost time, or are retired.
_LAST_CHOICES: Final = {
    IMPLICIT_VR_LITTLE_ENDIAN: 1,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: 2,
    EXPLICIT_VR_BIG_ENDIAN: 3,
}

ACCEPTED: Final = 0
ABSTRACT_SYNTAX_NOT_SUPPORTED: Final = 3
TRANSFER_SYNTAXES_NOT_SUPPORTED: Final = 4


@dataclass(frozen=True, slots=True)
class Rejection:
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    result: int
    source: int
    reason: int


LOCAL_LIMIT_EXCEEDED: Final = Rejection(2, 3, 2)
TEMPORARY_CONGESTION: Final = Rejection(2, 3, 1)
USER_NOT_IDENTIFIED: Final = Rejection(1, 1, 1)
"""No reason of PS3.8 says it: "no reason given"."""
PROTOCOL_VERSION_NOT_SUPPORTED: Final = Rejection(1, 2, 2)
APPLICATION_CONTEXT_NOT_SUPPORTED: Final = Rejection(1, 1, 2)
CALLING_AE_TITLE_NOT_RECOGNIZED: Final = Rejection(1, 1, 3)
CALLED_AE_TITLE_NOT_RECOGNIZED: Final = Rejection(1, 1, 7)


@dataclass(frozen=True, slots=True)
class ContextResult:
    """Answer to one presentation context (PS3.8 Table 9-18).

    Attributes:
        context_id: Its id.
        result: ``ACCEPTED``, or why not.
        abstract_syntax: SOP class.
        transfer_syntax: The one that is taken.
        roles: The roles that the peer takes, where it proposed any.
        options: Options of the service that both have, a byte each, where it proposed any.
    """

    context_id: int
    result: int
    abstract_syntax: str
    transfer_syntax: str
    roles: Roles | None = None
    options: bytes = b""


def rejection(request: AssociateRequest, ae_title: str | None) -> Rejection | None:
    """Return why an association is refused, or None.

    Args:
        request: What is asked for.
        ae_title: The called AE title that is required; None lets any be called.
    """
    if not request.protocol_version & 1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context != APPLICATION_CONTEXT:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    if ae_title is not None and request.called_ae_title != ae_title:
        return CALLED_AE_TITLE_NOT_RECOGNIZED
    return None


def negotiate(
    request: AssociateRequest, offered: Mapping[str, bytes] = MappingProxyType({})
) -> tuple[ContextResult, ...]:
    """Return the answer to each presentation context, in the order proposed.

    Args:
        request: What is asked for.
        offered: SOP classes that are served beside verification and storage, and the options
            of each (PS3.7 D.3.3.5).
    """
    return tuple(_answer(context, request, offered) for context in request.contexts)


def accepted(results: tuple[ContextResult, ...]) -> Mapping[int, ContextResult]:
    """Return the accepted contexts by their id; of a repeated id the first counts."""
    found: dict[int, ContextResult] = {}
    for result in results:
        if result.result == ACCEPTED:
            found.setdefault(result.context_id, result)
    return found


def encode_accept(
    called: bytes,
    calling: bytes,
    results: tuple[ContextResult, ...],
    max_pdu_length: int,
    *,
    identified: bool = False,
) -> bytes:
    """Return an A-ASSOCIATE-AC (PS3.8 Table 9-17).

    Args:
        called: The 16 bytes of the request, which are sent back.
        calling: The 16 bytes of the request, which are sent back.
        results: Answer to each context.
        max_pdu_length: Longest P-DATA-TF variable field that we take, in bytes.
        identified: Tell the peer that its user was accepted (PS3.7 Table D.3-15).
    """
    taken = [result for result in results if result.result == ACCEPTED]
    user = user_information(
        max_pdu_length,
        {result.abstract_syntax: result.roles for result in taken if result.roles},
        {result.abstract_syntax: result.options for result in taken if result.options},
    )
    if identified:
        user += encode_item(0x59, sized(b""))
    items = (
        encode_item(0x10, APPLICATION_CONTEXT.encode("ascii"))
        + b"".join(_context_item(result) for result in results)
        + encode_item(0x50, user)
    )
    return encode(0x02, b"\x00\x01\x00\x00" + called + calling + bytes(32) + items)


def user_information(
    max_pdu_length: int, roles: Mapping[str, Roles], options: Mapping[str, bytes]
) -> bytes:
    """Return the sub-items of a User Information item, in ascending order (PS3.7 Annex D).

    Args:
        max_pdu_length: Longest P-DATA-TF variable field that we take, in bytes.
        roles: Roles by SOP class.
        options: Service class application information by SOP class.
    """
    return (
        encode_item(0x51, max_pdu_length.to_bytes(4, "big"))
        + encode_item(0x52, IMPLEMENTATION_CLASS_UID.encode("ascii"))
        + b"".join(
            encode_item(0x54, sized(uid.encode("ascii")) + bytes((role.user, role.provider)))
            for uid, role in roles.items()
        )
        + encode_item(0x55, IMPLEMENTATION_VERSION_NAME.encode("ascii"))
        + b"".join(
            encode_item(0x56, sized(uid.encode("ascii")) + value) for uid, value in options.items()
        )
    )


def _context_item(result: ContextResult) -> bytes:
    syntax = encode_item(0x40, result.transfer_syntax.encode("ascii"))
    return encode_item(0x21, bytes((result.context_id, 0, result.result, 0)) + syntax)


def _answer(
    context: ProposedContext, request: AssociateRequest, offered: Mapping[str, bytes]
) -> ContextResult:
    def result(code: int, syntax: str = IMPLICIT_VR_LITTLE_ENDIAN) -> ContextResult:
        return ContextResult(context.context_id, code, context.abstract_syntax, syntax)

    stores = is_stored(context.abstract_syntax)
    verifies = context.abstract_syntax == VERIFICATION
    if not (stores or verifies or context.abstract_syntax in offered):
        return result(ABSTRACT_SYNTAX_NOT_SUPPORTED)
    taken = STORED_TRANSFER_SYNTAXES if stores or verifies else MESSAGE_TRANSFER_SYNTAXES
    known = [uid for uid in context.transfer_syntaxes if uid in taken]
    if not known:
        return result(TRANSFER_SYNTAXES_NOT_SUPPORTED)
    best = result(ACCEPTED, min(known, key=lambda uid: _LAST_CHOICES.get(uid, 0)))
    return replace(
        best,
        roles=_roles(
            request.roles.get(context.abstract_syntax),
            may_provide=stores or context.abstract_syntax == STORAGE_COMMITMENT,
        ),
        options=_options(request, context.abstract_syntax, offered),
    )


def _roles(proposed: Roles | None, *, may_provide: bool) -> Roles | None:
    if proposed is None:
        return None
    # A peer that provides storage gets what it asks for by C-GET (PS3.4 C.5.3); one that provides
    # storage commitment reports on what we asked it for (PS3.4 J.3.3).
    return Roles(proposed.user, proposed.provider and may_provide)


def _options(
    request: AssociateRequest, abstract_syntax: str, offered: Mapping[str, bytes]
) -> bytes:
    proposed = request.options.get(abstract_syntax, b"")
    return bytes(map(min, proposed, offered.get(abstract_syntax, b"")))


def is_stored(abstract_syntax: str) -> bool:
    """Tell whether we store instances of a SOP class."""
    if not valid_uid(abstract_syntax):
        return False
    # Classes newer than our dictionary are taken; known ones under the root may be no storage.
    unknown = abstract_syntax.startswith(_STORAGE_ROOT) and not sop_class_name(abstract_syntax)
    return is_storage_sop_class(abstract_syntax) or unknown
