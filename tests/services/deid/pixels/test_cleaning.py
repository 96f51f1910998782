"""Pixels that are cleared: what changes, what stays as it is, and in which encoding."""

from __future__ import annotations

from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

from services.deid.approvals import Approvals
from services.deid.deidentify import Deidentifier, Released
from services.deid.errors import DeidRefusedError
from services.deid.pixels.left import TextLeftError
from services.deid.pixels.text import Area, Picture, Text
from services.deid.profile.options import options_of
from services.deid.pseudonyms import Pseudonyms
from tests.services.deid.conftest import KEY
from tests.support.instances import ct_instance, part10

SIZE = 64
WRITING = Area(8, 16, 24, 10)


class Reader:
    """Reads one text in one place, as long as something is to be seen there."""

    name = "one text"

    def __init__(self, words: str = "KANARIENVOGEL", *, stubborn: bool = False) -> None:
        self._words, self._stubborn = words, stubborn

    def read(self, picture: Picture) -> list[Text]:
        x, y, width, height = WRITING
        seen = np.ptp(picture[y : y + height, x : x + width]) > 0
        return [Text(WRITING, self._words, 0.95)] if seen or self._stubborn else []


def cleaned(dataset: Dataset, reader: Reader | None = None, preset: str = "basic") -> Released:
    reader = reader or Reader()
    deidentifier = Deidentifier(options_of(preset), Pseudonyms(KEY), reader=lambda: reader)
    return deidentifier.deidentify(_file(dataset))


def _file(dataset: Dataset) -> bytes:
    if "TransferSyntaxUID" not in getattr(dataset, "file_meta", ()):
        return part10(dataset)
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read(released: Released) -> Dataset:
    return dcmread(BytesIO(b"".join(released.parts)))


def capture(*, frames: int = 1, samples: int = 1) -> Dataset:
    """A capture of noise, of a patient."""
    dataset = ct_instance(size=SIZE)
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.PatientName, dataset.PatientID = "KANARIENVOGEL^ADELHEID", "MRN-7719034"
    shape = (frames, SIZE, SIZE, samples)
    noise = np.random.default_rng(4).integers(0, 256, shape, np.uint8)
    if samples == 3:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
        dataset.PlanarConfiguration = 0
    dataset.NumberOfFrames = frames
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = noise.tobytes()
    dataset["PixelData"].VR = "OB"
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    differing: np.ndarray = (before != after).reshape(*before.shape[:2], -1).any(axis=-1)
    return differing


def inside(*areas: Area) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    for x, y, width, height in areas:
        mask[y : y + height, x : x + width] = True
    return mask


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
)
def test_a_lossless_syntax_is_kept_and_every_other_pixel_stays(syntax: str, samples: int) -> None:
    source = capture(samples=samples)
    before = source.pixel_array.copy()
    if syntax == JPEG2000Lossless:
        source.PixelData = encapsulate(
            [bytes(imagecodecs.jpeg2k_encode(before, level=0, mct=False))]
        )
        source["PixelData"].is_undefined_length = True
    elif syntax not in (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        source.compress(syntax, generate_instance_uid=False)
    source.file_meta.TransferSyntaxUID = UID(syntax)

    after = read(cleaned(source))

    assert after.file_meta.TransferSyntaxUID == syntax
    assert not changed(before, after.pixel_array)[~inside(WRITING)].any()
    x, y, width, height = WRITING
    assert not after.pixel_array[y : y + height, x : x + width].any()
    assert after.BurnedInAnnotation == "NO"
    assert "113101" in [item.CodeValue for item in after.DeidentificationMethodCodeSequence]


def test_what_was_lossy_is_written_uncompressed_and_says_so() -> None:
    source = capture(samples=3)
    picture = BytesIO()
    Image.fromarray(source.pixel_array).save(picture, "JPEG", quality=90)
    source.PixelData = encapsulate([picture.getvalue()])
    source["PixelData"].is_undefined_length = True
    source.PhotometricInterpretation = "YBR_FULL_422"
    source.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    before = source.pixel_array.copy()

    after = read(cleaned(source))

    assert after.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert after.PhotometricInterpretation == "RGB"
    assert after.LossyImageCompression == "01"
    assert not changed(before, after.pixel_array)[~inside(WRITING)].any()


def test_only_frames_that_show_text_are_written_anew() -> None:
    source = capture(frames=3)
    pixels = source.pixel_array.copy()
    x, y, width, height = WRITING
    pixels[[0, 2], y : y + height, x : x + width] = 7
    source.PixelData = pixels.tobytes()
    source.compress(RLELossless, pixels, generate_instance_uid=False)

    released = cleaned(source)

    after = read(released).pixel_array
    assert [box.frame for box in released.boxes] == [2]
    assert np.array_equal(after[[0, 2]], pixels[[0, 2]])
    assert not after[1, y : y + height, x : x + width].any()


def test_pixels_without_text_stay_byte_by_byte_and_are_said_to_be_clean() -> None:
    source = capture()
    source.PixelData = bytes(SIZE * SIZE)
    source.BurnedInAnnotation = "YES"

    after = read(cleaned(source))

    assert after.PixelData == source.PixelData
    assert after.BurnedInAnnotation == "NO"


def test_words_of_medicine_stay_unless_the_object_goes_to_a_model() -> None:
    source = capture()
    reader = Reader("LEFT KIDNEY")

    assert read(cleaned(source, reader)).PixelData == source.PixelData
    assert cleaned(source, reader, "external-model").boxes


def test_text_that_is_read_still_holds_the_object() -> None:
    with pytest.raises(TextLeftError) as caught:
        cleaned(capture(), Reader(stubborn=True))

    assert caught.value.code == "IDENTIFIER_FOUND"
    assert [box.area for box in caught.value.boxes] == [WRITING]


def test_a_blanked_rectangle_is_not_taken_for_text() -> None:
    class Doubtful(Reader):
        def read(self, picture: Picture) -> list[Text]:
            return super().read(picture) or [Text(WRITING, "", 0.0)]

    released = cleaned(capture(), Doubtful())

    assert [box.area for box in released.boxes] == [WRITING]


def test_what_a_person_lets_through_is_blanked_all_the_same_and_not_said_to_be_clean() -> None:
    reader = Reader("QUILLBACK", stubborn=True)
    deidentifier = Deidentifier(options_of("basic"), Pseudonyms(KEY), reader=lambda: reader)

    released = deidentifier.deidentify(_file(capture()), Approvals(["TEXT_LEFT_IN_PIXELS"]))

    after = read(released)
    x, y, width, height = WRITING
    assert not after.pixel_array[y : y + height, x : x + width].any()
    assert "BurnedInAnnotation" not in after


def test_outside_the_regions_of_an_ultrasound_all_is_blanked() -> None:
    source = capture()
    source.SOPClassUID = UltrasoundImageStorage
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 10, 20
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 49, 59
    source.SequenceOfUltrasoundRegions = Sequence([region])
    before = source.pixel_array.copy()

    released = cleaned(source, Reader("LEFT KIDNEY"))

    after = read(released).pixel_array
    shown = inside(Area(10, 20, 40, 40))
    assert np.array_equal(after[shown], before[shown])
    assert not after[~shown].any()
    assert {box.code for box in released.boxes} == {"ULTRASOUND_REGION"}


def test_where_a_device_is_known_to_write_is_blanked() -> None:
    source = capture()
    source.Manufacturer, source.ManufacturerModelName = "SENO Medical", "Imagio"
    source.Rows, source.Columns = 1056, 1920
    source.PixelData = bytes([9]) * (1056 * 1920)

    released = cleaned(source)

    assert [(box.area, box.code) for box in released.boxes] == [
        (Area(161, 0, 1632, 50), "DEVICE_MASK")
    ]


def test_an_overlay_in_bits_beside_the_values_goes() -> None:
    source = capture()
    source.BitsAllocated, source.BitsStored, source.HighBit = 16, 12, 11
    values = np.full((SIZE, SIZE), 100, np.uint16)
    values[3, 5] |= 0x8000
    source.PixelData = values.tobytes()
    source["PixelData"].VR = "OW"

    after = read(cleaned(source))

    assert (after.pixel_array == 100).all()


@pytest.mark.parametrize(("photometric", "background"), [("MONOCHROME1", 255), ("MONOCHROME2", 0)])
def test_what_is_blanked_is_dark(photometric: str, background: int) -> None:
    source = capture()
    source.PhotometricInterpretation = photometric

    after = read(cleaned(source)).pixel_array

    x, y, width, height = WRITING
    assert (after[y : y + height, x : x + width] == background).all()


def test_colours_that_are_stored_apart_are_blanked_each() -> None:
    source = capture(samples=3)
    source.PlanarConfiguration = 1
    before = source.pixel_array.copy()

    after = read(cleaned(source)).pixel_array

    assert np.array_equal(changed(before, after), inside(WRITING))


def test_pixels_that_cannot_be_decoded_are_refused() -> None:
    source = capture()
    source.PixelData = encapsulate([b"not a picture at all"])
    source["PixelData"].is_undefined_length = True
    source.file_meta.TransferSyntaxUID = JPEG2000Lossless

    with pytest.raises(DeidRefusedError) as caught:
        cleaned(source)

    assert caught.value.code == "PIXELS_UNREADABLE"
