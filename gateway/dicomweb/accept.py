"""What a client takes (RFC 9110 section 12.5.1, PS3.18 section 8.7): media ranges and their order.

Clients write the type parameter of ``multipart/related`` without the quotes that its slash needs;
they are understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web

_LONGEST: Final = 4096
_MOST_RANGES: Final = 32
_OUTSIDE_QUOTES: Final = r'(?=(?:[^"]*"[^"]*")*[^"]*$)'
_COMMA: Final = re.compile("," + _OUTSIDE_QUOTES)
_SEMICOLON: Final = re.compile(";" + _OUTSIDE_QUOTES)
MULTIPART: Final = "multipart/related"
ANY: Final = "*/*"


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One media range.

    Attributes:
        media_type: Like "multipart/related" or "image/*", lower case.
        parameters: Its parameters by lower-case name, without quotes.
        quality: How much it is wanted, 0 to 1.
    """

    media_type: str
    parameters: Mapping[str, str]
    quality: float

    @property
    def is_multipart(self) -> bool:
        """Whether parts are wanted."""
        return self.media_type == MULTIPART

    @property
    def inner(self) -> str:
        """Media type of what is inside: that of the parts, or of the whole."""
        if self.is_multipart:
            return self.parameters.get("type", ANY).lower()
        return self.media_type

    @property
    def transfer_syntax(self) -> str | None:
        """Transfer syntax wanted; "*" for the one stored, None for none named."""
        return self.parameters.get("transfer-syntax")

    def matches(self, media_type: str) -> bool:
        """Whether a media type lies in what is wanted inside."""
        wanted = self.inner
        if wanted in (ANY, media_type):
            return True
        return wanted.endswith("/*") and media_type.startswith(wanted[:-1])


EVERYTHING: Final = MediaRange(ANY, {}, 1.0)


def accepted(request: web.Request) -> list[MediaRange]:
    """Return what a request takes, the most wanted first.

    The ``accept`` parameter of the query counts before the header (PS3.18 section 8.3.3.1).
    """
    text = request.query.get("accept") or ",".join(request.headers.getall("Accept", []))
    return media_ranges(text)


def media_ranges(text: str) -> list[MediaRange]:
    """Read an Accept header; an empty one takes everything."""
    if not text.strip():
        return [EVERYTHING]
    found = [_read(part) for part in _COMMA.split(text[:_LONGEST])[:_MOST_RANGES]]
    wanted = [media for media in found if media is not None and media.quality > 0]
    return sorted(wanted, key=lambda media: -media.quality)


def _read(text: str) -> MediaRange | None:
    media_type, *rest = _SEMICOLON.split(text)
    media_type = media_type.strip().lower()
    if media_type.count("/") != 1:
        return None
    parameters = dict(_parameters(rest))
    try:
        quality = float(parameters.pop("q", "1"))
    except ValueError:
        quality = 1.0
    return MediaRange(media_type, parameters, min(max(quality, 0.0), 1.0))


def _parameters(texts: list[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if equals:
            yield name.strip().lower(), value.strip().strip('"')
