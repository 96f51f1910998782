"""Every row of PS3.15 Table E.1-1, as published lists have it, at the root and nested."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from services.deid.deidentify import Deidentifier
from services.deid.profile.options import Option, options_of
from services.deid.profile.table import rows
from services.deid.pseudonyms import Pseudonyms
from tests.services.deid.conftest import KEY, read_back
from tests.support.corpora import corpus
from tests.support.instances import ct_instance, part10

pytestmark = pytest.mark.corpora

SECRET: Final = "SECRETWORD"
NESTING: Final = 0x00089215  # Derivation Code Sequence, which stays
VALUES: Final[dict[str, Any]] = {
    "AE": SECRET,
    "AS": "042Y",
    "AT": 0x00100010,
    "CS": SECRET,
    "DA": "19991231",
    "DS": "271828",
    "DT": "19991231235959",
    "FD": 271828.0,
    "FL": 271828.0,
    "IS": "271828",
    "PN": SECRET,
    "SL": 271828,
    "SS": 27182,
    "TM": "235959",
    "UI": "1.2.3.271828",
    "UL": 271828,
    "UR": f"http://{SECRET}",
    "US": 27182,
    **dict.fromkeys(("LO", "LT", "SH", "ST", "UC", "UT"), SECRET),
    **dict.fromkeys(("OB", "OW", "UN", "OF"), SECRET.encode() + b"12"),
}
NAMES: Final = {
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
# Identity of the object itself, and what no data set may hold: looked at in other tests.
ELSEWHERE: Final = {0x00080018, 0x0020000D, 0x0020000E, 0x00100010, 0x00100020}


@cache
def published() -> dict[int, str]:
    """Tag and basic action of every attribute that is named by its tag."""
    folder = corpus("deid-profile")
    older = json.loads((folder / "ps315_e1_profile_and_options_2024e.json").read_text())
    newer = json.loads((folder / "ps315_e1_basic_actions_2026c.json").read_text())["actions"]
    found = {
        int(row["id"], 16): row["basicProfile"]
        for row in older
        if all(digit in "0123456789abcdefABCDEF" for digit in row["id"])
    }
    for action, tags in newer.items():
        found.update({int(tag[0] + tag[1], 16): action for tag in tags if len(tag) == 2})
    return found


def treatable() -> Iterator[tuple[int, str]]:
    for tag, action in sorted(published().items()):
        if tag >= 0x00080000 and tag < 0xFFFA0000 and tag not in ELSEWHERE:
            yield tag, action


def vr_of(tag: int) -> str:
    try:
        return str(dictionary_VR(tag)).split(" or ")[-1]
    except KeyError:
        return "LO"


def with_every_row(tags: list[int]) -> Dataset:
    dataset = ct_instance(size=8)
    nested = Dataset()
    for tag in tags:
        for place in (dataset, nested):
            place.add(element(tag))
    dataset.add_new(NESTING, "SQ", Sequence([nested]))
    return dataset


def element(tag: int) -> DataElement:
    vr = vr_of(tag)
    if vr == "SQ":
        item = Dataset()
        item.PatientName = SECRET
        item.ReferencedSOPInstanceUID = "1.2.3.271828"
        return DataElement(tag, "SQ", Sequence([item]))
    return DataElement(tag, vr, VALUES[vr])


def deidentify(dataset: Dataset, options: frozenset[Option]) -> Dataset:
    return read_back(Deidentifier(options, Pseudonyms(KEY)).deidentify(part10(dataset)))


def test_our_table_is_the_union_of_the_published_ones() -> None:
    ours = {int(row.tag, 16): row.basic for row in rows() if row.tag.isalnum() and _hex(row.tag)}

    assert ours == published()
    assert len(list(rows())) == len(published()) + 4


def test_our_table_has_every_option_of_the_published_one() -> None:
    older = json.loads(
        (corpus("deid-profile") / "ps315_e1_profile_and_options_2024e.json").read_text()
    )
    expected = {
        row["id"].lower(): {NAMES[name]: row[name] for name in NAMES if name in row}
        for row in older
        if not row["id"].startswith("gggg")
    }

    ours = {row.tag: dict(row.options) for row in rows() if row.tag != "private"}

    assert {tag: options for tag, options in ours.items() if tag in expected} == expected
    assert not any(options for tag, options in ours.items() if tag not in expected)


def test_the_basic_profile_does_what_each_row_says_at_the_root_and_nested() -> None:
    wanted = list(treatable())
    clean = deidentify(with_every_row([tag for tag, _ in wanted]), options_of("basic"))

    for level in (clean, clean[NESTING].value[0]):
        wrong = {f"{tag:08x}": action for tag, action in wanted if not followed(level, tag, action)}
        assert wrong == {}
    assert SECRET.encode() not in _bytes(clean)
    assert len(wanted) > 620


def followed(level: Dataset, tag: int, action: str) -> bool:
    if action == "X":
        return tag not in level
    found = level.get(tag)
    if found is None:
        return "X" in action
    if found.VR == "SQ":
        return SECRET not in str(found)
    if action == "U":
        return UID(found.value).is_valid and found.value != VALUES["UI"]
    if found.is_empty:
        return "Z" in action
    return bool(found.value != VALUES.get(found.VR))


def _hex(text: str) -> bool:
    return all(digit in "0123456789abcdef" for digit in text)


def _bytes(dataset: Dataset) -> bytes:
    return part10(dataset)
