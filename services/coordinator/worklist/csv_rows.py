"""A CSV file of scheduled steps: its columns and rows, without transport or database."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from services.runtime.errors import InvalidFieldError

MOST_BYTES: Final = 3 << 20
MOST_ROWS: Final = 10_000
_FIELD: Final = "csv"
_NEEDED: Final = ("patient_id", "patient_name", "station", "date", "time", "modality")
COLUMNS: Final = (
    *_NEEDED,
    "issuer_of_patient_id",
    "patient_birth_date",
    "patient_sex",
    "patient_weight_kg",
    "accession_number",
    "requested_procedure_id",
    "procedure",
    "study_instance_uid",
    "referring_physician",
    "requesting_physician",
    "priority",
    "step_id",
    "step",
    "station_name",
    "location",
    "performing_physician",
)
"""Names that the first row may have, those that are needed first."""


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row of the file.

    Attributes:
        line: Line on which it begins, from 1.
        values: Its values by column; empty where it has none.
        ordinal: Number of the row among those of its accession number, from 1.
        complete: Whether it has as many values as there are columns.
    """

    line: int
    values: Mapping[str, str]
    ordinal: int
    complete: bool


def read_rows(data: bytes) -> list[CsvRow]:
    """Return the rows of a file; empty ones are left out.

    Raises:
        InvalidFieldError: It is too large, is no UTF-8 or CSV, or does not name its columns.
    """
    if len(data) > MOST_BYTES:
        raise InvalidFieldError(_FIELD, f"at most {MOST_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidFieldError(_FIELD, "UTF-8") from None
    if "\0" in text:
        raise InvalidFieldError(_FIELD, "no NUL characters")
    try:
        return list(_rows(text))
    except csv.Error:
        raise InvalidFieldError(_FIELD, "rows of comma or semicolon separated values") from None


def _rows(text: str) -> Iterator[CsvRow]:
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names = _names(next(reader, []))
    seen: Counter[str] = Counter()
    line = reader.line_num + 1
    count = 0
    for cells in reader:
        begins, line = line, reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > MOST_ROWS:
            raise InvalidFieldError(_FIELD, f"at most {MOST_ROWS} rows")
        values = dict(zip(names, (cell.strip() for cell in cells), strict=False))
        accession = values.get("accession_number", "")
        seen[accession] += 1
        yield CsvRow(begins, values, seen[accession], len(cells) == len(names))


def _names(cells: list[str]) -> list[str]:
    names = [cell.strip().lower().replace(" ", "_") for cell in cells]
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise InvalidFieldError(_FIELD, f"a first row that names {', '.join(missing)}")
    unknown = sum(name not in COLUMNS for name in names)
    if unknown or len(set(names)) != len(names):
        raise InvalidFieldError(_FIELD, f"each column once, of: {', '.join(COLUMNS)}")
    return names
