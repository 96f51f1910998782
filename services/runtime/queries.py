"""SQL statements by name, from the ``queries.sql`` of a package.

Each begins with a line ``-- name: what it does``; the statement follows up to the next such line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Final

_HEADING: Final = re.compile(r"^-- ([a-z][a-z0-9_]*): .+$", re.MULTILINE)


def load_queries(package: str, file: str = "queries.sql") -> Mapping[str, str]:
    """Return the statements of a package, e.g. "services.coordinator.access".

    Raises:
        ValueError: A name stands twice or names no statement.
    """
    text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    return MappingProxyType(parse_queries(text))


def parse_queries(text: str) -> dict[str, str]:
    """Return the statements in a text by name.

    Raises:
        ValueError: A name stands twice or names no statement.
    """
    pieces = _HEADING.split(text)[1:]
    found: dict[str, str] = {}
    for name, statement in zip(pieces[::2], pieces[1::2], strict=True):
        statement = statement.strip().rstrip(";")
        if name in found or not statement:
            raise ValueError(f"queries.sql: {name} stands twice or is empty")
        found[name] = statement
    return found
