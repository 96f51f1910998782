"""Kinds of matching by VR (PS3.4 C.2.2.2), and identifiers as they are encoded."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.query_retrieve.attributes import known
from gateway.query_retrieve.identifier import (
    UTF_8,
    Key,
    decode_identifier,
    encode_data_set,
)
from gateway.query_retrieve.matching import (
    Condition,
    MatchingError,
    Range,
    Values,
    Wildcard,
    condition,
)
from gateway.query_retrieve.models import Level
from services.coordinator.archive.keys import KEYS
from services.dicom.errors import DicomError

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
TABLE: list[tuple[str, tuple[str, ...], Condition | None]] = [
    ("LO", (), None),
    ("LO", ("*",), None),
    ("UI", ("*",), None),
    ("LO", ("ABC",), Values(("ABC",))),
    ("LO", ("A*C",), Wildcard("A*C")),
    ("LO", ("A?C",), Wildcard("A?C")),
    ("LO", ("100%", "_"), Values(("100%", "_"))),
    ("CS", ("CT", "MR"), Values(("CT", "MR"))),
    ("UI", ("1.2", "1.3"), Values(("1.2", "1.3"))),
    ("PN", ("Doe^Jane^^",), Values(("Doe^Jane",))),
    ("PN", ("Doe*",), Wildcard("Doe*")),
    ("DA", ("20260102",), Values(("20260102",))),
    ("DA", ("2026.01.02",), Values(("20260102",))),
    ("DA", ("20260102-",), Range("20260102", "")),
    ("DA", ("-20260102",), Range("", "20260102")),
    ("DA", ("20260101-20260102",), Range("20260101", "20260102")),
    ("TM", ("1015",), Values(("1015",))),
    ("TM", ("10:15:00",), Values(("101500",))),
    ("TM", ("1015-101559.5",), Range("1015", "101559.5")),
    ("IS", (" +7",), Values(("7",))),
]


@pytest.mark.parametrize(("vr", "values", "asked"), TABLE)
def test_a_value_asks_for_what_its_vr_says(
    vr: str, values: tuple[str, ...], asked: Condition | None
) -> None:
    assert condition(Key(0, vr, tuple(v.strip() for v in values)), vr) == asked


@pytest.mark.parametrize(
    ("vr", "values"),
    [
        ("DA", ("2026",)),
        ("DA", ("-",)),
        ("DA", ("20260101", "20260102")),
        ("TM", ("25h",)),
        ("UI", ("1.2*",)),
        ("IS", ("seven",)),
        ("LO", ("A*", "B")),
        ("LO", ("x",) * 1001),
    ],
)
def test_what_no_kind_of_matching_takes_is_refused(vr: str, values: tuple[str, ...]) -> None:
    with pytest.raises(MatchingError):
        condition(Key(0, vr, values), vr)


def test_what_we_match_is_what_the_archive_matches() -> None:
    ours = {a.keyword: a.level for level in Level for a in known(level).values() if a.matched}
    theirs = {name: key.level.name.replace("INSTANCE", "IMAGE") for name, key in KEYS.items()}

    assert {name: level.value for name, level in ours.items()} == theirs


TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")))


@given(st.dictionaries(st.sampled_from([0x00100010, 0x00100020, 0x00081030]), TEXTS))
def test_text_comes_back_as_it_was_encoded(values: dict[int, str]) -> None:
    clean = {tag: text.replace("\\", "").strip() for tag, text in values.items()}
    for syntax in (EXPLICIT, IMPLICIT):
        data = encode_data_set(clean, syntax)

        found = decode_identifier(data, syntax)

        assert len(data) % 2 == 0
        assert UTF_8.encode() in data
        for tag, text in clean.items():
            assert "".join(found.values(tag)) == text


@given(st.binary(max_size=300), st.sampled_from([EXPLICIT, IMPLICIT]))
def test_no_bytes_raise_anything_but_what_they_may(data: bytes, syntax: str) -> None:
    with suppress(DicomError):
        found = decode_identifier(data, syntax)
        assert all(tag & 0xFFFF for tag in found.keys)
