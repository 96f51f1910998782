"""Where devices are known to write into their frames, as data."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from services.deid.pixels.text import Area

MANUFACTURER: Final = 0x00080070
MODEL: Final = 0x00081090
_FILE: Final = "device_masks.tsv"


@dataclass(frozen=True, slots=True)
class Mask:
    """One place in which one kind of device writes.

    Attributes:
        manufacturer: What Manufacturer holds, casefolded.
        model: What Manufacturer's Model Name holds, casefolded.
        rows: Of the frames that it is about.
        columns: Of them.
        area: Where it writes.
    """

    manufacturer: str
    model: str
    rows: int
    columns: int
    area: Area


def device_masks(values: Mapping[int, str], rows: int, columns: int) -> list[Area]:
    """Return where the device of an object is known to write.

    Args:
        values: Texts of its header, ``MANUFACTURER`` and ``MODEL`` among them.
        rows: Of its frames.
        columns: Of its frames.
    """
    manufacturer = values.get(MANUFACTURER, "").casefold()
    model = values.get(MODEL, "").casefold()
    return [
        mask.area
        for mask in _masks()
        if (mask.rows, mask.columns) == (rows, columns)
        and mask.manufacturer in manufacturer
        and mask.model in model
    ]


@cache
def _masks() -> tuple[Mask, ...]:
    text = files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return tuple(
        Mask(
            line["manufacturer"].casefold(),
            line["model"].casefold(),
            int(line["rows"]),
            int(line["columns"]),
            Area(*(int(line[key]) for key in ("x", "y", "width", "height"))),
        )
        for line in csv.DictReader(lines, delimiter="\t")
    )
