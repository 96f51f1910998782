"""Why an object is held, in the form in which it is told."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from pydicom.datadict import tag_for_keyword

from services.deid.errors import DeidRefusedError
from services.deid.pixels.left import TextLeftError
from services.deid.pixels.text import Box

_PATH: Final = re.compile(r"[0-9a-f]{8}(\[\d{1,7}\]\.[0-9a-f]{8})*")


def finding(error: DeidRefusedError) -> dict[str, str]:
    """Return code, element and rule; the element as a path of tags."""
    return {"code": error.code, "element": element_path(error.field), "rule": error.rule}


def boxes_of(error: Exception) -> tuple[Box, ...]:
    """Return where an error saw text in pixels."""
    return error.boxes if isinstance(error, TextLeftError) else ()


@lru_cache(1024)
def element_path(field: str) -> str:
    """Return an element as eight hexadecimal digits, a path of them as it is, "" for others.

    Args:
        field: A keyword of PS3.6, or a tag, or a path of tags.
    """
    if _PATH.fullmatch(field.lower()):
        return field.lower()
    tag = tag_for_keyword(field) if field else None
    return f"{tag:08x}" if tag is not None else ""
