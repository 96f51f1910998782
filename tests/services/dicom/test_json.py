from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom.errors import DicomError, LimitExceededError
from services.dicom.json import header_json
from services.dicom.part10 import split_part10
from services.dicom.uids import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from services.dicom.walk import Limits
from tests.services.dicom import encode

# Pixel data, which pydicom was told to leave out, and the character set, which differs.
_APART = {"7FE00010", "7FE00008", "7FE00009", "00080005"}


def _json(data: bytes, syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> dict[str, Any]:
    return header_json(data, syntax)


# Encoded value and its JSON: PS3.18 F.2.2 to F.2.5.
@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("CS", b"ORIGINAL\\PRIMARY", ["ORIGINAL", "PRIMARY"]),
        ("CS", b"A\\\\B ", ["A", None, "B"]),
        ("UI", b"1.2.3\0", ["1.2.3"]),
        ("DS", b"1.5\\-2\\x ", [1.5, -2.0, "x"]),
        ("DS", b"1e999 ", ["1e999"]),
        ("DS", b"NaN ", ["NaN"]),
        ("IS", b"12\\7.5", [12, "7.5"]),
        ("LT", b"a\\b  ", ["a\\b"]),
        ("PN", b"Doe^J=\xc4=x", [{"Alphabetic": "Doe^J", "Ideographic": "Ä", "Phonetic": "x"}]),
        ("AT", b"\x10\x00\x20\x00", ["00100020"]),
        ("US", b"\x01\x00\xff\xff", [1, 65535]),
        ("SS", b"\xff\xff", [-1]),
        ("UL", struct.pack("<L", 7), [7]),
        ("FD", struct.pack("<dd", 0.5, float("nan")), [0.5, "nan"]),
        ("FL", struct.pack("<f", 0.5), [0.5]),
        ("SV", struct.pack("<q", -(2**60)), [-(2**60)]),
        ("LO", b"a\0b ", ["ab"]),
    ],
)
def test_values_take_the_form_of_their_vr(vr: str, value: bytes, expected: list[Any]) -> None:
    written = _json(encode.explicit(0x00091010, vr, value))

    assert written == {"00091010": {"vr": vr, "Value": expected}}


@pytest.mark.parametrize(("vr", "value"), [("LO", b""), ("LO", b"  "), ("US", b"\1"), ("AT", b"a")])
def test_an_empty_or_senseless_value_is_left_out(vr: str, value: bytes) -> None:
    assert _json(encode.explicit(0x00091010, vr, value)) == {"00091010": {"vr": vr}}


def test_sequences_hold_items_and_an_empty_one_no_value() -> None:
    inner = encode.explicit(0x00081155, "UI", b"1.2\0")
    full = encode.explicit(0x00081115, "SQ", encode.item(inner) + encode.item(b"", defined=False))
    empty = encode.explicit(0x00081140, "SQ", b"")

    written = _json(full + empty)

    assert written["00081115"] == {
        "vr": "SQ",
        "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}, {}],
    }
    assert written["00081140"] == {"vr": "SQ"}


def test_text_is_unicode_and_says_so_and_items_inherit_the_character_set() -> None:
    name = encode.explicit(0x00100010, "PN", b"\xe4")
    sequence = encode.explicit(0x00101002, "SQ", encode.item(name))
    data = encode.explicit(0x00080005, "CS", b"ISO_IR 101") + name + sequence

    written = _json(data)

    assert written["00080005"]["Value"] == ["ISO_IR 192"]
    assert written["00100010"]["Value"] == [{"Alphabetic": "ä"}]
    assert written["00101002"]["Value"][0]["00100010"]["Value"] == [{"Alphabetic": "ä"}]


def test_binary_is_inline_when_small_and_elsewhere_when_large() -> None:
    data = encode.explicit(0x00091010, "OB", b"abcd") + encode.explicit(
        0x00091011, "OB", b"x" * 2000
    )
    pixels = encode.explicit(0x7FE00010, "OW", bytes(12))

    plain = _json(data + pixels)
    linked = header_json(
        data + pixels, EXPLICIT_VR_LITTLE_ENDIAN, bulk_uri=lambda e: f"bulk/{e.offset}/{e.length}"
    )

    assert plain["00091010"] == {"vr": "OB", "InlineBinary": base64.b64encode(b"abcd").decode()}
    assert plain["00091011"] == {"vr": "OB"}
    assert plain["7FE00010"] == {"vr": "OW"}
    assert linked["00091011"] == {"vr": "OB", "BulkDataURI": "bulk/28/2000"}
    assert linked["7FE00010"] == {"vr": "OW", "BulkDataURI": f"bulk/{len(data) + 12}/12"}


def test_big_endian_words_are_turned() -> None:
    data = encode.big_endian(0x00091010, "OW", b"\1\2") + encode.big_endian(
        0x00280010, "US", b"\1\2"
    )

    written = _json(data, EXPLICIT_VR_BIG_ENDIAN)

    assert written["00091010"]["InlineBinary"] == base64.b64encode(b"\2\1").decode()
    assert written["00280010"]["Value"] == [258]


def test_implicit_vr_is_named_and_signed_by_pixel_representation() -> None:
    data = encode.implicit(0x00090010, b"CREATOR ") + encode.implicit(0x00280103, b"\1\0")
    data += encode.implicit(0x00280106, b"\xff\xff") + encode.implicit(0x60003000, b"ab")

    written = _json(data, IMPLICIT_VR_LITTLE_ENDIAN)

    assert written["00090010"] == {"vr": "LO", "Value": ["CREATOR"]}
    assert written["00280106"] == {"vr": "SS", "Value": [-1]}
    assert written["60003000"]["vr"] == "OW"


def test_first_of_two_wins_and_group_lengths_are_left_out() -> None:
    data = encode.explicit(0x00100000, "UL", b"\4\0\0\0")
    data += encode.explicit(0x00100020, "LO", b"A ") + encode.explicit(0x00100020, "LO", b"B ")

    assert _json(data) == {"00100020": {"vr": "LO", "Value": ["A"]}}


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(LimitExceededError):
        header_json(encode.nested(9, defined=True), EXPLICIT_VR_LITTLE_ENDIAN, Limits(max_depth=8))


@given(
    vr=st.sampled_from(
        ["AE", "AT", "CS", "DS", "FD", "IS", "OB", "OW", "PN", "SV", "UI", "UN", "UT"]
    ),
    value=st.binary(max_size=60),
    terms=st.sampled_from([b"", b"ISO_IR 192", b"\\ISO 2022 IR 87 "]),
)
def test_any_value_of_any_vr_becomes_valid_json(vr: str, value: bytes, terms: bytes) -> None:
    data = encode.explicit(0x00080005, "CS", terms) + encode.explicit(0x00091010, vr, value)

    text = json.dumps(_json(data), allow_nan=False)

    assert "\\u0000" not in text


@pytest.mark.corpora
@pytest.mark.filterwarnings("ignore")
def test_headers_of_the_corpora_are_what_pydicom_writes(corpora: Path) -> None:
    compared = 0
    folders = ("charset", "ct-philips", "mr-12bit", "dcmqi", "highdicom", "nema-wg04")
    for path in sorted(p for folder in folders for p in (corpora / folder).rglob("*")):
        ours = _header(path)
        if ours is None:
            continue
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        theirs = dataset.to_json_dict(bulk_data_threshold=1, bulk_data_element_handler=lambda _: "")
        assert _differences(ours, theirs) == [], path.name
        compared += 1

    assert compared > 60


@pytest.mark.corpora
def test_hostile_headers_become_valid_json_or_dicom_errors(corpora: Path) -> None:
    headers = [_header(path) for path in sorted((corpora / "hostile").rglob("*"))]

    written = [header for header in headers if header is not None]

    assert len(written) > 50
    assert len(written) < len(headers)
    assert all(json.dumps(header, allow_nan=False) for header in written)


def _header(path: Path) -> dict[str, Any] | None:
    try:
        data = path.read_bytes()
        meta, offset = split_part10(data)
        return header_json(data[offset:], meta.transfer_syntax_uid)
    except (DicomError, IsADirectoryError):
        return None


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Tags that differ; binary values, and private ones that only pydicom knows, aside."""
    known = {tag for tag in theirs if not tag.endswith("0000")} - _APART
    different = list(known.symmetric_difference(set(ours) - _APART))
    for tag in known & set(ours):
        if ours[tag]["vr"] in ("UN", "OB", "OW", "OF", "OD"):
            continue
        mine, other = (_plain(side[tag].get("Value", [])) for side in (ours, theirs))
        if ours[tag]["vr"] == "SQ":
            pairs = zip(mine, other, strict=True)
            different += [inner for pair in pairs for inner in _differences(*pair)]
        elif mine != other:
            different.append(tag)
    return different


def _plain(values: list[Any]) -> list[Any]:
    """Values without differences of padding and of how empty ones are written."""
    stripped = [v.strip() if isinstance(v, str) else _name(v) for v in values]
    return (
        [None if v == "" else v for v in stripped]
        if any(v not in (None, "") for v in stripped)
        else []
    )


def _name(value: Any) -> Any:
    if not isinstance(value, dict) or "Alphabetic" not in value:
        return value
    return {key: text.strip() for key, text in value.items() if text}
