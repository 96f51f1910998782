"""Messages and data sets as P-DATA-TF PDUs (PS3.8 section 9.3.5, PS3.7 section 8)."""

from __future__ import annotations

from typing import Final

from gateway.dimse import pdu

_LAST: Final = 2
_COMMAND: Final = 1


def encode_message(context_id: int, command: bytes, data_set: bytes, max_pdu_length: int) -> bytes:
    """Return the PDUs of a whole message.

    Args:
        context_id: Presentation context.
        command: Command set.
        data_set: Data set; empty when there is none.
        max_pdu_length: Longest variable field that the peer takes, in bytes.
    """
    step = max_pdu_length - pdu.PDV_HEADER_BYTES
    encoded = _encoded(context_id, memoryview(command), step, _COMMAND, is_last=True)
    if not data_set:
        return encoded
    return encoded + _encoded(context_id, memoryview(data_set), step, 0, is_last=True)


def encode_data_set(context_id: int, data: memoryview, step: int, *, is_last: bool) -> bytes:
    """Return the PDUs of a part of a data set, a fragment each.

    Args:
        context_id: Presentation context.
        data: The part.
        step: Bytes of a fragment, but for the last.
        is_last: Whether the data set ends with it.
    """
    return _encoded(context_id, data, step, 0, is_last=is_last)


def _encoded(context_id: int, data: memoryview, step: int, control: int, *, is_last: bool) -> bytes:
    parts: list[bytes | memoryview] = []
    for start in range(0, max(len(data), 1), step):
        fragment = data[start : start + step]
        ends = _LAST if is_last and start + step >= len(data) else 0
        size = len(fragment) + 2
        header = pdu.PDV.pack(size, context_id, control | ends)
        parts += (pdu.HEADER.pack(pdu.DATA_TF, size + 4), header, fragment)
    return b"".join(parts)
