from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom.attributes import IndexAttributes, read_index_attributes
from services.dicom.errors import (
    DicomError,
    InconsistentError,
    InvalidUidError,
    MissingElementError,
)
from services.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from services.dicom.walk import Limits
from tests.services.dicom import encode

FIRST, SECOND = encode.uids(sop_class=encode.REPORT)


def _read(middle: bytes = b"", last: bytes = b"") -> IndexAttributes:
    return read_index_attributes(FIRST + middle + SECOND + last, EXPLICIT_VR_LITTLE_ENDIAN)


def test_required_uids_are_read_and_absent_attributes_are_empty() -> None:
    read = _read()

    assert read.sop_class_uid == encode.REPORT
    assert read.sop_instance_uid == "1.2.3.4"
    assert (read.study_instance_uid, read.series_instance_uid) == ("1.2.4", "1.2.5")
    assert (read.patient_id, read.series_number, read.rows) == ("", None, None)
    assert (read.image_type, read.has_pixel_data) == ((), False)


def test_text_is_decoded_by_its_character_set_without_nuls_and_blanks() -> None:
    middle = encode.explicit(0x00080005, "CS", b"ISO_IR 192")
    middle += encode.explicit(0x00100010, "PN", "Ström^Å\0 ".encode())
    middle += encode.explicit(0x00100020, "LO", b" A\0B\xff ")

    read = _read(middle)

    assert read.patient_name == "Ström^Å"
    assert read.patient_id == "AB�"


def test_text_is_capped() -> None:
    read = read_index_attributes(
        FIRST + encode.explicit(0x00100020, "LO", b"x" * 60_000) + SECOND,
        EXPLICIT_VR_LITTLE_ENDIAN,
        Limits(max_text_chars=64),
    )

    assert read.patient_id == "x" * 64


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"12", 12),
        (b" +7 ", 7),
        (b"-3\0", -3),
        (b"4.0 ", 4),
        (b"5\\6", 5),
        (b"", None),
        (b"4.5 ", None),
        (b"1e99", None),
        (b"nan ", None),
        (b"1_0 ", None),
        (b"2147483647", 2147483647),
        (b"2147483648", None),
        (b"abc ", None),
    ],
)
def test_integers_are_read_with_tolerance_and_never_invented(
    value: bytes, number: int | None
) -> None:
    assert _read(last=encode.explicit(0x00200011, "IS", value)).series_number == number


def test_image_type_is_a_tuple() -> None:
    middle = encode.explicit(0x00080008, "CS", b"ORIGINAL\\PRIMARY \\AXIAL")
    read = read_index_attributes(middle + FIRST + SECOND, EXPLICIT_VR_LITTLE_ENDIAN)

    assert read.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"", MissingElementError),
        (b"\0\0", MissingElementError),
        (b"../../../x", InvalidUidError),
        (b"a\0b.1", InvalidUidError),
        (b"1." + b"2" * 64, InvalidUidError),
    ],
)
def test_a_bad_study_uid_is_refused_by_name(value: bytes, error: type[DicomError]) -> None:
    first, second = encode.uids(study=value, sop_class=encode.REPORT)

    with pytest.raises(error) as caught:
        read_index_attributes(first + second, EXPLICIT_VR_LITTLE_ENDIAN)

    assert caught.value.field == "StudyInstanceUID"


@pytest.mark.parametrize(
    ("missing", "data"),
    [("SOPClassUID", SECOND), ("SeriesInstanceUID", FIRST + SECOND[:13])],
)
def test_an_absent_uid_is_refused_by_name(missing: str, data: bytes) -> None:
    with pytest.raises(MissingElementError) as caught:
        read_index_attributes(data, EXPLICIT_VR_LITTLE_ENDIAN)

    assert caught.value.field == missing


def test_an_attribute_that_stands_twice_is_refused() -> None:
    twice = encode.explicit(0x00100020, "LO", b"A ") + encode.explicit(0x00100020, "LO", b"B ")

    with pytest.raises(InconsistentError) as caught:
        _read(twice)

    assert caught.value.field == "PatientID"


@pytest.mark.parametrize("tag", [0x00280010, 0x00280011])
def test_rows_and_columns_that_are_no_unsigned_short_are_refused(tag: int) -> None:
    with pytest.raises(InconsistentError):
        _read(last=encode.explicit(tag, "UL", b"\2\0\0\0"))


def test_attributes_inside_sequences_are_not_those_of_the_instance() -> None:
    inner = encode.explicit(0x00100020, "LO", b"OTHER ")
    sequence = encode.explicit(0x00081115, "SQ", encode.item(inner))

    assert _read(sequence).patient_id == ""


def test_a_deflated_data_set_is_inflated() -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = squeeze.compress(FIRST + SECOND) + squeeze.flush()

    read = read_index_attributes(data, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)

    assert read.study_instance_uid == "1.2.4"


def test_the_beginning_of_an_instance_is_enough_if_wholeness_is_not_asked() -> None:
    data = encode.image(encode.explicit(0x7FE00010, "OW", b"", 1 << 20))

    read = read_index_attributes(data, EXPLICIT_VR_LITTLE_ENDIAN, whole=False)

    assert read.has_pixel_data


@given(st.binary(max_size=300), st.sampled_from([EXPLICIT_VR_LITTLE_ENDIAN, "1.2.3"]))
def test_random_tails_raise_nothing_but_dicom_errors(tail: bytes, syntax: str) -> None:
    try:
        read = read_index_attributes(FIRST + SECOND + tail, syntax)
    except DicomError:
        return

    assert read.sop_instance_uid == "1.2.3.4"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_will_do(kind: type[bytes | bytearray | memoryview]) -> None:
    data = encode.image(encode.explicit(0x7FE00010, "OW", bytes(12)))

    assert read_index_attributes(kind(data), EXPLICIT_VR_LITTLE_ENDIAN).rows == 2


def test_implicit_vr_is_read() -> None:
    data = b"".join(
        (
            encode.implicit(0x00080016, b"1.2.840"),
            encode.implicit(0x00080018, b"1.2.3"),
            encode.implicit(0x00100020, b"ID"),
            encode.implicit(0x0020000D, b"1.2.4"),
            encode.implicit(0x0020000E, b"1.2.5"),
        )
    )

    read = read_index_attributes(data, IMPLICIT_VR_LITTLE_ENDIAN)

    assert (read.patient_id, read.transfer_syntax_uid) == ("ID", IMPLICIT_VR_LITTLE_ENDIAN)


@pytest.mark.parametrize(
    ("position", "read_as"),
    [
        (b"-100.5\\20\\3 ", (-100.5, 20.0, 3.0)),
        (b"1\\2 ", ()),
        (b"1\\nan\\3", ()),
        (b"1\\1e999\\3 ", ()),
        (b"1\\2\\" + b"3" * 200, ()),
    ],
)
def test_a_position_is_three_finite_numbers_or_nothing(
    position: bytes, read_as: tuple[float, ...]
) -> None:
    read = _read(last=encode.explicit(0x00200032, "DS", position))

    assert read.image_position_mm == read_as


def test_slice_thickness_and_kernel_are_read() -> None:
    middle = encode.explicit(0x00180050, "DS", b"2.50")

    read = _read(middle + encode.explicit(0x00181210, "SH", b"B30f"))

    assert (read.slice_thickness_mm, read.convolution_kernel) == (2.5, "B30f")
