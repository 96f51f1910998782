"""Synthetic frames with identity drawn into them, and clean ones.

Every picture says what was drawn and which pixels are its ink, so that a scorer needs to know
nothing of the tool. Names, numbers and dates are made up; backgrounds are phantoms.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from tests.support.instances import ct_instance
from tests.support.picture_backgrounds import BACKGROUNDS

FRAMES: Final = 500
SIZES: Final = (512, 640)
FONT_SIZES: Final = (10, 11, 12, 13, 14, 16, 18, 20, 24, 28, 32, 40, 48)
CONTRASTS: Final = (0.4, 0.6, 0.8, 1.0)
KINDS: Final = ("MONOCHROME2", "MONOCHROME1", "RGB", "YBR_FULL")
BITS: Final = (8, 12, 16)
TEXTS_A_FRAME: Final = 3
VARIANTS: Final = 3
LEAST_CONTRAST: Final = 0.3
"""Between ink and what is around it; where the background leaves less, letters get an outline."""
_FOLDER: Final = Path("/usr/share/fonts/truetype")
_FONTS: Final = (
    "dejavu/DejaVuSans.ttf",
    "dejavu/DejaVuSans-Bold.ttf",
    "dejavu/DejaVuSansMono.ttf",
    "dejavu/DejaVuSerif.ttf",
    "dejavu/DejaVuSansMono-Bold.ttf",
    "liberation/LiberationSans-Regular.ttf",
    "liberation/LiberationSerif-Regular.ttf",
    "liberation/LiberationMono-Regular.ttf",
    "liberation/LiberationSansNarrow-Regular.ttf",
)
_FAMILIES: Final = (
    *("KOWALCZYK", "OYELARAN", "HRADILOVA", "VANDERMEULEN", "DOE", "LINDQVIST", "OBRIEN"),
    *("MBEKI", "NAKAMURA", "FERREIRA", "SCHWARZENBERG", "IYER", "TRAN", "HOLLOWAY"),
)
_GIVEN: Final = ("ZDENKA", "BARTHOLOMEW", "ODUYA", "FRANCESCA", "JOHN", "IDA", "LIAM", "MILLICENT")
_MONTHS: Final = (
    "JAN",
    "FEB",
    "MAR",
    "APR",
    "MAY",
    "JUN",
    "JUL",
    "AUG",
    "SEP",
    "OCT",
    "NOV",
    "DEC",
)

Array = NDArray[Any]


@dataclass(frozen=True)
class Planted:
    """A text that was drawn.

    Attributes:
        text: What.
        ink: Indices of its pixels in the flattened frame.
        size: Of the font, in pixels.
        turned: Degrees, counter-clockwise.
        contrast: Share of the whole range between ink and what is around it.
    """

    text: str
    ink: NDArray[np.intp]
    size: int
    turned: int
    contrast: float


@dataclass(frozen=True)
class Person:
    """Somebody who does not exist."""

    family: str
    given: str
    patient_id: str
    birth_date: str
    accession: str
    physician: str


@dataclass(frozen=True)
class Picture:
    """A frame.

    Attributes:
        stored: As in Pixel Data: rows x columns (x 3), uint8 or uint16.
        photometric: Photometric Interpretation.
        bits: Bits Stored.
        person: Whom the header names.
        planted: What was drawn; empty for a clean one.
        background: Name of the phantom.
    """

    stored: Array
    photometric: str
    bits: int
    person: Person
    planted: tuple[Planted, ...]
    background: str


def picture(number: int, seed: int = 5, *, clean: bool = False) -> Picture:
    """Return a picture, the same one each time.

    Args:
        number: Which, from 0.
        seed: Of the choices.
        clean: Draw nothing.
    """
    names = sorted(BACKGROUNDS)
    chance = random.Random(f"{seed}/{number}/{clean}")  # noqa: S311 -- the same each time
    return _picture(chance, names[number % len(names)], KINDS[number // 5 % 4], clean)


@lru_cache(maxsize=64)
def _background(name: str, size: int, variant: int) -> Array:
    # Backgrounds cost more than drawing on them.
    return BACKGROUNDS[name](size, np.random.default_rng(variant))


def _picture(chance: random.Random, background: str, photometric: str, clean: bool) -> Picture:
    grey = _background(background, chance.choice(SIZES), chance.randrange(VARIANTS)).copy()
    person = _person(chance)
    planted: list[Planted] = []
    for text in () if clean else chance.sample(texts(person, chance), TEXTS_A_FRAME):
        drawn = _draw(chance, grey, text, planted)
        if drawn is not None:
            planted.append(drawn)
    bits = 8 if photometric in ("RGB", "YBR_FULL") else chance.choice(BITS)
    return Picture(
        _stored(grey, photometric, bits), photometric, bits, person, tuple(planted), background
    )


def _person(chance: random.Random) -> Person:
    return Person(
        chance.choice(_FAMILIES),
        chance.choice(_GIVEN),
        f"{chance.randint(100_000, 99_999_999):08}",
        f"{chance.randint(1925, 2015)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}",
        f"A{chance.randint(100_000, 999_999)}",
        chance.choice(_FAMILIES),
    )


def texts(person: Person, chance: random.Random) -> list[str]:
    """Return ways in which devices write who somebody is."""
    year, month, day = person.birth_date[:4], person.birth_date[4:6], person.birth_date[6:]
    worded = f"{day} {_MONTHS[int(month) - 1]} {year}"
    name = chance.choice(
        (
            f"{person.family}^{person.given}",
            f"{person.family}, {person.given}",
            f"{person.given} {person.family}",
            f"{person.given[0]}. {person.family}",
            f"{person.family.title()}, {person.given.title()}",
        )
    )
    born = chance.choice(
        (f"{day}.{month}.{year}", f"{month}/{day}/{year}", worded, person.birth_date)
    )
    number = chance.choice(("MRN: {}", "ID {}", "{}", "Pat.-Nr. {}")).format(person.patient_id)
    return [name, number, f"DOB {born}", person.accession, f"Dr. {person.physician.title()}"]


def data_set(picture: Picture) -> Dataset:
    """Return a secondary capture that shows a picture, its header naming whom it is about."""
    person = picture.person
    dataset = ct_instance(size=1)
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.PatientName = f"{person.family}^{person.given}"
    dataset.PatientID, dataset.PatientBirthDate = person.patient_id, person.birth_date
    dataset.AccessionNumber = person.accession
    dataset.ReferringPhysicianName = person.physician
    dataset.Rows, dataset.Columns = picture.stored.shape[:2]
    if picture.stored.ndim == 3:
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.PhotometricInterpretation = picture.photometric
    dataset.BitsAllocated = 8 * picture.stored.itemsize
    dataset.BitsStored, dataset.HighBit = picture.bits, picture.bits - 1
    dataset.PixelData = picture.stored.tobytes()
    dataset["PixelData"].VR = "OB" if picture.stored.itemsize == 1 else "OW"
    return dataset


def _draw(chance: random.Random, grey: Array, text: str, others: list[Planted]) -> Planted | None:
    """Draw a text where there is room for it; None when there is none."""
    size, turned = chance.choice(FONT_SIZES), chance.choice((0, 0, 0, 90, 180, 270))
    style, contrast = chance.choice(("plain", "plain", "box", "outline")), chance.choice(CONTRASTS)
    font = _font(chance, size)
    ink, edge = _letters(text, font, turned, style)
    if ink.shape[0] + 8 > grey.shape[0] or ink.shape[1] + 8 > grey.shape[1]:
        return None
    taken = np.zeros(grey.size, bool)
    for other in others:
        taken[other.ink] = True
    for _ in range(50):
        top = chance.randint(4, grey.shape[0] - ink.shape[0] - 4)
        left = chance.randint(4, grey.shape[1] - ink.shape[1] - 4)
        place = (slice(top, top + ink.shape[0]), slice(left, left + ink.shape[1]))
        around = (
            slice(max(0, top - 12), place[0].stop + 12),
            slice(max(0, left - 12), place[1].stop + 12),
        )
        if not taken.reshape(grey.shape)[around].any():
            break
    else:
        return None
    patch = grey[place]
    level = float(np.median(patch)) if style != "box" else chance.choice((0.0, 0.1))
    value = level + contrast if level < 0.5 else level - contrast
    value = min(1.0, max(0.0, value))
    if style == "plain" and np.mean(np.abs(patch - value) < LEAST_CONTRAST) > 0.01:
        style = "outline"
        ink, edge = _letters(text, font, turned, style)
    if style == "box":
        patch[:] = level
    if style == "outline":
        patch[edge > 0.5] = 0.0 if value >= 0.5 else 1.0
    patch[:] = patch * (1 - ink) + value * ink
    rows, columns = np.nonzero(ink > 0.5)
    flat = (rows + top) * grey.shape[1] + columns + left
    return Planted(text, flat, size, turned, round(abs(value - level), 2))


def _font(chance: random.Random, size: int) -> Any:
    there = [_FOLDER / name for name in _FONTS if (_FOLDER / name).is_file()]
    if not there:
        return ImageFont.load_default(size)
    return ImageFont.truetype(str(chance.choice(there)), size)


def _letters(text: str, font: Any, turned: int, style: str) -> tuple[Array, Array]:
    """Return coverage of the letters and of the letters with their outline, 0 to 1."""
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text, stroke_width=2))
    images = []
    for stroke in (0, 2 if style == "outline" else 0):
        image = Image.new("L", (right - left + 6, bottom - top + 6))
        draw = ImageDraw.Draw(image)
        draw.text((3 - left, 3 - top), text, 255, font, stroke_width=stroke)
        images.append(np.asarray(image.rotate(turned, expand=True), np.float64) / 255)
    return images[0], images[1]


def _stored(grey: Array, photometric: str, bits: int) -> Array:
    if photometric == "RGB":
        return np.stack([np.rint(grey * 255)] * 3, -1).astype(np.uint8)
    if photometric == "YBR_FULL":
        luma = np.rint(grey * 255)
        return np.stack([luma, np.full_like(luma, 128), np.full_like(luma, 128)], -1).astype(
            np.uint8
        )
    shown = 1 - grey if photometric == "MONOCHROME1" else grey
    stored: Array = np.rint(shown * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    return stored
