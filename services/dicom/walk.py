"""A bounded, lazy walk over the elements of an encoded data set (PS3.5 section 7).

Nothing is allocated by a claimed length and nothing recurses: whatever the bytes say, the
cost is bounded by ``Limits`` and by the bytes that are really there.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.dicom.encoding import (
    UNDEFINED_LENGTH,
    Buffer,
    HeaderReader,
    fragments_end,
    header_reader,
)
from services.dicom.errors import LimitExceededError, MalformedError, TruncatedError
from services.dicom.uids import TransferSyntax

ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD
PIXEL_DATA: Final = 0x7FE00010
PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
_DELIMITERS: Final = frozenset({ITEM_END, SEQUENCE_END})
_FIRST_TAG: Final = 0x00040000  # command and file meta groups have no place in a data set
_LAST_TAG: Final = 0xFFFE0000
_SMALLEST_NESTING: Final = 16  # an item header and a sequence header in it


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a peer's bytes may cost.

    Attributes:
        max_elements: Elements and items in one data set, nested ones included.
        max_item_elements: Elements in one item, or at the top level.
        max_depth: Sequences within sequences.
        max_header_bytes: Bytes before the pixel data.
        max_inflated_bytes: Size of a deflated data set once inflated.
        max_fragments: Fragments of one encapsulated pixel data element.
        max_text_chars: Characters kept of one text attribute.
    """

    max_elements: int = 500_000
    max_item_elements: int = 20_000
    max_depth: int = 64
    max_header_bytes: int = 256 << 20
    max_inflated_bytes: int = 192 << 20
    max_fragments: int = 1_000_000
    max_text_chars: int = 1024


DEFAULT_LIMITS: Final = Limits()


class Element(NamedTuple):
    """Where an element lies.

    Attributes:
        tag: Group in the upper 16 bits, element in the lower.
        vr: Two letters; in implicit VR that of PS3.6, which may be like "US or SS".
        offset: Of the value, in bytes from the start of the data set.
        length: Of the value in bytes, or ``UNDEFINED_LENGTH``.
        depth: Number of sequences around it; an item of a sequence is one deeper than it.
    """

    tag: int
    vr: str
    offset: int
    length: int
    depth: int


class _Scope(NamedTuple):
    """Where elements or items are being read.

    ``defined`` tells whether it ends at ``end`` rather than at a delimiter; ``outer_count``
    is that of the elements read in the scope around it.
    """

    of_items: bool
    defined: bool
    end: int
    read: HeaderReader
    outer_count: int


def walk(
    data: Buffer,
    syntax: TransferSyntax,
    limits: Limits = DEFAULT_LIMITS,
    *,
    wanted: Collection[int] | None = None,
    nested: bool = False,
    start: int = 0,
) -> Iterator[Element]:
    """Yield the elements of a data set in the order of their bytes.

    A top-level pixel data element (group 7FE0) is yielded last and its value not looked at;
    all other lengths are checked before an element is yielded. Sequences are looked into for
    their structure even if not asked for, save those too short to nest past the limit.

    Args:
        data: An inflated data set, without preamble and file meta information.
        syntax: Its transfer syntax.
        limits: Bounds; each one reached is an error.
        wanted: Tags to yield, or None for all.
        nested: Yield elements and items (tag FFFE,E000) of sequences too.
        start: Offset of the first element.

    Raises:
        MalformedError: The bytes are not encoded as ``syntax`` says.
        TruncatedError: A length runs past what surrounds it.
        LimitExceededError: A limit was reached.
    """
    return _Walk(data, syntax, limits, nested=nested, wanted=wanted).run(start)


class _Walk:
    def __init__(
        self,
        data: Buffer,
        syntax: TransferSyntax,
        limits: Limits,
        *,
        nested: bool,
        wanted: Collection[int] | None,
    ) -> None:
        self._data = data
        self._limits = limits
        self._nested = nested
        self._wanted = wanted
        self._stack: list[_Scope] = []
        self._left = limits.max_elements
        self._little_endian = syntax.little_endian
        self._read = header_reader(
            data, explicit_vr=syntax.explicit_vr, little_endian=syntax.little_endian
        )
        # Below this a sequence cannot hold enough headers to pass the depth limit.
        self._harmless = -1 if nested else limits.max_depth * _SMALLEST_NESTING

    def run(self, offset: int) -> Iterator[Element]:
        read, wanted, harmless = self._read, self._wanted, self._harmless
        end, most, count = len(self._data), self._limits.max_item_elements, 0
        most_header, made = self._limits.max_header_bytes, tuple.__new__
        while offset < end:
            tag, vr, value, length = read(offset, end)
            count += 1
            if count > most or value > most_header:
                raise LimitExceededError("data set", "too many elements or too long a header")
            if tag in PIXEL_TAGS:
                yield Element(tag, vr, value, length, 0)
                return
            if tag < _FIRST_TAG or tag >= _LAST_TAG:
                raise MalformedError("element", "group not allowed in a data set")
            if wanted is None or tag in wanted:
                # What Element(...) does, in half the time.
                yield made(Element, (tag, vr, value, length, 0))
            if length == UNDEFINED_LENGTH or (vr == "SQ" and length > harmless):
                offset = yield from self._sequence(Element(tag, vr, value, length, 0), end)
                continue
            offset = value + length
            if offset > end:
                raise TruncatedError("element", "value runs past the end")

    def _sequence(self, element: Element, end: int) -> Generator[Element, None, int]:
        """Read one sequence and all in it with a stack of our own; give the offset after it."""
        stack, count = self._stack, 0
        offset = self._open_sequence(element, end, self._read, 0)
        while stack:
            scope = stack[-1]
            if scope.defined and offset == scope.end:
                count = stack.pop().outer_count
                continue
            tag, vr, value, length = scope.read(offset, scope.end)
            count += 1
            self._spend(count)
            if tag in _DELIMITERS:
                offset, count = self._close(scope, tag, value, length), scope.outer_count
                continue
            inner = Element(tag, vr, value, length, (len(stack) + 1) // 2)
            if self._nested and (self._wanted is None or tag in self._wanted):
                self._check_end(inner, scope)
                yield inner
            if scope.of_items:
                offset, count = self._open_item(inner, scope), 0
            else:
                offset, count = self._step(inner, scope, count)
        return offset

    def _step(self, element: Element, scope: _Scope, count: int) -> tuple[int, int]:
        """Pass over one element of an item, or into it if it holds items."""
        tag, vr, value, length, _ = element
        if tag < _FIRST_TAG or tag >= _LAST_TAG:
            raise MalformedError("element", "group not allowed in an item")
        self._check_end(element, scope)
        if length == UNDEFINED_LENGTH or (vr == "SQ" and length > self._harmless):
            return self._open_sequence(element, scope.end, scope.read, count), 0
        return value + length, count

    def _open_sequence(self, element: Element, end: int, read: HeaderReader, count: int) -> int:
        defined = element.length != UNDEFINED_LENGTH
        if element.tag == PIXEL_DATA and element.vr in ("OB", "OW"):
            return self._skip_fragments(element.offset, end)
        if element.vr not in ("SQ", "UN"):
            raise MalformedError("element", "undefined length outside a sequence")
        if len(self._stack) // 2 >= self._limits.max_depth:
            raise LimitExceededError("sequence", "nested too deep")
        if defined:
            end = self._bounded(element, end)
        elif element.vr == "UN":
            # PS3.5 6.2.2: a UN of undefined length is implicit VR little endian inside.
            read = header_reader(self._data, explicit_vr=False, little_endian=True)
        self._stack.append(
            _Scope(of_items=True, defined=defined, end=end, read=read, outer_count=count)
        )
        return element.offset

    def _open_item(self, item: Element, scope: _Scope) -> int:
        if item.tag != ITEM:
            raise MalformedError("sequence", "holds something other than items")
        defined = item.length != UNDEFINED_LENGTH
        end = self._bounded(item, scope.end) if defined else scope.end
        self._stack.append(
            _Scope(of_items=False, defined=defined, end=end, read=scope.read, outer_count=0)
        )
        return item.offset

    def _close(self, scope: _Scope, tag: int, value: int, length: int) -> int:
        if scope.defined or length or tag != (SEQUENCE_END if scope.of_items else ITEM_END):
            raise MalformedError("sequence", "delimiter out of place")
        self._stack.pop()
        return value

    def _skip_fragments(self, offset: int, end: int) -> int:
        return fragments_end(
            self._data,
            offset,
            end,
            little_endian=self._little_endian,
            max_fragments=self._left,
        )

    def _spend(self, count: int) -> None:
        self._left -= 1
        if self._left < 0 or count > self._limits.max_item_elements:
            raise LimitExceededError("sequence", "too many elements")

    @staticmethod
    def _check_end(element: Element, scope: _Scope) -> None:
        if element.length != UNDEFINED_LENGTH:
            _Walk._bounded(element, scope.end)

    @staticmethod
    def _bounded(element: Element, end: int) -> int:
        if element.offset + element.length > end:
            raise TruncatedError("sequence", "an element runs past what holds it")
        return element.offset + element.length
