"""Frames out of encapsulated pixel data and back into it, without loss or not at all."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
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
_TRANSFORMED: Final = frozenset({"YBR_RCT", "YBR_ICT"})
_DECODERS: Final[Mapping[str, Callable[[bytes], Frame]]] = {
    **dict.fromkeys((str(JPEGLossless), str(JPEGLosslessSV1)), imagecodecs.jpegsof3_decode),
    **dict.fromkeys((str(JPEG2000Lossless), str(JPEG2000)), imagecodecs.jpeg2k_decode),
    **dict.fromkeys((str(HTJ2KLossless), str(HTJ2K)), imagecodecs.htj2k_decode),
}
"""Where pydicom has no decoder of its own, or one that knows fewer forms."""


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
    try:
        array, photometric = _decoded(encoded, image)
    # Native decoders fail in many ways on what strangers encoded; each means the same.
    except Exception:
        raise DeidRefusedError(UNREADABLE, "PixelData", "a frame cannot be decoded") from None
    if array.shape != image.shape or array.itemsize * 8 != image.allocated:
        raise DeidRefusedError(UNREADABLE, "PixelData", "a frame is not of its stated form")
    return np.array(array), photometric


def _decoded(encoded: bytes, image: Image) -> tuple[Frame, str]:
    decode = _DECODERS.get(image.syntax.uid)
    if decode is not None:
        # The reversible and the irreversible transform are undone by the decoder.
        shown = "RGB" if image.photometric in _TRANSFORMED else image.photometric
        return decode(encoded), shown
    data_set = _data_set(image)
    data_set.PixelData = encapsulate([encoded])
    data_set["PixelData"].VR = "OB"
    decoder = get_decoder(UID(image.syntax.uid))
    array, meta = decoder.as_array(data_set, index=0, raw=image.syntax.uid in LOSSLESS)
    return array, str(meta["photometric_interpretation"])


def encoded(frame: Frame, photometric: str, image: Image) -> bytes:
    """Return a frame in the transfer syntax of its object, proved to decode to itself.

    Raises:
        NotEncodableError: It cannot be.
    """
    if image.syntax.uid not in WRITTEN or not 8 <= image.allocated <= 16:
        raise NotEncodableError
    try:
        result = _encoded(np.ascontiguousarray(frame), image)
        again, now = decoded(result, image)
    except Exception:
        raise NotEncodableError from None
    if now != photometric or not np.array_equal(again, frame):
        raise NotEncodableError
    return result


def _encoded(frame: Frame, image: Image) -> bytes:
    if image.syntax.uid == JPEG2000Lossless:
        stream = imagecodecs.jpeg2k_encode(
            frame,
            level=0,
            codecformat="j2k",
            reversible=True,
            bitspersample=image.stored,
            mct=image.photometric == "YBR_RCT",
        )
        return bytes(stream)
    data_set = _data_set(image)
    data_set.PlanarConfiguration = 0
    data_set.PixelData = frame.tobytes()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return get_encoder(UID(image.syntax.uid)).encode(data_set, index=0)


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
