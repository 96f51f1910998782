"""Where the elements of one level of a data set lie, read from their headers alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from services.dicom.encoding import (
    UNDEFINED_LENGTH,
    HeaderReader,
    fragments_end,
    header_reader,
)
from services.dicom.errors import LimitExceededError, MalformedError, TruncatedError
from services.dicom.uids import TransferSyntax
from services.dicom.walk import ITEM, ITEM_END, PIXEL_TAGS, SEQUENCE_END, Limits

_FIRST_TAG: Final = 0x00080000
_LAST_TAG: Final = 0xFFFE0000


class Place(NamedTuple):
    """Where an element lies.

    Attributes:
        tag: Group in the upper 16 bits, element in the lower.
        vr: Two letters; in implicit VR that of PS3.6, which may be like "US or SS".
        start: Offset of its header.
        value: Offset of its value.
        stop: Offset after its value, the delimiters of an undefined length included.
        undefined: Whether its length is undefined.
    """

    tag: int
    vr: str
    start: int
    value: int
    stop: int
    undefined: bool


class Layout:
    """Finds places; every length is checked and every loop bounded.

    Args:
        view: An inflated data set.
        syntax: Its transfer syntax.
        limits: Bounds.

    Attributes:
        view: The data set.
    """

    def __init__(self, view: memoryview, syntax: TransferSyntax, limits: Limits) -> None:
        self.view = view
        self._read = header_reader(
            view, explicit_vr=syntax.explicit_vr, little_endian=syntax.little_endian
        )
        # PS3.5 6.2.2: a UN of undefined length is implicit VR little endian inside.
        self._unknown = header_reader(view, explicit_vr=False, little_endian=True)
        self._limits = limits
        self._little_endian = syntax.little_endian
        self._left = limits.max_elements

    def elements(self, start: int, end: int, depth: int) -> list[Place]:
        """Return the elements from one offset to another, in the order of their tags.

        Raises:
            MalformedError, TruncatedError, LimitExceededError: The bytes break a rule.
        """
        places: list[Place] = []
        read, offset, last, ordered = self._read, start, -1, True
        new = tuple.__new__  # several times as fast as the class of a named tuple
        while offset < end:
            tag, vr, value, length = read(offset, end)
            if tag < _FIRST_TAG or tag >= _LAST_TAG:
                raise MalformedError("element", "group not allowed in a data set")
            undefined = length == UNDEFINED_LENGTH
            stop = value + length
            if undefined:
                stop = self._past(read, (tag, vr, value), end, depth)
            if stop > end:
                raise TruncatedError("element", "value runs past the end")
            places.append(new(Place, (tag, vr, offset, value, stop, undefined)))
            ordered = ordered and tag > last
            offset, last = stop, tag
        self._spend(len(places))
        return places if ordered else _sorted(places)

    def items(self, place: Place, depth: int) -> Iterator[tuple[int, int]]:
        """Yield beginning and end of the content of each item of a sequence.

        Raises:
            MalformedError, TruncatedError, LimitExceededError: The bytes break a rule.
        """
        offset = place.value
        while offset < place.stop:
            tag, _, value, length = self._read(offset, place.stop)
            if tag == SEQUENCE_END and place.undefined:
                return
            if tag != ITEM:
                raise MalformedError("sequence", "holds something other than items")
            self._spend(1)
            if length == UNDEFINED_LENGTH:
                content_end, offset = self._item_end(self._read, value, place.stop, depth)
            else:
                content_end = offset = value + length
            if offset > place.stop:
                raise TruncatedError("sequence", "an item runs past what holds it")
            yield value, content_end

    def _past(self, read: HeaderReader, element: tuple[int, str, int], end: int, depth: int) -> int:
        """Return the offset after a value of undefined length."""
        tag, vr, offset = element
        if tag in PIXEL_TAGS:
            return fragments_end(
                self.view,
                offset,
                end,
                little_endian=self._little_endian,
                max_fragments=self._limits.max_fragments,
            )
        if vr not in ("SQ", "UN"):
            raise MalformedError("element", "undefined length outside a sequence")
        if depth >= self._limits.max_depth:
            raise LimitExceededError("sequence", "nested too deep")
        inner = self._unknown if vr == "UN" else read
        while True:
            item, _, content, length = inner(offset, end)
            if item == SEQUENCE_END and not length:
                return content
            if item != ITEM:
                raise MalformedError("sequence", "holds something other than items")
            self._spend(1)
            offset = content + length
            if length == UNDEFINED_LENGTH:
                _, offset = self._item_end(inner, content, end, depth)
            if offset > end:
                raise TruncatedError("sequence", "an item runs past what holds it")

    def _item_end(self, read: HeaderReader, offset: int, end: int, depth: int) -> tuple[int, int]:
        """Return where the content of an item of undefined length ends, and what is after it."""
        while True:
            tag, vr, value, length = read(offset, end)
            if tag == ITEM_END and not length:
                return offset, value
            self._spend(1)
            offset = value + length
            if length == UNDEFINED_LENGTH:
                offset = self._past(read, (tag, vr, value), end, depth + 1)

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise LimitExceededError("data set", "too many elements")


def _sorted(places: list[Place]) -> list[Place]:
    found = sorted(places)
    for one, other in pairwise(found):
        if one.tag == other.tag:
            raise MalformedError("element", "stands twice")
    return found
