"""Single values of the DICOM JSON Model: encoded bytes to what JSON holds (PS3.18 section F.2)."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from services.dicom import charset

Value = str | int | float | dict[str, str] | None
_NUMBERS: Final = {
    "US": "H",
    "SS": "h",
    "UL": "L",
    "SL": "l",
    "UV": "Q",
    "SV": "q",
    "FL": "f",
    "FD": "d",
}
BINARY: Final = {"OB": 1, "UN": 1, "OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}
"""Bytes of one word by VR."""
_DECODED: Final = frozenset({"LO", "SH", "UC", "LT", "ST", "UT"})
_ONE_TEXT: Final = frozenset({"LT", "ST", "UT", "UR"})
_NAME_PARTS: Final = ("Alphabetic", "Ideographic", "Phonetic")


def values_of(
    vr: str, value: bytes, encodings: Sequence[str], *, little_endian: bool
) -> list[Value]:
    """Turn an encoded value into a JSON array; empty where there is none, or it makes no sense.

    An empty value among others is None. Numbers that JSON does not know stay text.
    """
    if vr in _NUMBERS:
        return _numbers(_NUMBERS[vr], value, "<" if little_endian else ">")
    if vr == "AT":
        return _tags(value, "<" if little_endian else ">")
    text = charset.decode(value, encodings if vr in _DECODED or vr == "PN" else ("latin-1",))
    text = text.replace("\0", "")
    if vr in _ONE_TEXT:
        text = text.rstrip()
        return [text] if text else []
    return _listed(text, _PARSERS.get(vr, _text))


def inline_binary(vr: str, value: bytes, *, little_endian: bool) -> str:
    """Base64 of a binary value in little endian words (PS3.18 F.2.7)."""
    size = BINARY[vr]
    if size > 1 and not little_endian and len(value) % size == 0:
        value = np.frombuffer(value, f">u{size}").astype(f"<u{size}").tobytes()
    return base64.b64encode(value).decode("ascii")


def _listed(text: str, parse: Callable[[str], Value]) -> list[Value]:
    if not text.strip():
        return []
    return [parse(part) if part.strip() else None for part in text.split("\\")]


def _text(part: str) -> Value:
    return part.strip()


def _name(part: str) -> Value:
    groups = (group.strip() for group in part.split("=", 2))
    return {key: group for key, group in zip(_NAME_PARTS, groups, strict=False) if group} or None


def _integer(part: str) -> Value:
    try:
        return int(part[:32])
    except ValueError:
        return part.strip()


def _decimal(part: str) -> Value:
    try:
        number = float(part)
    except ValueError:
        return part.strip()
    return number if math.isfinite(number) else part.strip()


_PARSERS: Final[dict[str, Callable[[str], Value]]] = {
    "PN": _name,
    "IS": _integer,
    "DS": _decimal,
}


def _numbers(code: str, value: bytes, order: str) -> list[Value]:
    size = struct.calcsize(order + code)
    if len(value) % size:
        return []
    numbers = struct.unpack(f"{order}{len(value) // size}{code}", value)
    return [n if not isinstance(n, float) or math.isfinite(n) else str(n) for n in numbers]


def _tags(value: bytes, order: str) -> list[Value]:
    if len(value) % 4:
        return []
    return [f"{g:04X}{e:04X}" for g, e in struct.iter_unpack(order + "HH", value)]
