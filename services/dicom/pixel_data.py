"""Is the pixel data whole? Asked before an instance is accepted (PS3.3 section C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.dicom.encoding import UNDEFINED_LENGTH, Buffer, fragments_end
from services.dicom.errors import InconsistentError, MalformedError, TruncatedError
from services.dicom.uids import TransferSyntax
from services.dicom.walk import PIXEL_DATA, Element, Limits

# Share of the samples that is stored, for the subsampled colour models of native pixels.
_SUBSAMPLED: Final = {"YBR_FULL_422": (2, 3), "YBR_PARTIAL_422": (2, 3), "YBR_PARTIAL_420": (1, 2)}


@dataclass(frozen=True, slots=True)
class ImageShape:
    """What the Image Pixel module says of the size of the pixel data; None is absent."""

    rows: int | None
    columns: int | None
    samples_per_pixel: int | None
    number_of_frames: int | None
    bits_allocated: int | None
    photometric_interpretation: str = ""

    def native_bytes(self) -> int:
        """Bytes of uncompressed pixel data, without padding to even length.

        Raises:
            InconsistentError: A factor is absent or zero.
        """
        bits = 1
        for field, factor in (
            ("Rows", self.rows),
            ("Columns", self.columns),
            ("SamplesPerPixel", 1 if self.samples_per_pixel is None else self.samples_per_pixel),
            ("NumberOfFrames", 1 if self.number_of_frames is None else self.number_of_frames),
            ("BitsAllocated", self.bits_allocated),
        ):
            if factor is None or factor < 1:
                raise InconsistentError(field, "absent or zero beside pixel data")
            bits *= factor
        stored, of = _SUBSAMPLED.get(self.photometric_interpretation, (1, 1))
        return (bits * stored // of + 7) // 8


def require_whole(
    data: Buffer, pixels: Element, shape: ImageShape, syntax: TransferSyntax, limits: Limits
) -> int:
    """Check that a pixel data element is all there, and give the offset of what follows it.

    Native: as long as rows x columns x samples x frames x bits allocated say, or longer.
    Encapsulated: fragments up to a sequence delimiter.

    Args:
        data: The inflated data set.
        pixels: The pixel data element, as found by ``walk``.
        shape: The attributes that give its size.
        syntax: The transfer syntax.
        limits: Bound on the number of fragments.

    Raises:
        TruncatedError: Bytes are missing.
        MalformedError: Its form is not that of the transfer syntax.
        InconsistentError: The attributes give no size.
    """
    if pixels.length == UNDEFINED_LENGTH:
        if not syntax.encapsulated or pixels.tag != PIXEL_DATA:
            raise MalformedError("PixelData", "encapsulated in a native transfer syntax")
        return _fragments_end(data, pixels, syntax, limits)
    end = pixels.offset + pixels.length
    if end > len(data):
        raise TruncatedError("PixelData", "value runs past the end")
    if pixels.length < shape.native_bytes():
        raise TruncatedError("PixelData", "shorter than rows, columns and frames say")
    return end


def _fragments_end(data: Buffer, pixels: Element, syntax: TransferSyntax, limits: Limits) -> int:
    end = fragments_end(
        data,
        pixels.offset,
        len(data),
        little_endian=syntax.little_endian,
        max_fragments=limits.max_fragments,
    )
    if end - pixels.offset <= _EMPTY_ENCAPSULATION:
        raise TruncatedError("PixelData", "no fragment")
    return end


_EMPTY_ENCAPSULATION: Final = 16  # an empty offset table and the delimiter
