"""Data sets with sequences: read from the DICOM JSON Model, written as bytes in UTF-8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from pydicom.tag import Tag

from gateway.query_retrieve.identifier import (
    SPECIFIC_CHARACTER_SET,
    UTF_8,
    encode_item,
    encode_sequence,
)
from services.dicom.json import JsonObject, header_json
from services.dicom.walk import Limits

Tree: TypeAlias = "Mapping[int, str | Sequence[Tree]]"
"""Text by tag, several values separated by backslashes; items for a sequence."""

_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")


def tag_of(keyword: str) -> int:
    """Return the tag of a keyword of PS3.6."""
    return int(Tag(keyword))


def name_of(tag: int) -> str:
    """Return a tag as the DICOM JSON Model writes it."""
    return f"{tag:08X}"


def decode(data: bytes, transfer_syntax_uid: str, limits: Limits) -> JsonObject:
    """Decode a data set.

    Raises:
        DicomError: Malformed, too many elements, or nested too deep. Names no value.
    """
    return header_json(data, transfer_syntax_uid, limits)


def values(item: JsonObject, keyword: str) -> tuple[str, ...]:
    """Return the values of an attribute as text; none when it is absent or empty."""
    element: Any = item.get(name_of(tag_of(keyword)), {})
    return element_values(element)


def element_values(element: JsonObject) -> tuple[str, ...]:
    """Return the values of an element as text; none for a sequence or an empty one."""
    found = element.get("Value", [])
    if element.get("vr") == "SQ":
        return ()
    texts = tuple(_text(one) for one in found)
    return texts if any(texts) else ()


def text(item: JsonObject, keyword: str) -> str:
    """Return the first value of an attribute; empty when it has none."""
    return next(iter(values(item, keyword)), "")


def items(item: JsonObject, keyword: str) -> list[JsonObject]:
    """Return the items of a sequence; none when it is absent or no sequence."""
    element: Any = item.get(name_of(tag_of(keyword)), {})
    found = element.get("Value", []) if element.get("vr") == "SQ" else []
    return [one for one in found if isinstance(one, dict)]


def encode(tree: Tree, transfer_syntax_uid: str) -> bytes:
    """Encode a data set in UTF-8, its Specific Character Set added.

    Args:
        tree: The values; VRs are those of PS3.6.
        transfer_syntax_uid: Explicit or Implicit VR Little Endian.
    """
    return _encoded({**tree, SPECIFIC_CHARACTER_SET: UTF_8}, transfer_syntax_uid)


def _encoded(tree: Tree, syntax: str) -> bytes:
    return b"".join(
        encode_item({tag: value}, syntax)
        if isinstance(value, str)
        else encode_sequence(tag, [_encoded(one, syntax) for one in value], syntax)
        for tag, value in sorted(tree.items())
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        groups = [str(value.get(group, "")) for group in _GROUPS]
        return "=".join(groups).rstrip("=")
    return str(value).strip()
