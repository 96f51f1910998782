"""Frames out of encapsulated pixel data and back into it, without loss or not at all."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from services.deid.errors import DeidRefusedError
from services.deid.pixels.image import UNREADABLE, Image
from services.deid.pixels.text import Frame

WRITTEN: Final = frozenset({str(RLELossless), str(JPEGLSLossless), str(JPEG2000Lossless)})
"""Encapsulated transfer syntaxes for which there is an encoder that loses nothing."""
LOSSLESS: Final = WRITTEN | {str(JPEGLossless), str(JPEGLosslessSV1)}
_REVERSIBLE: Final = "YBR_RCT"


class NotEncodableError(Exception):
    """A frame cannot be written in its transfer syntax without changing it."""


def encoded_frames(value: memoryview, image: Image) -> Iterator[bytes]:
    """Yield the frames of encapsulated pixel data, still encoded, one at a time.

    Args:
        value: Of the pixel data, from its offset table on.
        image: How its frames are stored.

    Raises:
        DeidRefusedError: It cannot be told where they begin.
    """
    source = io.BufferedReader(_Window(value))
    try:
        yield from generate_frames(source, number_of_frames=image.frames)
    except (ValueError, EOFError, OSError):
        raise DeidRefusedError(
            UNREADABLE, "PixelData", "it cannot be told where frames begin"
        ) from None


def decoded(encoded: bytes, image: Image) -> tuple[Frame, str]:
    """Return a frame that may be written to, and the Photometric Interpretation that it has.

    A frame of a lossless syntax has its samples as they were stored; one of another is RGB.

    Raises:
        DeidRefusedError: It cannot be decoded.
    """
    data_set = _data_set(image)
    data_set.PixelData = encapsulate([encoded])
    data_set["PixelData"].VR = "OB"
    try:
        decoder = get_decoder(UID(image.syntax.uid))
        array, meta = decoder.as_array(data_set, index=0, raw=image.syntax.uid in LOSSLESS)
    # Native decoders fail in many ways on what strangers encoded; each means the same.
    except Exception:
        raise DeidRefusedError(UNREADABLE, "PixelData", "a frame cannot be decoded") from None
    if array.shape != image.shape:
        raise DeidRefusedError(UNREADABLE, "PixelData", "a frame is not of its stated size")
    return np.array(array), str(meta["photometric_interpretation"])


def encoded(frame: Frame, photometric: str, image: Image) -> bytes:
    """Return a frame in the transfer syntax of its object, proved to decode to itself.

    Raises:
        NotEncodableError: It cannot be.
    """
    if image.syntax.uid not in WRITTEN or not 8 <= image.allocated <= 16:
        raise NotEncodableError
    data_set = _data_set(image)
    if image.syntax.uid == JPEG2000Lossless and frame.ndim == 3:
        # Stored RGB is told from RGB by way of the reversible transform by this alone.
        data_set.PhotometricInterpretation = image.photometric
    data_set.PlanarConfiguration = 0
    data_set.PixelData = np.ascontiguousarray(frame).tobytes()
    data_set.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
    try:
        result: bytes = get_encoder(UID(image.syntax.uid)).encode(data_set, index=0)
        again, now = decoded(result, image)
    except Exception:
        raise NotEncodableError from None
    if now != photometric or not np.array_equal(again, frame):
        raise NotEncodableError
    return result


def _data_set(image: Image) -> Dataset:
    data_set = Dataset()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = UID(image.syntax.uid)
    data_set.Rows, data_set.Columns = image.rows, image.columns
    data_set.SamplesPerPixel, data_set.NumberOfFrames = image.samples, 1
    data_set.BitsAllocated, data_set.BitsStored = image.allocated, image.stored
    data_set.HighBit = image.stored - 1
    data_set.PixelRepresentation = int(image.signed)
    data_set.PhotometricInterpretation = image.photometric
    if image.samples > 1:
        data_set.PlanarConfiguration = int(image.planar)
    return data_set


class _Window(io.RawIOBase):
    """Reads a view as a file, without a copy of it."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        part = self._view[self._at : self._at + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)
