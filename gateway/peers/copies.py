"""Copies that de-identification released, looked at once more before they go."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import Final

from services.dicom.errors import DicomError
from services.dicom.part10 import split_part10
from services.dicom.uids import transfer_syntax
from services.dicom.walk import DEFAULT_LIMITS, walk

HEAD_BYTES: Final = 1 << 20
_SOP_INSTANCE: Final = 0x00080018
_IDENTITY_REMOVED: Final = 0x00120062
_YES: Final = b"YES"
_WANTED: Final = (_SOP_INSTANCE, _IDENTITY_REMOVED)


def syntax_of_copy(head: bytes, sop_instance_uid: str) -> str:
    """Return the transfer syntax of a copy that says of itself what a copy has to say.

    Args:
        head: The first bytes of its file.
        sop_instance_uid: What it was named when it was released.

    Returns:
        Transfer Syntax UID; "" when it does not say Patient Identity Removed (0012,0062), or
        bears another SOP Instance UID.
    """
    try:
        meta, offset = split_part10(head)
        syntax = transfer_syntax(meta.transfer_syntax_uid)
        data = head[offset:]
        if syntax.deflated:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, HEAD_BYTES)
    except (DicomError, zlib.error):
        return ""
    found: dict[int, bytes] = {}
    # The head ends somewhere within the data set.
    with suppress(DicomError):
        for element in walk(
            data, syntax, DEFAULT_LIMITS, wanted=(_SOP_INSTANCE, _IDENTITY_REMOVED)
        ):
            end = element.offset + element.length
            found[element.tag] = bytes(data[element.offset : end]).strip(b" \0")
            if element.tag >= _IDENTITY_REMOVED:
                break
    removed = found.get(_IDENTITY_REMOVED) == _YES
    named = found.get(_SOP_INSTANCE) == sop_instance_uid.encode() == meta.sop_instance_uid.encode()
    return meta.transfer_syntax_uid if removed and named else ""
