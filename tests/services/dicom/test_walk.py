from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dicom.encoding import inflate
from services.dicom.errors import DicomError, LimitExceededError, MalformedError, TruncatedError
from services.dicom.uids import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)
from services.dicom.walk import DEFAULT_LIMITS, Element, Limits, walk
from tests.services.dicom import encode

EXPLICIT = transfer_syntax(EXPLICIT_VR_LITTLE_ENDIAN)
IMPLICIT = transfer_syntax(IMPLICIT_VR_LITTLE_ENDIAN)
BIG = transfer_syntax(EXPLICIT_VR_BIG_ENDIAN)


def test_short_and_long_forms_are_read_where_they_lie() -> None:
    data = encode.explicit(0x00080060, "CS", b"CT") + encode.explicit(0x00090010, "OB", b"abcd")

    elements = list(walk(data, EXPLICIT))

    assert elements == [
        Element(0x00080060, "CS", 8, 2, 0),
        Element(0x00090010, "OB", 22, 4, 0),
    ]


def test_implicit_vr_takes_the_vr_of_the_dictionary() -> None:
    data = encode.implicit(0x00080060, b"CT") + encode.implicit(0x00091001, b"ab")

    elements = list(walk(data, IMPLICIT))

    assert elements == [
        Element(0x00080060, "CS", 8, 2, 0),
        Element(0x00091001, "UN", 18, 2, 0),
    ]


def test_big_endian_is_read() -> None:
    data = encode.big_endian(0x00080060, "CS", b"CT") + encode.big_endian(0x00091001, "OB", b"ab")

    elements = list(walk(data, BIG))

    assert [(e.tag, e.length) for e in elements] == [(0x00080060, 2), (0x00091001, 2)]


@pytest.mark.parametrize("defined", [True, False])
def test_nested_elements_and_items_carry_their_depth(defined: bool) -> None:
    inner = encode.explicit(0x00081155, "UI", b"1.2.3\0")
    content = encode.item(inner, defined=defined)
    sequence = (
        encode.explicit(0x00081115, "SQ", content)
        if defined
        else encode.explicit(0x00081115, "SQ", content + encode.SEQUENCE_END, encode.UNDEFINED)
    )
    data = sequence + encode.explicit(0x00100020, "LO", b"ID")

    nested = [(e.tag, e.depth) for e in walk(data, EXPLICIT, nested=True)]
    flat = [(e.tag, e.depth) for e in walk(data, EXPLICIT)]

    assert nested == [
        (0x00081115, 0),
        (0xFFFEE000, 1),
        (0x00081155, 1),
        (0x00100020, 0),
    ]
    assert flat == [(0x00081115, 0), (0x00100020, 0)]


def test_un_of_undefined_length_is_implicit_inside() -> None:
    inner = encode.item(encode.implicit(0x00081155, b"1.2.3\0"))
    data = encode.explicit(0x00091001, "UN", inner + encode.SEQUENCE_END, encode.UNDEFINED)

    nested = [(e.tag, e.vr) for e in walk(data, EXPLICIT, nested=True)]

    assert nested == [(0x00091001, "UN"), (0xFFFEE000, ""), (0x00081155, "UI")]


def test_an_encapsulated_icon_is_stepped_over() -> None:
    fragments = encode.item(b"") + encode.item(b"\xff\xd8") + encode.SEQUENCE_END
    icon = encode.item(encode.explicit(0x7FE00010, "OB", fragments, encode.UNDEFINED))
    sequence = encode.explicit(0x00880200, "SQ", icon + encode.SEQUENCE_END, encode.UNDEFINED)
    data = sequence + encode.explicit(0x00880904, "LO", b"xx")

    assert [e.tag for e in walk(data, EXPLICIT)] == [0x00880200, 0x00880904]


def test_the_walk_ends_with_the_pixel_data_and_does_not_look_at_its_value() -> None:
    data = encode.explicit(0x00280010, "US", b"\x01\0")
    data += encode.explicit(0x7FE00010, "OW", b"", 0xFFFFFFF0) + b"rubbish"

    elements = list(walk(data, EXPLICIT))

    assert elements[-1] == Element(0x7FE00010, "OW", 22, 0xFFFFFFF0, 0)


def test_only_what_is_wanted_is_yielded() -> None:
    data = encode.explicit(0x00080060, "CS", b"CT") + encode.explicit(0x00100020, "LO", b"ID")

    assert [e.tag for e in walk(data, EXPLICIT, wanted={0x00100020})] == [0x00100020]


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x00\x60",
        encode.explicit(0x00080060, "CS", b"CT", 3),
        encode.explicit(0x00080060, "OB", b"CT", 0xFFFFFFFE),
        encode.explicit(0x00080060, "OB", b"")[:10],
        encode.explicit(0x00081115, "SQ", encode.item(b""), encode.UNDEFINED),
        encode.explicit(0x00081115, "SQ", b"\xfe\xff\x00\xe0\x04\x00\x00\x00", encode.UNDEFINED),
        encode.explicit(
            0x00081115,
            "SQ",
            encode.item(encode.explicit(0x00081155, "UI", b"", 9)) + encode.SEQUENCE_END,
            encode.UNDEFINED,
        ),
    ],
)
def test_a_length_past_what_is_there_is_an_error_at_once(data: bytes) -> None:
    with pytest.raises(TruncatedError):
        list(walk(data, EXPLICIT))


@pytest.mark.parametrize(
    "data",
    [
        encode.explicit(0x00080060, "QQ", b"CT"),
        encode.implicit(0x00080060, b"CT"),
        encode.explicit(0x00020010, "UI", b"1.2\0"),
        encode.explicit(0x00000100, "US", b"\x01\0"),
        encode.item(b""),
        encode.explicit(0xFFFF0010, "LO", b"ab"),
        encode.explicit(0x00100020, "LT", b"", 0) + encode.ITEM_END,
        encode.explicit(0x00089999, "OB", encode.SEQUENCE_END, encode.UNDEFINED),
        encode.explicit(0x00081115, "SQ", encode.ITEM_END, encode.UNDEFINED),
        encode.explicit(
            0x00081115, "SQ", encode.explicit(0x00080060, "CS", b"CT"), encode.UNDEFINED
        ),
    ],
)
def test_what_is_not_encoded_as_declared_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        list(walk(data, EXPLICIT))


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_sequences_64_deep_are_read_and_deeper_ones_refused(defined: bool, nested: bool) -> None:
    deep, too_deep = encode.nested(64, defined=defined), encode.nested(500, defined=defined)

    assert list(walk(deep, EXPLICIT, nested=nested))
    with pytest.raises(LimitExceededError):
        list(walk(too_deep, EXPLICIT, nested=nested))


@pytest.mark.timeout(20)
def test_a_hundred_thousand_open_sequences_are_refused() -> None:
    opening = encode.explicit(0x00081115, "SQ", b"", encode.UNDEFINED)
    data = (opening + struct.pack("<HHL", 0xFFFE, 0xE000, encode.UNDEFINED)) * 100_000

    with pytest.raises(LimitExceededError):
        list(walk(data, EXPLICIT))


def test_a_million_empty_items_and_too_many_elements_are_refused() -> None:
    items = encode.item(b"") * 1_000_000 + encode.SEQUENCE_END
    sequence = encode.explicit(0x00081115, "SQ", items, encode.UNDEFINED)
    elements = encode.explicit(0x00090010, "LO", b"") * 100_000

    for data in (sequence, elements):
        with pytest.raises(LimitExceededError):
            list(walk(data, EXPLICIT))


def test_a_header_past_its_bound_is_refused() -> None:
    data = encode.explicit(0x00090010, "OB", bytes(2000)) + encode.explicit(0x00100020, "LO", b"")

    with pytest.raises(LimitExceededError):
        list(walk(data, EXPLICIT, Limits(max_header_bytes=1000)))


def test_a_deflate_bomb_stops_at_the_bound() -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeeze.compress(bytes(64 << 20)) + squeeze.flush()

    with pytest.raises(LimitExceededError):
        inflate(bomb, 1 << 20)
    assert len(inflate(bomb, 64 << 20)) == 64 << 20


@pytest.mark.parametrize(("cut", "error"), [(-4, TruncatedError), (0, TruncatedError)])
def test_a_deflate_stream_that_ends_early_is_truncated(cut: int, error: type[DicomError]) -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = squeeze.compress(b"heimdallr" * 50) + squeeze.flush()

    with pytest.raises(error):
        inflate(stream[:cut], 1 << 20)


def test_what_is_no_deflate_stream_is_malformed() -> None:
    with pytest.raises(MalformedError):
        inflate(b"\xff" * 50, 1 << 20)


@given(
    data=st.binary(max_size=400),
    syntax=st.sampled_from([EXPLICIT, IMPLICIT, BIG]),
    nested=st.booleans(),
)
@settings(max_examples=300, deadline=500)
def test_random_bytes_raise_nothing_but_dicom_errors(
    data: bytes, syntax: object, nested: bool
) -> None:
    assert syntax in (EXPLICIT, IMPLICIT, BIG)
    chosen = next(known for known in (EXPLICIT, IMPLICIT, BIG) if known == syntax)
    try:
        elements = list(walk(data, chosen, nested=nested))
    except DicomError:
        return

    assert len(elements) <= len(data)
    assert all(e.offset <= len(data) for e in elements)


_GROUPS = st.sampled_from([b"\x08\x00", b"\x10\x00", b"\xfe\xff", b"\xe0\x7f", b"\x09\x00"])
_ELEMENTS = st.sampled_from([b"\x15\x11", b"\x00\xe0", b"\x0d\xe0", b"\xdd\xe0", b"\x10\x00"])
_VRS = st.sampled_from([b"SQ\0\0", b"UN\0\0", b"OB\0\0", b"LO\2\0", b""])
_LENGTHS = st.sampled_from([b"\xff\xff\xff\xff", bytes(4), b"\x08\0\0\0", b"\x30\0\0\0", b"ab"])


@given(
    parts=st.lists(st.tuples(_GROUPS, _ELEMENTS, _VRS, _LENGTHS).map(b"".join), max_size=60),
    nested=st.booleans(),
)
@settings(max_examples=400, deadline=500)
def test_almost_valid_bytes_raise_nothing_but_dicom_errors(
    parts: list[bytes], nested: bool
) -> None:
    data = b"".join(parts)
    for syntax in (EXPLICIT, IMPLICIT):
        try:
            count = sum(1 for _ in walk(data, syntax, DEFAULT_LIMITS, nested=nested))
        except DicomError:
            continue

        assert count <= len(data)


@pytest.mark.parametrize("size", [0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 1 << 20])
def test_inflating_gives_back_what_was_deflated(size: int) -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = squeeze.compress(bytes(size)) + squeeze.flush()

    assert inflate(stream + b"\0", size + 1) == bytes(size)
