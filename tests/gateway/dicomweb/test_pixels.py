from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.filewriter import dcmwrite
from pydicom.uid import JPEG2000Lossless, RLELossless

from gateway.dicomweb.pixels import (
    EncapsulatedFrames,
    Layout,
    NativeFrames,
    NoPixelsError,
    read_layout,
)
from services.dicom.errors import DicomError
from tests.support.instances import ct_instance, part10


def file_of(name: str) -> bytes:
    return Path(str(get_testdata_file(name))).read_bytes()


def frame(file: bytes, layout: Layout, number: int) -> bytes:
    frames = layout.frames
    assert frames is not None
    if isinstance(frames, NativeFrames):
        (offset, length), bit = frames.span(number)
        return frames.cut(file[offset : offset + length], bit)
    return b"".join(file[offset : offset + size] for offset, size in frames.fragments[number])


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_implicit.dcm", "rtdose.dcm", "SC_rgb_small_odd.dcm"]
)
def test_native_frames_are_cut_out_of_the_file(name: str) -> None:
    file = file_of(name)
    image = pydicom.dcmread(BytesIO(file))

    layout = read_layout(file)

    assert layout.count == int(image.get("NumberOfFrames", 1))
    cut = b"".join(frame(file, layout, number) for number in range(layout.count))
    assert cut == image.PixelData[: len(cut)]
    assert len(image.PixelData) - len(cut) <= 1


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "rtdose_rle.dcm", "SC_rgb_rle_2frame.dcm", "JPEG2000.dcm"]
)
def test_encapsulated_frames_are_the_fragments_of_the_file(name: str) -> None:
    file = file_of(name)
    image = pydicom.dcmread(BytesIO(file))
    count = int(image.get("NumberOfFrames", 1))

    layout = read_layout(file)

    assert isinstance(layout.frames, EncapsulatedFrames)
    expected = list(generate_frames(image.PixelData, number_of_frames=count))
    assert [frame(file, layout, number) for number in range(count)] == expected


def multi_frame(frames: list[bytes], *, extended: bool, offsets: bool) -> bytes:
    image = ct_instance()
    image.NumberOfFrames = len(frames)
    image.ensure_file_meta()
    image.file_meta.TransferSyntaxUID = JPEG2000Lossless
    if extended:
        image.PixelData, table, lengths = encapsulate_extended(frames)
        image.ExtendedOffsetTable, image.ExtendedOffsetTableLengths = table, lengths
    else:
        image.PixelData = encapsulate(frames, fragments_per_frame=2, has_bot=offsets)
    image["PixelData"].is_undefined_length = True
    buffer = BytesIO()
    dcmwrite(buffer, image, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize(("extended", "offsets"), [(True, False), (False, True), (False, False)])
def test_frames_are_found_by_either_table_or_by_how_they_begin(
    extended: bool, offsets: bool
) -> None:
    frames = [b"\xff\x4f" + bytes([n]) * 20 for n in range(3)]

    file = multi_frame(frames, extended=extended, offsets=offsets)

    layout = read_layout(file)
    assert [frame(file, layout, number) for number in range(3)] == frames


def test_frames_of_single_bits_begin_within_a_byte() -> None:
    image = ct_instance(size=3)
    bits = np.random.default_rng(1).integers(0, 2, (5, 3, 3), np.uint8)
    image.NumberOfFrames, image.BitsAllocated, image.BitsStored, image.HighBit = 5, 1, 1, 0
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    image.PixelData = packed + bytes(len(packed) % 2)
    file = part10(image)

    layout = read_layout(file)

    for number in range(5):
        cut = np.frombuffer(frame(file, layout, number), np.uint8)
        found = np.unpackbits(cut, bitorder="little")[:9].reshape(3, 3)
        assert np.array_equal(found, bits[number])


def test_what_has_no_pixels_has_no_frames() -> None:
    with pytest.raises(NoPixelsError):
        read_layout(file_of("rtplan.dcm"))


@pytest.mark.parametrize("name", ["image_dfl.dcm", "MR_small_bigendian.dcm"])
def test_what_is_not_little_endian_as_it_lies_there_is_to_be_decoded(name: str) -> None:
    assert read_layout(file_of(name)).frames is None


def test_fragments_that_make_up_no_frames_are_refused() -> None:
    image = ct_instance()
    image.NumberOfFrames = 4
    image.ensure_file_meta()
    image.file_meta.TransferSyntaxUID = RLELossless
    image.PixelData = encapsulate([b"ab", b"cd", b"ef"], has_bot=False)
    image["PixelData"].is_undefined_length = True
    buffer = BytesIO()
    dcmwrite(buffer, image, enforce_file_format=True)

    with pytest.raises(DicomError):
        read_layout(buffer.getvalue())


def test_a_file_cut_anywhere_gives_an_error_of_ours_or_frames_within_it() -> None:
    file = file_of("rtdose_rle.dcm")
    for end in range(132, len(file), 97):
        try:
            layout = read_layout(file[:end])
        except (DicomError, NoPixelsError):
            continue
        assert isinstance(layout.frames, EncapsulatedFrames)
        assert all(
            offset + size <= end for spans in layout.frames.fragments for offset, size in spans
        )
