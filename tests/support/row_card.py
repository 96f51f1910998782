"""One object that holds every row of PS3.15 Table E.1-1, and whether each was followed.

What a row asks for is read from the published lists, not from our own table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from services.deid.identifiers import NUMBERS
from services.deid.profile.options import Option
from tests.support.instances import ct_instance

SECRET: Final = "SECRETWORD"
CLINICAL: Final = "chest"
KEPT: Final = "UNNAMED"
NESTING: Final = 0x00089215  # Derivation Code Sequence, which stays
_NAMES: Final = {
    "rtnSafePrivOpt": Option.RETAIN_SAFE_PRIVATE,
    "rtnUIDsOpt": Option.RETAIN_UIDS,
    "rtnDevIdOpt": Option.RETAIN_DEVICE_IDENTITY,
    "rtnInstIdOpt": Option.RETAIN_INSTITUTION_IDENTITY,
    "rtnPatCharsOpt": Option.RETAIN_PATIENT_CHARACTERISTICS,
    "rtnLongFullDatesOpt": Option.RETAIN_FULL_DATES,
    "rtnLongModifDatesOpt": Option.RETAIN_MODIFIED_DATES,
    "cleanDescOpt": Option.CLEAN_DESCRIPTORS,
    "cleanStructContOpt": Option.CLEAN_STRUCTURED_CONTENT,
    "cleanGraphOpt": Option.CLEAN_GRAPHICS,
}
_VALUES: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), SECRET),
    **dict.fromkeys(("OB", "OW", "UN", "OF"), KEPT.encode() + b"1"),
    **dict.fromkeys(("FD", "FL"), 271828.0),
    **dict.fromkeys(("SL", "UL"), 271828),
    **dict.fromkeys(("SS", "US"), 27182),
    **dict.fromkeys(("DS", "IS"), "271828"),
    "AS": "042Y",
    "AT": 0x00100010,
    "DA": "19991231",
    "DT": "19991231235959",
    "TM": "235959",
    "UI": "1.2.3.271828",
    "UR": f"http://{SECRET}",
}
# Identity of the object itself, and what no data set may hold, is looked at in other tests.
_ELSEWHERE: Final = {0x00080018, 0x0020000D, 0x0020000E, 0x00100010, 0x00100020}
_TEXTS: Final = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"})
# Content, annotations of waveforms and of presentation states: their codes stay.
TREATED_BY_ITEM: Final = {0x0040A730, 0x0040B020, 0x00700001}
# Sought in what comes out, so that no other attribute may have the same.
_OWN_VALUES: Final = {0x00100030: "19300312", 0x00200052: "1.2.3.52"}


@dataclass(frozen=True)
class PublishedRow:
    """What the published lists say of an attribute.

    Attributes:
        tag: Of the attribute.
        basic: Action of the Basic Profile.
        options: "K" or "C" by option.
    """

    tag: int
    basic: str
    options: Mapping[Option, str]


@cache
def published(folder: Path) -> tuple[PublishedRow, ...]:
    """Return the rows that are named by a tag and can stand in a data set."""
    older = json.loads((folder / "ps315_e1_profile_and_options_2024e.json").read_text())
    newer = json.loads((folder / "ps315_e1_basic_actions_2026c.json").read_text())["actions"]
    options = {
        int(row["id"], 16): {option: row[name] for name, option in _NAMES.items() if name in row}
        for row in older
        if "x" not in row["id"].lower() and not row["id"].lower().startswith("gggg")
    }
    basic = {int(row["id"], 16): row["basicProfile"] for row in older if _is_tag(row["id"])}
    for action, tags in newer.items():
        basic.update({int(tag[0] + tag[1], 16): action for tag in tags if len(tag) == 2})
    return tuple(
        PublishedRow(tag, action, options.get(tag, {}))
        for tag, action in sorted(basic.items())
        if 0x00080000 <= tag < 0xFFFA0000 and tag not in _ELSEWHERE
    )


def _is_tag(text: str) -> bool:
    return all(digit in "0123456789abcdefABCDEF" for digit in text)


def with_every_row(rows: tuple[PublishedRow, ...]) -> Dataset:
    """Return an object that holds each attribute at its root and in an item."""
    dataset, nested = ct_instance(size=8), Dataset()
    for row in rows:
        for place in (dataset, nested):
            place.add_new(row.tag, vr_of(row.tag), _value(row))
    dataset.add_new(NESTING, "SQ", Sequence([nested]))
    return dataset


def vr_of(tag: int) -> str:
    """Return the VR of an attribute, LO for one that our PS3.6 does not know."""
    entry = DicomDictionary.get(tag)
    return entry[0].split(" or ")[-1] if entry else "LO"


def _value(row: PublishedRow) -> Any:
    vr = vr_of(row.tag)
    if vr == "SQ":
        item = Dataset()
        item.PatientName, item.ReferencedSOPInstanceUID = SECRET, "1.2.3.271828"
        item.CodeMeaning = KEPT
        return Sequence([item])
    if row.tag in _OWN_VALUES:
        return _OWN_VALUES[row.tag]
    if vr in _TEXTS and vr != "CS" and "C" in row.options.values():
        return f"{KEPT} {CLINICAL}"
    # Of nobody in the header, so that the row alone can tell; others would be sought.
    return KEPT if vr in _TEXTS and row.tag not in NUMBERS else _VALUES[vr]


def not_followed(
    clean: Dataset, rows: tuple[PublishedRow, ...], option: Option | None
) -> Iterator[tuple[int, str]]:
    """Yield tag and place of each row that was not followed, under one option or none."""
    for place, level in (("root", clean), ("nested", clean[NESTING].value[0])):
        for row in rows:
            asked = row.options.get(option, row.basic) if option else row.basic
            if not _is_followed(level, row, asked):
                yield row.tag, place


def _is_followed(level: Dataset, row: PublishedRow, action: str) -> bool:
    found = level.get(row.tag)
    if action in ("K", "C"):
        unread = action == "C" and vr_of(row.tag) in ("OB", "CS")  # nothing reads those
        return unread or row.tag not in DicomDictionary or _stays(found, row, action)
    if action == "X" or found is None:
        return found is None and "X" in action
    if found.VR == "SQ":
        return _is_treated(found, row.tag, action)
    if action == "U":
        return UID(found.value).is_valid and found.value != _VALUES["UI"]
    return "Z" in action if found.is_empty else bool(found.value != _value(row))


def _stays(found: Any, row: PublishedRow, action: str) -> bool:
    if found is None:
        return False
    if found.VR == "SQ":
        return _is_treated(found, row.tag, action)
    before, now = str(_value(row)), str(found.value)
    if action == "K":
        return now == before
    if found.VR in ("DA", "DT"):
        return len(now) == len(before) and now != before
    if found.VR in _TEXTS:
        return KEPT not in now and CLINICAL in now
    return now == before


def _is_treated(sequence: Any, tag: int, action: str) -> bool:
    held = "".join(str(item) for item in sequence.value)
    if action in ("Z", "X/Z"):
        return not held
    replaced = "D" in action and tag not in TREATED_BY_ITEM
    return SECRET not in held and not (replaced and KEPT in held)
