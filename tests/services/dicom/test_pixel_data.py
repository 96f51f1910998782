from __future__ import annotations

import pytest

from services.dicom.attributes import read_index_attributes
from services.dicom.errors import DicomError, InconsistentError, MalformedError, TruncatedError
from services.dicom.pixel_data import ImageShape
from services.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from tests.services.dicom import encode

JPEG = "1.2.840.10008.1.2.4.50"


# rows, columns, samples, frames, bits allocated, photometric interpretation: bytes by hand.
@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (ImageShape(2, 3, None, None, 16), 12),
        (ImageShape(512, 512, 1, 1, 16), 524288),
        (ImageShape(2, 2, 3, 4, 8, "RGB"), 48),
        (ImageShape(2, 4, 3, 1, 8, "YBR_FULL_422"), 16),
        (ImageShape(2, 4, 3, 1, 8, "YBR_PARTIAL_420"), 12),
        (ImageShape(3, 3, 1, 1, 1), 2),  # PS3.5 8.1.1: bits are packed over the frames
        (ImageShape(3, 3, 1, 3, 1), 4),
        (ImageShape(65535, 65535, 1, 999999, 16), 65535 * 65535 * 999999 * 2),
    ],
)
def test_native_size_follows_from_the_attributes(shape: ImageShape, expected: int) -> None:
    assert shape.native_bytes() == expected


@pytest.mark.parametrize(
    "shape",
    [
        ImageShape(None, 3, 1, 1, 16),
        ImageShape(2, 0, 1, 1, 16),
        ImageShape(2, 3, 0, 1, 16),
        ImageShape(2, 3, 1, 0, 16),
        ImageShape(2, 3, 1, -1, 16),
        ImageShape(2, 3, 1, 1, None),
    ],
)
def test_a_size_that_is_absent_or_zero_is_inconsistent(shape: ImageShape) -> None:
    with pytest.raises(InconsistentError):
        shape.native_bytes()


def test_whole_native_pixels_are_accepted_with_what_follows() -> None:
    pixels = encode.explicit(0x7FE00010, "OW", bytes(12))
    padding = encode.explicit(0xFFFCFFFC, "OB", bytes(4))

    read = read_index_attributes(encode.image(pixels + padding), EXPLICIT_VR_LITTLE_ENDIAN)

    assert read.has_pixel_data
    assert (read.rows, read.columns) == (2, 3)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (encode.image(encode.explicit(0x7FE00010, "OW", bytes(10))), TruncatedError),
        (encode.image(encode.explicit(0x7FE00010, "OW", bytes(12))[:-1]), TruncatedError),
        (encode.image(encode.explicit(0x7FE00010, "OW", b"", 3 << 30)), TruncatedError),
        (encode.image(b""), TruncatedError),
        (encode.image(encode.explicit(0x7FE00010, "OW", bytes(12)) + b"\xfc"), TruncatedError),
        (
            encode.image(encode.explicit(0x7FE00010, "OW", bytes(12)), rows=65535, columns=65535),
            TruncatedError,
        ),
        (encode.image(encode.explicit(0x7FE00010, "OW", bytes(12)), rows=0), InconsistentError),
        (
            encode.image(encode.explicit(0x7FE00010, "OB", encode.SEQUENCE_END, encode.UNDEFINED)),
            MalformedError,
        ),
    ],
)
def test_native_pixels_that_are_not_whole_are_refused(data: bytes, error: type[DicomError]) -> None:
    with pytest.raises(error):
        read_index_attributes(data, EXPLICIT_VR_LITTLE_ENDIAN)


def test_every_cut_of_an_image_is_refused() -> None:
    whole = encode.image(encode.explicit(0x7FE00010, "OW", bytes(12)))

    assert read_index_attributes(whole, EXPLICIT_VR_LITTLE_ENDIAN).has_pixel_data
    for end in range(len(whole)):
        with pytest.raises(DicomError):
            read_index_attributes(whole[:end], EXPLICIT_VR_LITTLE_ENDIAN)


def _encapsulated(content: bytes) -> bytes:
    return encode.image(encode.explicit(0x7FE00010, "OB", content, encode.UNDEFINED))


def test_fragments_up_to_a_delimiter_are_whole() -> None:
    fragments = encode.item(b"") + encode.item(b"\xff\xd8\xff\xd9") + encode.SEQUENCE_END

    assert read_index_attributes(_encapsulated(fragments), JPEG).has_pixel_data


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (encode.item(b"") + encode.item(b"\xff\xd8"), TruncatedError),
        (encode.item(b"") + encode.item(b"\xff\xd8")[:-1], TruncatedError),
        (encode.item(b"") + encode.SEQUENCE_END, TruncatedError),
        (encode.item(b"") + encode.item(b"", defined=False), MalformedError),
        (encode.explicit(0x00080060, "CS", b"CT"), MalformedError),
    ],
)
def test_broken_encapsulation_is_refused(content: bytes, error: type[DicomError]) -> None:
    with pytest.raises(error):
        read_index_attributes(_encapsulated(content), JPEG)
