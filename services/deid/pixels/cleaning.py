"""Clears the pixel data of an object of text, frame by frame.

Every frame is looked at first, and only then, if anything has to go, is pixel data written anew: in
the transfer syntax that it came in where that loses nothing, else uncompressed. Frames are decoded
one at a time, twice where something is blanked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Final

import numpy as np

from services.deid.encode import Encoder
from services.deid.errors import DeidRefusedError
from services.deid.layout import Layout
from services.deid.pixels.blank import background, blank
from services.deid.pixels.cleaned import CleanedPixels, Part, Source
from services.deid.pixels.codec import (
    LOSSLESS,
    NotEncodableError,
    decoded,
    encoded,
    encoded_frames,
)
from services.deid.pixels.frames import FrameCleaner
from services.deid.pixels.image import UNREADABLE, Image, image_of
from services.deid.pixels.judgement import Staying
from services.deid.pixels.masks import device_masks
from services.deid.pixels.regions import image_regions, outside
from services.deid.pixels.spool import Encapsulation, Spool
from services.deid.pixels.text import (
    DEVICE_MASK,
    ULTRASOUND_REGION,
    Area,
    Box,
    Frame,
    TextReader,
)
from services.deid.subject import Subject
from services.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from services.dicom.walk import PIXEL_DATA

_PHOTOMETRIC: Final = 0x00280004
_PLANAR: Final = 0x00280006
_LOSSY: Final = 0x00282110
_OFFSETS: Final = (0x7FE00001, 0x7FE00002)
_BITMAP: Final = "marks of one bit a pixel cannot be blanked"
_LONGEST: Final = 0xFFFFFFFE


def clean_pixels(
    source: Source, reader: TextReader, subject: Subject, staying: Staying
) -> CleanedPixels:
    """Clear an object's pixels of text.

    Args:
        source: The object.
        reader: Finds text.
        subject: Whose identity goes.
        staying: Which text may stay.

    Raises:
        DeidRefusedError: Its pixels cannot be read, or cannot be blanked.
    """
    image = image_of(source.layout, source.places, source.syntax)
    cleaner = FrameCleaner(reader, subject, staying, tuple(_fixed(source, image)))
    pixels = _Pixels(source.layout, image)
    boxes: list[Box] = []
    left: list[Box] = []
    for number, (frame, photometric) in enumerate(pixels.frames(), start=1):
        blanked, read = cleaner.clean(frame, photometric, number)
        boxes += blanked
        left += read
    if not boxes and not pixels.has_unused_bits:
        return CleanedPixels(source.syntax, read=True)
    if image.allocated == 1:
        raise DeidRefusedError(UNREADABLE, "PixelData", _BITMAP)
    return replace(_written(pixels, boxes), left=tuple(left), read=True)


def _fixed(source: Source, image: Image) -> Iterator[tuple[Area, str]]:
    rows, columns = image.rows, image.columns
    regions = image_regions(source.layout, source.places, source.syntax, rows, columns)
    yield from ((area, ULTRASOUND_REGION) for area in outside(regions, rows, columns))
    yield from ((area, DEVICE_MASK) for area in device_masks(source.values, rows, columns))


class _Pixels:
    """The frames of an object, one at a time.

    Attributes:
        image: How they are stored.
        has_unused_bits: Whether something stands beside the values; known when all were read.
    """

    def __init__(self, layout: Layout, image: Image) -> None:
        self.image = image
        self.has_unused_bits = False
        place = image.place
        self._value = layout.view[place.value : place.stop]

    def frames(self) -> Iterator[tuple[Frame, str]]:
        """Yield frames that may be written to, with their Photometric Interpretation."""
        if self.image.syntax.encapsulated:
            for one in encoded_frames(self._value, self.image):
                yield decoded(one, self.image)
            return
        for number in range(self.image.frames):
            yield self._native(number), self.image.photometric

    def encoded(self) -> Iterator[bytes]:
        """Yield frames as they are encapsulated."""
        return encoded_frames(self._value, self.image)

    def _native(self, number: int) -> Frame:
        image = self.image
        first, last = number * image.frame_bits, (number + 1) * image.frame_bits
        part = self._value[first // 8 : -(-last // 8)]
        if len(part) < -(-last // 8) - first // 8:
            raise DeidRefusedError(UNREADABLE, "PixelData", "shorter than its frames")
        if image.allocated == 1:
            bits = np.unpackbits(np.frombuffer(part, np.uint8), bitorder="little")
            return bits[first % 8 :][: last - first].reshape(image.shape)
        samples = np.array(np.frombuffer(part, image.dtype))
        self._clear_unused_bits(samples)
        if image.planar and image.samples > 1:
            planes = samples.reshape(image.samples, image.rows, image.columns)
            return np.moveaxis(planes, 0, -1)
        return samples.reshape(image.shape)

    def _clear_unused_bits(self, samples: Frame) -> None:
        # An overlay may be kept in the bits that values do not use (PS3.5 section 8.1.1).
        unused = self.image.allocated - self.image.stored
        if not unused or samples.dtype.kind == "f":
            return
        kind = samples.dtype.newbyteorder("=")
        clear = (samples.astype(kind) << unused) >> unused
        if not np.array_equal(clear, samples):
            self.has_unused_bits = True
            samples[:] = clear


def _written(pixels: _Pixels, boxes: list[Box]) -> CleanedPixels:
    image = pixels.image
    areas = {
        number: [box.area for box in found]
        for number, found in groupby(boxes, key=lambda box: box.frame)
    }
    if image.syntax.encapsulated and image.syntax.uid in LOSSLESS:
        try:
            added = _encapsulated(pixels, areas)
        except (NotEncodableError, OverflowError):
            pass  # written uncompressed below, which loses nothing either
        else:
            return CleanedPixels(image.syntax, added, tuple(boxes))
    syntax = image.syntax
    if syntax.encapsulated:
        syntax = transfer_syntax(EXPLICIT_VR_LITTLE_ENDIAN)
    return CleanedPixels(syntax, _native(pixels, areas, Encoder(syntax)), tuple(boxes))


def _encapsulated(pixels: _Pixels, areas: Mapping[int, list[Area]]) -> dict[int, Part]:
    image = pixels.image
    with Spool() as spool:
        target = Encapsulation(spool, Encoder(image.syntax), image.frames)
        for number, one in enumerate(pixels.encoded(), start=1):
            if number not in areas:
                target.add(one)
                continue
            frame, photometric = decoded(one, image)
            blank(frame, areas[number], background(frame, photometric))
            target.add(encoded(frame, photometric, image))
        target.finish()
        return {PIXEL_DATA: spool.view(), **dict.fromkeys(_OFFSETS, b"")}


def _native(pixels: _Pixels, areas: Mapping[int, list[Area]], encoder: Encoder) -> dict[int, Part]:
    image = pixels.image
    size = image.frames * image.frame_bits // 8
    if size > _LONGEST:
        raise DeidRefusedError(UNREADABLE, "PixelData", "too long to be written uncompressed")
    shown = image.photometric
    vr = "OW" if image.allocated > 8 else "OB"
    with Spool() as spool:
        header = encoder.header(image.place.tag, _vr(image, vr), size + size % 2)
        spool.write(header)
        for number, (frame, photometric) in enumerate(pixels.frames(), start=1):
            blank(frame, areas.get(number, ()), background(frame, photometric))
            spool.write(_samples(frame, image))
            shown = photometric
        spool.write(bytes(size % 2))
        added: dict[int, Part] = {image.place.tag: spool.view()}
    if image.syntax.encapsulated:
        added |= dict.fromkeys(_OFFSETS, b"")
        added |= _described(encoder, image, shown)
    return added


def _vr(image: Image, fitting: str) -> str:
    return fitting if image.syntax.encapsulated else image.place.vr


def _described(encoder: Encoder, image: Image, photometric: str) -> dict[int, Part]:
    """Return what must be said of pixels that are not compressed any more."""
    added: dict[int, Part] = {_PHOTOMETRIC: encoder.text(_PHOTOMETRIC, "CS", photometric)}
    if image.samples > 1:
        added[_PLANAR] = encoder.element(_PLANAR, "US", bytes(2))
    if image.syntax.uid not in LOSSLESS:
        # What was lost before stays lost (PS3.3 section C.7.6.1.1.5).
        added[_LOSSY] = encoder.text(_LOSSY, "CS", "01")
    return added


def _samples(frame: Frame, image: Image) -> bytes:
    if image.planar and image.samples > 1 and not image.syntax.encapsulated:
        frame = np.moveaxis(frame, -1, 0)
    ordered = np.ascontiguousarray(frame)
    kind = image.dtype if not image.syntax.encapsulated else ordered.dtype.newbyteorder("<")
    return ordered.astype(kind, copy=False).tobytes()
