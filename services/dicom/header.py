"""Chosen top-level elements of one data set, as Python values."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Collection, Mapping
from typing import Final

from pydicom.datadict import keyword_for_tag

from services.dicom import charset
from services.dicom.encoding import Buffer
from services.dicom.errors import InconsistentError
from services.dicom.uids import TransferSyntax
from services.dicom.walk import PIXEL_TAGS, Element, Limits, walk

_INT32: Final = 2**31
_CHARACTER_SET: Final = 0x00080005
_COPIED_BYTES: Final = 64 << 10


class Header:
    """The wanted top-level elements of one data set, read from the bytes when asked for."""

    def __init__(
        self, data: Buffer, syntax: TransferSyntax, limits: Limits, wanted: Collection[int]
    ) -> None:
        self.data, self.syntax, self.limits = data, syntax, limits
        self.pixels: Element | None = None
        self.elements: dict[int, Element] = {}
        elements = self.elements
        for element in walk(data, syntax, limits, wanted=wanted):
            tag = element[0]
            if tag in PIXEL_TAGS:
                self.pixels = element
            elif tag in elements:
                raise InconsistentError(keyword_for_tag(tag), "stands twice")
            else:
                elements[tag] = element
        end = next((e[2] + e[3] for e in reversed(elements.values())), 0)
        # A slice of bytes costs a third of one of a view.
        self._values: Buffer = bytes(data[:end]) if end <= _COPIED_BYTES else data
        self._encodings = charset.encodings_of(self.raw(_CHARACTER_SET, 256))
        self._short: Callable[[bytes], tuple[int]] = struct.Struct(
            "<H" if syntax.little_endian else ">H"
        ).unpack

    def raw(self, tag: int, most: int) -> bytes:
        """Return the first bytes of a value; empty if absent."""
        element = self.elements.get(tag)
        if element is None:
            return b""
        return bytes(self._values[element[2] : element[2] + min(element[3], most)])

    def text(self, tag: int) -> str:
        """Return a text as `charset` decodes and cleans it; "" if absent."""
        element = self.elements.get(tag)
        if element is None:
            return ""
        _, _, start, length, _ = element
        # Four bytes are the most that a character takes; the text is capped after decoding.
        most = self.limits.max_text_chars
        value = bytes(self._values[start : start + (length if length < 4 * most else 4 * most)])
        if value.isascii() and b"\x1b" not in value:
            return charset.clean(value.decode("ascii"), most)
        return charset.clean(charset.decode(value, self._encodings), most)

    def texts(self, tags: Mapping[str, int]) -> dict[str, str]:
        """Return the texts of some tags by name, as `text` does; quicker for many short ones."""
        get, values, most = self.elements.get, self._values, self.limits.max_text_chars
        found: dict[str, str] = {}
        for name, tag in tags.items():
            element = get(tag)
            if element is None:
                found[name] = ""
                continue
            start, length = element[2], element[3]
            value = bytes(values[start : start + length]) if length <= most else b"\x1b"
            if value.isascii() and b"\x1b" not in value:
                found[name] = value.decode("ascii").replace("\0", "").strip()
            else:
                found[name] = self.text(tag)
        return found

    def uid(self, tag: int) -> str:
        """Return a UI without its padding, not checked; "" if absent."""
        return self.raw(tag, 128).decode("latin-1").strip(" \0")

    def integer(self, tag: int) -> int | None:
        """Return an IS; None where it is no whole number of 32 bits."""
        text = self.raw(tag, 64).decode("latin-1").strip(" \0").partition("\\")[0]
        return _int32(text) if text else None

    def decimals(self, tag: int, count: int) -> tuple[float, ...]:
        """Return the values of a DS; empty where not as many, or where one is not finite."""
        element = self.elements.get(tag)
        if element is None or element.length > 32 * count:  # a DS has 16 characters at most
            return ()
        texts = self.raw(tag, 32 * count).decode("latin-1").strip(" \0").split("\\")
        try:
            numbers = tuple(float(text.replace("_", "x")) for text in texts)
        except ValueError:
            return ()
        return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else ()

    def short(self, tag: int, field: str) -> int | None:
        """Return a US; None if absent or empty.

        Raises:
            InconsistentError: It has another VR or length (PS3.6).
        """
        element = self.elements.get(tag)
        if element is None or element.length == 0:
            return None
        if element.length != 2 or element.vr not in ("US", "UN"):
            raise InconsistentError(field, "not one unsigned short")
        return self._short(bytes(self._values[element.offset : element.offset + 2]))[0]


def _int32(text: str) -> int | None:
    try:
        number = int(text) if text.isdigit() else float(text.replace("_", "x"))
    except ValueError:
        return None
    if not math.isfinite(number) or number != int(number):
        return None
    return int(number) if -_INT32 <= number < _INT32 else None
