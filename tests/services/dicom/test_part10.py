from __future__ import annotations

import io
import struct

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom.errors import (
    DicomError,
    InvalidUidError,
    LimitExceededError,
    MalformedError,
    MissingElementError,
    NotDicomError,
)
from services.dicom.part10 import IMPLEMENTATION_CLASS_UID, FileMeta, file_meta, split_part10
from services.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, valid_uid
from tests.services.dicom import encode

META = file_meta(encode.SOP_CLASS, "1.2.3.4", EXPLICIT_VR_LITTLE_ENDIAN)


def test_what_is_written_is_read_back_by_us_and_by_pydicom() -> None:
    data_set = encode.explicit(0x00100020, "LO", b"ID")

    meta, offset = split_part10(META + data_set)
    read = pydicom.dcmread(io.BytesIO(META + data_set))

    assert meta == FileMeta(encode.SOP_CLASS, "1.2.3.4", EXPLICIT_VR_LITTLE_ENDIAN)
    assert offset == len(META)
    assert read.PatientID == "ID"
    assert read.file_meta.FileMetaInformationGroupLength == len(META) - 144
    assert read.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID


def test_the_same_arguments_give_the_same_bytes_with_a_zero_preamble() -> None:
    again = file_meta(encode.SOP_CLASS, "1.2.3.4", EXPLICIT_VR_LITTLE_ENDIAN)

    assert again == META
    assert META[:132] == bytes(128) + b"DICM"
    assert len(META) % 2 == 0
    assert valid_uid(IMPLEMENTATION_CLASS_UID)


def test_an_invalid_uid_is_not_written() -> None:
    with pytest.raises(InvalidUidError):
        file_meta(encode.SOP_CLASS, "../x", EXPLICIT_VR_LITTLE_ENDIAN)


def test_an_open_file_is_read_too_and_a_strange_preamble_ignored() -> None:
    file = io.BytesIO(b"MZ" + META[2:])

    assert split_part10(file)[1] == len(META)


@pytest.mark.parametrize("data", [b"", b"DICM", bytes(128), bytes(127) + b"DICM", META[132:]])
def test_without_dicm_at_128_it_is_not_dicom(data: bytes) -> None:
    with pytest.raises(NotDicomError):
        split_part10(data)


def test_a_wrong_group_length_is_not_believed() -> None:
    start = bytes(128) + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, 0xFFFFFFFF)

    assert split_part10(start + META[144:])[1] == len(META)


def test_meta_without_transfer_syntax_is_refused() -> None:
    only_class = bytes(128) + b"DICM" + encode.explicit(0x00020002, "UI", b"1.2\0")

    with pytest.raises(MissingElementError):
        split_part10(only_class)


@pytest.mark.parametrize(
    ("meta", "error"),
    [
        (encode.explicit(0x00020010, "UI", b"/etc"), InvalidUidError),
        (encode.explicit(0x00020010, "UI", b"1.2\0", 5000), MalformedError),
        (encode.explicit(0x00020010, "QQ", b"1.2\0"), MalformedError),
        (encode.explicit(0x00020010, "UI", b"1.2\0") * 100, LimitExceededError),
    ],
)
def test_broken_meta_is_a_typed_error(meta: bytes, error: type[DicomError]) -> None:
    with pytest.raises(error):
        split_part10(bytes(128) + b"DICM" + meta)


@given(st.binary(max_size=200))
def test_random_meta_raises_nothing_but_dicom_errors(tail: bytes) -> None:
    try:
        _, offset = split_part10(bytes(128) + b"DICM" + b"\x02\0" + tail)
    except DicomError:
        return

    assert offset <= 134 + len(tail)
