"""A header read from the first bytes says what the whole says, and never more."""

from __future__ import annotations

import pytest

from services.dicom.attributes import read_ahead, read_index_attributes
from services.dicom.errors import DicomError, TruncatedError
from services.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from tests.support.instances import ct_instance, encoded

SIZE = 64
PIXEL_BYTES = SIZE * SIZE * 2


@pytest.mark.parametrize("implicit", [False, True])
def test_the_beginning_says_what_the_whole_says(implicit: bool) -> None:
    data = encoded(ct_instance(size=SIZE), implicit=implicit)
    syntax = IMPLICIT_VR_LITTLE_ENDIAN if implicit else EXPLICIT_VR_LITTLE_ENDIAN

    ahead = read_ahead(memoryview(data)[: len(data) - PIXEL_BYTES + 10], syntax)

    assert ahead is not None
    assert ahead.attributes == read_index_attributes(data, syntax)
    ahead.require_whole(data)


def test_an_instance_that_is_cut_off_is_found_when_all_of_it_is_here() -> None:
    data = encoded(ct_instance(size=SIZE))
    ahead = read_ahead(data[:-PIXEL_BYTES], EXPLICIT_VR_LITTLE_ENDIAN)

    assert ahead is not None
    with pytest.raises(TruncatedError):
        ahead.require_whole(data[:-2])


def test_what_follows_the_pixels_is_checked_as_well() -> None:
    data = encoded(ct_instance(size=SIZE))
    ahead = read_ahead(data, EXPLICIT_VR_LITTLE_ENDIAN)

    assert ahead is not None
    with pytest.raises(DicomError):
        ahead.require_whole(data + b"\xfc\xff\xfc\xffOB\0\0\xff\xff\xff\x7f")


@pytest.mark.parametrize("length", [0, 1, 100, 400])
def test_a_header_that_is_not_all_here_is_left_for_later(length: int) -> None:
    data = encoded(ct_instance(size=SIZE))

    assert read_ahead(data[:length], EXPLICIT_VR_LITTLE_ENDIAN) is None


def test_every_cut_through_the_header_is_left_for_later() -> None:
    data = encoded(ct_instance(size=SIZE))
    pixels = len(data) - PIXEL_BYTES - 12

    found = [read_ahead(data[:n], EXPLICIT_VR_LITTLE_ENDIAN) for n in range(pixels)]

    assert not any(found)


def test_deflated_and_broken_headers_are_left_for_later() -> None:
    data = encoded(ct_instance(size=SIZE))

    assert read_ahead(data, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN) is None
    assert read_ahead(data, "no uid") is None
    assert read_ahead(b"\x08\0\x05\0ZZ" + data, EXPLICIT_VR_LITTLE_ENDIAN) is None
