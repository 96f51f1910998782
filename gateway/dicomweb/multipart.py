"""Multipart bodies in and out (RFC 2046 section 5.1), piece by piece and within bounds."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

# 70 characters are the most of RFC 2046; Orthanc sends 73.
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,199}[0-9A-Za-z'()+_,./:=?-]")
_PREAMBLE_BYTES: Final = 64 << 10
_LINE_SPACE: Final = b" \t"


class MultipartError(Exception):
    """A body that breaks the form, or a bound; the message is a rule without values."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a body may have.

    Attributes:
        parts: Most parts.
        header_bytes: Longest headers of one part.
    """

    parts: int = 5000
    header_bytes: int = 8 << 10


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part begins; header names are lower case."""

    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """Some of its content."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """It ends."""


Event = PartBegin | PartData | PartEnd


class _State(Enum):
    PREAMBLE = auto()
    DELIMITED = auto()
    HEADERS = auto()
    BODY = auto()
    EPILOGUE = auto()


def valid_boundary(text: str) -> bool:
    """Whether a text may be a boundary (RFC 2046 section 5.1.1), or nearly."""
    return _BOUNDARY.fullmatch(text) is not None


@dataclass(slots=True)
class MultipartParser:
    """Turns pieces of a body into events; it holds no more than one piece and some headers.

    Args:
        boundary: Boundary of the body, as ``valid_boundary`` likes it.
        bounds: What the body may have.
    """

    boundary: str
    bounds: Bounds = field(default_factory=Bounds)
    _buffer: bytearray = field(default_factory=lambda: bytearray(b"\r\n"), init=False)
    _state: _State = field(default=_State.PREAMBLE, init=False)
    _parts: int = field(default=0, init=False)

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield what a piece brings.

        Raises:
            MultipartError: The form or a bound is broken.
        """
        if self._state is _State.EPILOGUE:
            return
        self._buffer += piece
        while True:
            before = self._state, len(self._buffer)
            yield from self._step()
            if before == (self._state, len(self._buffer)):
                return

    def end(self) -> None:
        """Check that the body ended with its closing delimiter.

        Raises:
            MultipartError: It did not.
        """
        if self._state is not _State.EPILOGUE:
            raise MultipartError("the body ends before its closing delimiter")

    def _step(self) -> Iterator[Event]:
        if self._state is _State.PREAMBLE:
            self._skip_preamble()
        elif self._state is _State.DELIMITED:
            self._after_delimiter()
        elif self._state is _State.HEADERS:
            yield from self._headers()
        elif self._state is _State.BODY:
            yield from self._body()
        else:
            self._buffer.clear()

    @property
    def _delimiter(self) -> bytes:
        return b"\r\n--" + self.boundary.encode("ascii")

    def _skip_preamble(self) -> None:
        found = self._buffer.find(self._delimiter)
        if found < 0:
            if len(self._buffer) > _PREAMBLE_BYTES:
                raise MultipartError("no delimiter where the body begins")
            return
        del self._buffer[: found + len(self._delimiter)]
        self._state = _State.DELIMITED

    def _after_delimiter(self) -> None:
        if self._buffer[:2] == b"--":
            self._buffer.clear()
            self._state = _State.EPILOGUE
            return
        line = self._buffer.find(b"\r\n")
        # What has come so far may end in the middle of a line end, or of "--".
        come = self._buffer[:line] if line >= 0 else self._buffer.removesuffix(b"\r")
        if come.strip(_LINE_SPACE) and not (line < 0 and self._buffer == b"-"):
            raise MultipartError("something other than a line end after a delimiter")
        if line < 0:
            if len(self._buffer) > self.bounds.header_bytes:
                raise MultipartError("no line end after a delimiter")
            return
        # The line end stays: it is the first half of an empty block of headers.
        del self._buffer[:line]
        self._parts += 1
        if self._parts > self.bounds.parts:
            raise MultipartError("more parts than are taken")
        self._state = _State.HEADERS

    def _headers(self) -> Iterator[Event]:
        end = self._buffer.find(b"\r\n\r\n")
        if (end if end >= 0 else len(self._buffer)) > self.bounds.header_bytes:
            raise MultipartError("longer headers of a part than are taken")
        if end < 0:
            return
        headers = dict(_headers_of(bytes(self._buffer[:end])))
        del self._buffer[: end + 4]
        self._state = _State.BODY
        yield PartBegin(headers)

    def _body(self) -> Iterator[Event]:
        delimiter = self._delimiter
        found = self._buffer.find(delimiter)
        if found >= 0:
            if found:
                yield PartData(bytes(self._buffer[:found]))
            del self._buffer[: found + len(delimiter)]
            self._state = _State.DELIMITED
            yield PartEnd()
            return
        # What could be the beginning of a delimiter stays.
        safe = self._buffer.rfind(b"\r", max(0, len(self._buffer) - len(delimiter)))
        safe = len(self._buffer) if safe < 0 else max(safe, len(self._buffer) - len(delimiter) + 1)
        if safe:
            yield PartData(bytes(self._buffer[:safe]))
            del self._buffer[:safe]


def _headers_of(block: bytes) -> Iterator[tuple[str, str]]:
    for line in block.split(b"\r\n"):
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            yield name.strip().lower(), value.strip()
        elif name.strip():
            raise MultipartError("a header of a part without a colon")


class MultipartReader:
    """Reads the parts of a body one after another.

    Args:
        source: The body.
        parser: Takes it apart.
    """

    def __init__(self, source: AsyncIterator[bytes], parser: MultipartParser) -> None:
        self._events = _events(source, parser)

    async def parts(self) -> AsyncIterator[tuple[Mapping[str, str], AsyncIterator[bytes]]]:
        """Yield headers and content of each part; content that is not read is passed over.

        Raises:
            MultipartError: The form or a bound is broken.
        """
        async for event in self._events:
            if isinstance(event, PartBegin):
                content = self._content()
                yield event.headers, content
                async for _ in content:
                    pass

    async def _content(self) -> AsyncIterator[bytes]:
        async for event in self._events:
            if isinstance(event, PartData):
                yield event.data
            else:
                return


async def _events(source: AsyncIterator[bytes], parser: MultipartParser) -> AsyncIterator[Event]:
    async for piece in source:
        for event in parser.feed(piece):
            yield event
    parser.end()
