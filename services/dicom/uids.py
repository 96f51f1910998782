"""UIDs: their grammar, and what the registered ones mean (PS3.5 section 9, PS3.6 Annex A)."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pydicom._uid_dict import UID_dictionary

from services.dicom.errors import InvalidUidError, MalformedError

# Leading zeros in a component are forbidden by PS3.5 9.1, yet scanners in use send them.
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+", re.ASCII)
_MAX_UID_LENGTH: Final = 64

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
ENCAPSULATED_UNCOMPRESSED: Final = "1.2.840.10008.1.2.1.98"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
CT_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.2"

_IMPLICIT: Final = {
    IMPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.20",  # Papyrus 3
    "1.2.840.113619.5.2",  # GE private: implicit VR, big endian pixels
}
_DEFLATED: Final = {
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.4.95",  # JPIP Referenced Deflate
    "1.2.840.10008.1.2.4.205",  # JPIP HTJ2K Referenced Deflate
}
_NATIVE: Final = {
    *_IMPLICIT,
    EXPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
}
_BY_REFERENCE: Final = {
    "1.2.840.10008.1.2.4.94",
    "1.2.840.10008.1.2.4.95",
    "1.2.840.10008.1.2.4.204",
    "1.2.840.10008.1.2.4.205",
}


def valid_uid(text: str) -> bool:
    """Tell whether a text is a usable UID.

    Strict on length (64) and characters; a component may have leading zeros, because such
    UIDs are in circulation. At least two components. Source: PS3.5 section 9.1.
    """
    return len(text) <= _MAX_UID_LENGTH and _UID.fullmatch(text) is not None


def require_uid(field: str, text: str) -> str:
    """Return ``text`` if it is a UID.

    Raises:
        InvalidUidError: It is not; the error names ``field`` only.
    """
    if not valid_uid(text):
        raise InvalidUidError(field)
    return text


def new_uid() -> str:
    """Make a UID under the UUID root 2.25 (PS3.5 section B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def derived_uid(name: str) -> str:
    """Make the same UID each time from the same name, under the UUID root 2.25."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set is encoded (PS3.5 section 10).

    Attributes:
        uid: Transfer Syntax UID.
        explicit_vr: Whether each element states its VR.
        little_endian: Byte order of the data set.
        deflated: Whether the data set is one raw deflate stream.
        encapsulated: Whether Pixel Data is a sequence of fragments.
        by_reference: Whether pixels lie elsewhere (JPIP).
    """

    uid: str
    explicit_vr: bool
    little_endian: bool
    deflated: bool
    encapsulated: bool
    by_reference: bool


@lru_cache(maxsize=256)
def transfer_syntax(uid: str) -> TransferSyntax:
    """Say how a transfer syntax encodes a data set.

    One that is not registered is taken for an encapsulated Explicit VR Little Endian one:
    PS3.5 section A.4 requires that of every compressed syntax to come.

    Raises:
        InvalidUidError: Not a UID.
        MalformedError: A registered syntax that does not encode a DICOM data set.
    """
    require_uid("TransferSyntaxUID", uid)
    if uid.startswith(("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.")):
        raise MalformedError("TransferSyntaxUID", "does not encode a stored data set")
    return TransferSyntax(
        uid=uid,
        explicit_vr=uid not in _IMPLICIT,
        little_endian=uid != EXPLICIT_VR_BIG_ENDIAN,
        deflated=uid in _DEFLATED,
        encapsulated=uid not in _NATIVE and uid not in _BY_REFERENCE,
        by_reference=uid in _BY_REFERENCE,
    )


def _is_storage(name: str, kind: str) -> bool:
    return kind == "SOP Class" and "Storage" in name and not name.startswith("Storage Commitment")


STORAGE_SOP_CLASSES: Final[frozenset[str]] = frozenset(
    uid for uid, (name, kind, *_) in UID_dictionary.items() if _is_storage(name, kind)
) - {"1.2.840.10008.1.3.10"}  # a DICOMDIR is never sent
STORAGE_TRANSFER_SYNTAXES: Final[tuple[str, ...]] = tuple(
    uid
    for uid, (_, kind, *_) in UID_dictionary.items()
    if kind == "Transfer Syntax"
    and not uid.startswith(("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7."))
)


def is_storage_sop_class(uid: str) -> bool:
    """Tell whether PS3.6 registers this as a Storage SOP Class, retired ones included."""
    return uid in STORAGE_SOP_CLASSES


def is_image_sop_class(uid: str) -> bool:
    """Tell whether every instance of this SOP class has pixels, as "CT Image Storage" has."""
    return uid in STORAGE_SOP_CLASSES and "Image Storage" in sop_class_name(uid)


def sop_class_name(uid: str) -> str:
    """Name of a registered SOP class, such as "CT Image Storage", or "" if unknown."""
    entry = UID_dictionary.get(uid)
    return entry[0] if entry is not None and entry[1] == "SOP Class" else ""
