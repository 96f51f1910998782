"""The structured result: the report as JSON, for programs."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final

from services.reporting.report import Report

SCHEMA: Final = "heimdallr.report/1"
"""Name and major version; a field is only ever added within a version."""

MEDIA_TYPE: Final = "application/json"
STATUS: Final = "preliminary"
DISCLAIMER: Final = (
    "Preliminary and produced by software. Not a medical device; not for diagnosis. "
    "A qualified person has to check every value against the images."
)


def structured_result(report: Report) -> bytes:
    """Return the report as JSON, UTF-8; the same report gives the same bytes.

    Every measurement has either ``value`` with ``number`` and ``unit_ucum``, or ``refusal``
    with ``code`` and ``text``; the other is null.

    Raises:
        ValueError: A number is not finite.
    """
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "status": STATUS,
        "signed_by": None,
        "disclaimer": DISCLAIMER,
        **dataclasses.asdict(report),
    }
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True)
    return text.encode("utf-8", "backslashreplace") + b"\n"
