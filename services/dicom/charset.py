"""Text of a stranger: bytes to str by Specific Character Set (PS3.5 section 6.1), never raising."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

DEFAULT_ENCODINGS: Final = ("iso8859",)
_FRAGMENT: Final = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
# PS3.5 6.1.2.5.3: these put back the first character set.
_RESET: Final = re.compile(rb"[\\^=\r\n\t\f]")
_STATEFUL: Final = ("iso2022_jp", "iso2022_jp_2")


@lru_cache(maxsize=256)
def encodings_of(specific_character_set: bytes) -> tuple[str, ...]:
    r"""Turn the value of (0008,0005) into Python encodings, first one the default.

    Unknown terms count as the default repertoire. Bounded: at most nine terms are read.
    """
    terms = specific_character_set[:256].decode("ascii", "replace").split("\\")[:9]
    known = [python_encoding.get(_normal(term), "iso8859") for term in terms]
    return tuple(dict.fromkeys(known)) or DEFAULT_ENCODINGS


def _normal(term: str) -> str:
    term = term.strip(" \0").upper().replace("_", " ").replace("-", " ")
    return term.replace("ISO IR", "ISO_IR") if term.startswith("ISO IR") else term


def decode(value: bytes, encodings: Sequence[str] = DEFAULT_ENCODINGS) -> str:
    """Decode one encoded value, code extensions included.

    Bytes that do not decode become U+FFFD; NULs stay (see ``clean``).
    """
    if b"\x1b" not in value:
        return value.decode(encodings[0], "replace")
    return "".join(_decode_fragment(part, encodings) for part in _FRAGMENT.findall(value))


def _decode_fragment(part: bytes, encodings: Sequence[str]) -> str:
    if not part.startswith(b"\x1b"):
        return part.decode(encodings[0], "replace")
    size = 4 if part.startswith((b"\x1b$(", b"\x1b$)")) else 3
    encoding = CODES_TO_ENCODINGS.get(part[:size])
    if encoding is None:
        return part[1:].decode(encodings[0], "replace")
    if encoding in _STATEFUL:
        return part.decode(encoding, "replace")
    text = part[size:]
    reset = _RESET.search(text)
    end = len(text) if reset is None else reset.start()
    return text[:end].decode(encoding, "replace") + text[end:].decode(encodings[0], "replace")


def clean(text: str, max_chars: int) -> str:
    """Strip NULs and outer blanks, and cap the length."""
    return text.replace("\0", "").strip()[:max_chars]
