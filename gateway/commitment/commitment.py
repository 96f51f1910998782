"""What a peer asks us to commit to, and what we say (PS3.4 J.3.2 and J.3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.query_retrieve.identifier import encode_item, encode_sequence
from services.dicom.errors import InconsistentError, MissingElementError
from services.dicom.uids import require_uid, transfer_syntax
from services.dicom.walk import ITEM, Limits, walk

PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
REQUEST: Final = 1
"""Action type: Request Storage Commitment."""
ALL_COMMITTED: Final = 1
SOME_FAILED: Final = 2
"""Event types of the report."""

PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_INSTANCE: Final = 0x0112
CLASS_CONFLICT: Final = 0x0119
DUPLICATE_TRANSACTION: Final = 0x0131
"""Failure Reason (0008,1197), PS3.3 C.14.1.1."""

_TRANSACTION_UID: Final = 0x00081195
_RETRIEVE_AE_TITLE: Final = 0x00080054
_FAILURE_REASON: Final = 0x00081197
_FAILED: Final = 0x00081198
_REFERENCED: Final = 0x00081199
_SOP_CLASS: Final = 0x00081150
_SOP_INSTANCE: Final = 0x00081155
_WANTED: Final = frozenset({_TRANSACTION_UID, _REFERENCED, _SOP_CLASS, _SOP_INSTANCE, ITEM})
_LIMITS: Final = Limits(max_elements=200_000, max_item_elements=20_000, max_depth=8)
_UID_BYTES: Final = 66


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance by its SOP class and SOP Instance UID."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """A request for storage commitment.

    Attributes:
        commitment_id: Our id of it, UUIDv7.
        transaction_uid: Transaction UID (0008,1195).
        ae_title: Who asked.
        references: Instances that were sent, each once.
    """

    commitment_id: str
    transaction_uid: str
    ae_title: str
    references: tuple[Reference, ...]


def read_request(data: bytes, transfer_syntax_uid: str) -> tuple[str, tuple[Reference, ...]]:
    """Return the transaction UID and the instances of an N-ACTION's action information.

    Raises:
        DicomError: Malformed, too long, or without what it must have. Names no value.
    """
    transaction, inside = "", False
    found: list[dict[int, str]] = []
    syntax = transfer_syntax(transfer_syntax_uid)
    for element in walk(data, syntax, _LIMITS, wanted=_WANTED, nested=True):
        raw = data[element.offset : element.offset + min(element.length, _UID_BYTES)]
        value = raw.decode("latin-1").strip(" \0")
        if element.depth == 0:
            inside = element.tag == _REFERENCED
            transaction = value if element.tag == _TRANSACTION_UID else transaction
        elif inside and element.depth == 1 and element.tag == ITEM:
            found.append({})
        elif inside and element.depth == 1 and found:
            found[-1].setdefault(element.tag, value)
    return require_uid("TransactionUID", transaction), _references(found)


def encode_report(
    commitment: Commitment,
    failures: Mapping[Reference, int],
    ae_title: str,
    transfer_syntax_uid: str,
) -> tuple[int, bytes]:
    """Return the event type and the event information that answer a request.

    Args:
        commitment: The request.
        failures: Failure reason of each instance that we do not commit to.
        ae_title: Our AE title, from which the others can be retrieved.
        transfer_syntax_uid: Explicit or Implicit VR Little Endian.
    """
    syntax = transfer_syntax_uid
    kept = [_item(one, None, syntax) for one in commitment.references if one not in failures]
    failed = [_item(one, reason, syntax) for one, reason in failures.items()]
    # In ascending order of tags; all of it is ASCII, so that no character set is stated.
    parts = [encode_item({_RETRIEVE_AE_TITLE: ae_title} if kept else {}, syntax)]
    parts.append(encode_item({_TRANSACTION_UID: commitment.transaction_uid}, syntax))
    if failed:
        parts.append(encode_sequence(_FAILED, failed, syntax))
    if kept:
        parts.append(encode_sequence(_REFERENCED, kept, syntax))
    return (SOME_FAILED if failed else ALL_COMMITTED), b"".join(parts)


def _item(one: Reference, reason: int | None, syntax: str) -> bytes:
    values = {_SOP_CLASS: one.sop_class_uid, _SOP_INSTANCE: one.sop_instance_uid}
    if reason is not None:
        values[_FAILURE_REASON] = str(reason)
    return encode_item(values, syntax)


def _references(items: list[dict[int, str]]) -> tuple[Reference, ...]:
    references: dict[str, str] = {}
    for item in items:
        sop_class = require_uid("ReferencedSOPClassUID", item.get(_SOP_CLASS, ""))
        instance = require_uid("ReferencedSOPInstanceUID", item.get(_SOP_INSTANCE, ""))
        if references.setdefault(instance, sop_class) != sop_class:
            raise InconsistentError("ReferencedSOPSequence", "an instance with two classes")
    if not references:
        raise MissingElementError("ReferencedSOPSequence")
    return tuple(Reference(sop_class, instance) for instance, sop_class in references.items())
