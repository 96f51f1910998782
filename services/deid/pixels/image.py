"""What the Image Pixel module says of the frames of an object (PS3.3 section C.7.6.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.deid.errors import DeidRefusedError
from services.deid.layout import Layout, Place
from services.dicom.uids import TransferSyntax
from services.dicom.walk import PIXEL_DATA, PIXEL_TAGS

UNREADABLE: Final = "PIXELS_UNREADABLE"
_MOST_SAMPLES: Final = 120_000_000
_MOST_FRAMES: Final = 1_000_000
_SAMPLES: Final = 0x00280002
_PHOTOMETRIC: Final = 0x00280004
_PLANAR: Final = 0x00280006
_FRAMES: Final = 0x00280008
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_ALLOCATED: Final = 0x00280100
_STORED: Final = 0x00280101
_SIGNED: Final = 0x00280103
_NUMBERS: Final = (_SAMPLES, _PLANAR, _ROWS, _COLUMNS, _ALLOCATED, _STORED, _SIGNED)
_TEXTS: Final = (_PHOTOMETRIC, _FRAMES)
_KINDS: Final = {0x7FE00008: "f4", 0x7FE00009: "f8"}


@dataclass(frozen=True, slots=True)
class Image:
    """How the frames of an object are stored.

    Attributes:
        place: Of the pixel data.
        syntax: Transfer syntax of the object.
        rows: Of each frame.
        columns: Of each frame.
        samples: Of each pixel: 1 or 3.
        frames: How many.
        allocated: Bits of a sample in the file.
        stored: Bits of it that are its value.
        signed: Whether values may be negative.
        planar: Whether a frame is stored colour by colour.
        photometric: Photometric Interpretation.
    """

    place: Place
    syntax: TransferSyntax
    rows: int
    columns: int
    samples: int
    frames: int
    allocated: int
    stored: int
    signed: bool
    planar: bool
    photometric: str

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of a sample, in the byte order of the file."""
        order = "<" if self.syntax.little_endian else ">"
        kind = _KINDS.get(self.place.tag) or f"{'i' if self.signed else 'u'}{self.allocated // 8}"
        return np.dtype(order + kind)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame, samples last."""
        size = (self.rows, self.columns)
        return size if self.samples == 1 else (*size, self.samples)

    @property
    def frame_bits(self) -> int:
        """Size of an uncompressed frame in bits."""
        return self.rows * self.columns * self.samples * self.allocated


def has_pixels(places: Sequence[Place]) -> bool:
    """Tell whether there is pixel data among the elements of an object."""
    return any(place.tag in PIXEL_TAGS for place in places)


def image_of(layout: Layout, places: Sequence[Place], syntax: TransferSyntax) -> Image:
    """Return how the frames of an object that has pixel data are stored.

    Raises:
        DeidRefusedError: It has pixels of a form that is not read.
    """
    place = next(place for place in places if place.tag in PIXEL_TAGS)
    numbers = {p.tag: _number(layout, p, syntax) for p in places if p.tag in _NUMBERS}
    texts = {p.tag: _text(layout, p) for p in places if p.tag in _TEXTS}
    frames = texts.get(_FRAMES, "")
    image = Image(
        place=place,
        syntax=syntax,
        rows=numbers.get(_ROWS, 0),
        columns=numbers.get(_COLUMNS, 0),
        samples=numbers.get(_SAMPLES, 1),
        frames=int(frames) if frames.isdecimal() else 1,
        allocated=numbers.get(_ALLOCATED, 0),
        stored=numbers.get(_STORED, numbers.get(_ALLOCATED, 0)),
        signed=bool(numbers.get(_SIGNED, 0)),
        planar=bool(numbers.get(_PLANAR, 0)),
        photometric=texts.get(_PHOTOMETRIC, ""),
    )
    _require_readable(image)
    return image


def _require_readable(image: Image) -> None:
    size = image.rows * image.columns * image.samples
    if not 0 < size <= _MOST_SAMPLES or not 0 < image.frames <= _MOST_FRAMES:
        raise DeidRefusedError(UNREADABLE, "Rows", "no size, or too large a one, to be read")
    if image.samples not in (1, 3) or image.allocated not in (1, 8, 16, 32, 64):
        raise DeidRefusedError(UNREADABLE, "BitsAllocated", "samples of a form that is not read")
    if not 0 < image.stored <= image.allocated:
        raise DeidRefusedError(UNREADABLE, "BitsStored", "samples of a form that is not read")
    subsampled = image.photometric.endswith(("_422", "_420"))
    if not image.syntax.encapsulated and (subsampled or _is_odd(image)):
        raise DeidRefusedError(UNREADABLE, "PixelData", "native pixels of a form that is not read")
    if not image.syntax.encapsulated and image.place.undefined:
        raise DeidRefusedError(UNREADABLE, "PixelData", "encapsulated in a native syntax")
    if image.syntax.encapsulated and not image.place.undefined:
        raise DeidRefusedError(UNREADABLE, "PixelData", "native in an encapsulated syntax")
    if image.syntax.encapsulated and image.place.tag != PIXEL_DATA:
        raise DeidRefusedError(UNREADABLE, "PixelData", "compressed in a form that is not read")


def _is_odd(image: Image) -> bool:
    """Tell of pixels in another byte order than a reader of their samples would take."""
    if not image.syntax.little_endian and image.allocated == 8:
        return image.place.vr != "OB"
    return image.syntax.uid == "1.2.840.113619.5.2"


def _number(layout: Layout, place: Place, syntax: TransferSyntax) -> int:
    value = layout.view[place.value : place.stop]
    if len(value) != 2:
        return 0
    return int.from_bytes(value, "little" if syntax.little_endian else "big")


def _text(layout: Layout, place: Place) -> str:
    return bytes(layout.view[place.value : place.stop][:64]).decode("latin-1").strip(" \0")
