"""Work on the pixels of one stored instance: draw, decode, write in another transfer syntax.

Native libraries decode what strangers encoded, so all of this runs in ``imaging_worker``, a
process with limits.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from services.conversion.drawing import Viewport, Window, draw, encoded
from services.dicom.part10 import file_meta

MAX_SAMPLES: Final = 120_000_000
"""Most samples of one frame; more are refused before anything is allocated."""
MAX_TRANSCODED_BYTES: Final = 1 << 30
"""Largest file that is written anew: it is held in memory."""
NATIVE: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
WRITTEN: Final = frozenset({*NATIVE, RLELossless, JPEGLSLossless})
"""Transfer syntaxes that can be asked for; none of them loses anything."""
_SMALL_BYTES: Final = 8 << 20
_LARGEST_GROUP_ITEM: Final = 100_000


class ImageError(Exception):
    """Pixels that cannot be worked on; the message is a rule without values."""


def render(
    path: Path,
    frame: int,
    kind: Literal["png", "jpeg"],
    quality: int,
    window: Window | None,
    viewport: Viewport | None,
) -> bytes:
    """Draw a frame as a picture.

    Args:
        path: A DICOM file.
        frame: Number from 1.
        kind: Encoding of the picture.
        quality: Of JPEG, 1 to 100.
        window: Window; None takes the image's own.
        viewport: Size; None keeps that of the image.

    Raises:
        ImageError: There is no such frame, or it cannot be shown.
    """
    header = _header(path)
    _check(header, frame)
    pixels = _pixels(path, header, frame)
    return encoded(draw(pixels, _of_frame(header, frame), window, viewport), kind, quality)


def decode(path: Path, frames: list[int]) -> Iterator[tuple[bytes, str]]:
    """Yield frames as native little endian pixels, with their photometric interpretation.

    Raises:
        ImageError: There is no such frame, or it cannot be decoded.
    """
    header = _header(path)
    for frame in frames:
        _check(header, frame)
    photometric = str(header.get("PhotometricInterpretation", ""))
    for frame in frames:
        pixels = _pixels(path, header, frame)
        if pixels.ndim == 3 and photometric.startswith("YBR"):
            photometric = "RGB"
        yield _little_endian(pixels, header), photometric


def _pixels(path: Path, header: Dataset, frame: int) -> Any:
    if "PixelData" in header:
        return pixel_array(header, index=frame - 1)
    if header.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        # What is deflated cannot be read from its middle.
        return pixel_array(pydicom.dcmread(path), index=frame - 1)
    return pixel_array(str(path), index=frame - 1)


def _little_endian(pixels: Any, header: Dataset) -> bytes:
    if int(header.BitsAllocated) == 1:
        return np.packbits(pixels.ravel(), bitorder="little").tobytes()
    if pixels.ndim == 3 and int(header.get("PlanarConfiguration") or 0) == 1:
        pixels = np.moveaxis(pixels, -1, 0)
    ordered = np.ascontiguousarray(pixels)
    return ordered.astype(ordered.dtype.newbyteorder("<"), copy=False).tobytes()


def transcode(path: Path, transfer_syntax_uid: str, target: Path) -> None:
    """Write an instance in another transfer syntax, with file meta information of ours.

    Raises:
        ImageError: It is too large, or the pixels cannot be decoded or encoded.
    """
    syntax = UID(transfer_syntax_uid)
    if syntax not in WRITTEN:
        raise ImageError("transfer syntax is not written")
    if path.stat().st_size > MAX_TRANSCODED_BYTES:
        raise ImageError("too large to be written anew")
    instance = pydicom.dcmread(path)
    source = UID(str(instance.file_meta.TransferSyntaxUID))
    if source.is_compressed and source != DeflatedExplicitVRLittleEndian and source != syntax:
        _check(instance, 1)
        instance.decompress(generate_instance_uid=False)
    if syntax not in NATIVE and source != syntax:
        _check(instance, 1)
        instance.compress(syntax, generate_instance_uid=False)
    target.write_bytes(_file(instance, syntax))


def _file(instance: Dataset, syntax: UID) -> bytes:
    meta = file_meta(str(instance.SOPClassUID), str(instance.SOPInstanceUID), str(syntax))
    buffer = BytesIO()
    data_set = Dataset(instance)
    for element in [element.tag for element in data_set if element.tag.group == 2]:
        del data_set[element]
    # Of the enclosing file's byte order and VR nothing may be remembered.
    dcmwrite(
        buffer,
        data_set,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=True,
        enforce_file_format=False,
    )
    content = buffer.getvalue()
    if syntax == DeflatedExplicitVRLittleEndian:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content = deflater.compress(content) + deflater.flush()
        content += bytes(len(content) % 2)
    return meta + content


@lru_cache(maxsize=16)
def _read_once(path: str, _inode: int, size: int) -> Dataset:
    # A small file is read once; of a large one only the header, and then the frames asked for.
    return pydicom.dcmread(path, stop_before_pixels=size > _SMALL_BYTES)


def _header(path: Path) -> Dataset:
    # Frames of one instance are asked for one after another.
    stamp = path.stat()
    return _read_once(str(path), stamp.st_ino, stamp.st_size)


def _check(header: Dataset, frame: int) -> None:
    """Judge by the header whether a frame may be decoded at all."""
    try:
        rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
        samples = int(header.get("SamplesPerPixel") or 1)
        count = int(header.get("NumberOfFrames") or 1)
    except (ValueError, TypeError):
        raise ImageError("size is no number") from None
    if rows < 1 or columns < 1:
        raise ImageError("no pixels")
    if rows * columns * samples > MAX_SAMPLES:
        raise ImageError("too large to be shown")
    if not 1 <= frame <= max(count, 1):
        raise ImageError("no such frame")


def _of_frame(header: Dataset, frame: int) -> Dataset:
    """Return the header with what its functional groups say of one frame (PS3.3 C.7.6.16)."""
    shared = header.get("SharedFunctionalGroupsSequence") or []
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    groups = [*shared[:1]]
    if frame <= min(len(per_frame), _LARGEST_GROUP_ITEM):
        groups.append(per_frame[frame - 1])
    if not groups:
        return header
    merged = Dataset()
    for keyword in _SHOWN:
        if keyword in header:
            merged[keyword] = header[keyword]
    for group in groups:
        for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for element in (group.get(name) or [Dataset()])[0]:
                merged[element.tag] = element
        measures = (group.get("PixelMeasuresSequence") or [Dataset()])[0]
        if "PixelSpacing" in measures:
            merged["PixelSpacing"] = measures["PixelSpacing"]
    return merged


_SHOWN: Final = (
    "PhotometricInterpretation",
    "PresentationLUTShape",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "PixelSpacing",
    "PixelAspectRatio",
    "PixelRepresentation",
    "BitsStored",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
)
