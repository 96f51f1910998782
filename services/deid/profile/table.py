"""Table E.1-1 of PS3.15, the union of the editions named in it, in the project's own form."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from services.deid.profile.options import Option

EDITION: Final = "2024e+2026c"


@dataclass(frozen=True, slots=True)
class Row:
    """What the table says of one attribute.

    Attributes:
        tag: Eight hexadecimal digits, 'x' for any; "private" for every odd group.
        keyword: Keyword of PS3.6, "-" where our dictionary is older.
        edition: The edition that brought the attribute in.
        basic: Action of the Basic Profile, e.g. "X", "Z/D", "U".
        options: "K" or "C" of the options that have an entry.
    """

    tag: str
    keyword: str
    edition: str
    basic: str
    options: Mapping[Option, str]


class TableChangedError(Exception):
    """The table is not the one that was checked: nothing is de-identified by it."""

    def __init__(self) -> None:
        super().__init__("the table of the profile is not the one that was checked")


def rows() -> Iterator[Row]:
    """Yield every row in the order of the tags.

    Raises:
        TableChangedError: A row was removed or changed and the table not made anew.
    """
    folder = files(__package__)
    data = folder.joinpath("table_e1_1.tsv").read_bytes()
    if hashlib.sha256(data).hexdigest() != folder.joinpath("table_e1_1.sha256").read_text().strip():
        raise TableChangedError
    yield from _parsed(data.decode())


def _parsed(text: str) -> Iterator[Row]:
    for line in csv.DictReader(text.splitlines(), delimiter="\t"):
        options = {one: line[one.label] for one in Option if line.get(one.label)}
        yield Row(line["tag"], line["keyword"], line["edition"], line["basic"], options)


@cache
def _exact() -> Mapping[int, Row]:
    return {int(row.tag, 16): row for row in rows() if "x" not in row.tag and row.tag != "private"}


@cache
def _patterns() -> Mapping[str, Row]:
    return {row.tag: row for row in rows() if "x" in row.tag or row.tag == "private"}


def row_of(tag: int) -> Row | None:
    """Return the row of an attribute, also where it is named by a pattern; None without one."""
    found = _exact().get(tag)
    if found is not None:
        return found
    if tag >> 16 & 1:
        return _patterns()["private"]
    digits = f"{tag:08x}"
    name = f"{digits[:2]}xx"
    return _patterns().get(name + digits[4:]) or _patterns().get(name + "xxxx")
