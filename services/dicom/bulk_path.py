"""Addresses of values that metadata leaves out (PS3.18 section 10.4.1.1.5), below the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.dicom.encoding import UNDEFINED_LENGTH
from services.dicom.walk import Element

PREFIX: Final = "studies/"
"""How each path begins; whoever gives metadata out puts the URL of the service before it."""


def bulk_path(study: str, series: str, instance: str) -> Callable[[Element], str]:
    """Return what gives the path of a value of one instance.

    The path ends with the tag; a value that lies in the data set as it is also has its offset
    there (inflated, where deflated) and its length in bytes.

    Args:
        study: Study Instance UID (0020,000D).
        series: Series Instance UID (0020,000E).
        instance: SOP Instance UID (0008,0018).
    """
    root = f"{PREFIX}{study}/series/{series}/instances/{instance}/bulkdata"

    def path(element: Element) -> str:
        tag = f"{element.tag:08X}"
        if element.length == UNDEFINED_LENGTH:
            return f"{root}/{tag}"
        return f"{root}/{tag}/{element.offset}/{element.length}"

    return path
