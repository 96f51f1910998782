"""Objects that lie about themselves: refused or cleaned, never passed on."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian

from services.deid.deidentify import Deidentifier, Released
from services.deid.errors import DeidRefusedError
from services.deid.profile.options import options_of
from services.deid.pseudonyms import Pseudonyms
from services.dicom.errors import DicomError, LimitExceededError, TruncatedError
from services.dicom.part10 import file_meta
from services.dicom.walk import Limits
from tests.services.deid.conftest import KEY
from tests.support.instances import CT, encoded, part10

Deidentified = Callable[..., Dataset]
RESEARCH = options_of("research", ["clean_structured_content", "clean_graphics"])


def released(file: bytes, preset: str = "research") -> Released:
    return Deidentifier(options_of(preset), Pseudonyms(KEY)).deidentify(file)


def attempt(file: bytes) -> tuple[bytes, str]:
    """Return what was released, or why nothing was."""
    try:
        return b"".join(released(file).parts), ""
    except (DicomError, DeidRefusedError) as error:
        return b"", str(error)


def renamed(dataset: Dataset, placeholder: str, raw: bytes) -> bytes:
    """Return the file with bytes in place of a placeholder as long as they are."""
    return part10(dataset).replace(placeholder.encode(), raw.ljust(len(placeholder), b" "))


@pytest.mark.parametrize(
    ("declared", "really"),
    [
        ("ISO_IR 100", "utf-8"),
        ("ISO_IR 192", "latin-1"),
        ("", "utf-8"),
        ("GB18030", "big5"),
        ("ISO_IR 192", "gb18030"),
        ("ISO 2022 IR 87", "shift_jis"),
        ("NO SUCH TERM", "utf-8"),
    ],
)
def test_a_charset_lie_hides_no_name(ct: Dataset, declared: str, really: str) -> None:
    name = {"latin-1": "MÜLLERSTÄTTER", "utf-8": "ÅNGSTRÖMSSON"}.get(really, "王陽山田大橋")
    raw = name.encode(really)
    ct.PatientName, ct.ConvolutionKernel = "N" * 24, "K" * 16
    file = renamed(ct, "N" * 24, raw).replace(b"K" * 16, raw[:16].ljust(16, b" "))

    data, reason = attempt(declaring(file, declared))

    assert raw[:8] not in data
    assert reason.isascii()


def declaring(file: bytes, charset: str) -> bytes:
    """Return a file that says another Specific Character Set."""
    value = charset.encode() + b" " * (len(charset) % 2)
    at = file.index(b"\x08\x00\x16\x00UI")
    return file[:at].replace(_UTF8, b"") + _charset(value) + file[at:]


def _charset(value: bytes) -> bytes:
    return struct.pack("<HH2sH", 0x0008, 0x0005, b"CS", len(value)) + value


_UTF8 = _charset(b"ISO_IR 192")


@pytest.mark.parametrize(
    "hidden",
    [
        base64.b64encode(b"x KANARIENVOGEL y"),
        base64.b64encode(b"KANARIENVOGEL"),
        "KANARIENVOGEL".encode("utf-32-le"),
        "kanarienvogel".encode("utf-16-be"),
        b"12.03.1930 ",
        b"MRN-7719034",
    ],
)
def test_an_identifier_in_another_form_is_found_in_what_is_kept(ct: Dataset, hidden: bytes) -> None:
    ct.SOPClassUID, ct.PatientBirthDate = "1.2.840.10008.5.1.4.1.1.9.1.1", "19300312"
    del ct.PixelData
    group = Dataset()
    group.WaveformData = b"\1" * 21 + hidden + b"\1" * (1 + len(hidden) % 2)
    group["WaveformData"].VR = "OB"
    ct.WaveformSequence = Sequence([group])

    with pytest.raises(DeidRefusedError) as caught:
        released(part10(ct))

    assert caught.value.code == "IDENTIFIER_FOUND"


def test_an_identifier_of_a_nested_person_is_sought_as_well(ct: Dataset) -> None:
    item = Dataset()
    item.ReferringPhysicianName = "NACHTIGALL^FLORENCE"
    ct.RequestAttributesSequence = Sequence([item])
    ct.ImageType = ["ORIGINAL", "PRIMARY", "NACHTIGALL"]

    with pytest.raises(DeidRefusedError) as caught:
        released(part10(ct))

    assert caught.value.code == "IDENTIFIER_FOUND"


def test_a_short_number_within_a_longer_one_holds_nothing_back(ct: Dataset) -> None:
    ct.PatientID, ct.AccessionNumber = "4711", "0001"
    ct.ImageComments = ""
    ct.SliceLocation = "14711.25"

    assert released(part10(ct)).sought


def test_a_name_within_a_word_of_medicine_holds_nothing_back(ct: Dataset) -> None:
    ct.PatientName, ct.ImageType = "POPPINS^MARY", ["ORIGINAL", "PRIMARY", "AXIAL"]

    assert released(part10(ct)).sought


def test_a_deflate_bomb_is_refused_before_it_is_large() -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = squeeze.compress(bytes(64 << 20)) + squeeze.flush()
    file = file_meta(CT, "1.2.3", DeflatedExplicitVRLittleEndian) + bomb

    with pytest.raises(LimitExceededError):
        Deidentifier(RESEARCH, Pseudonyms(KEY), Limits(max_inflated_bytes=1 << 20)).deidentify(file)


@pytest.mark.parametrize("depth", [70, 5000])
def test_deep_nesting_is_refused(ct: Dataset, depth: int) -> None:
    opened = struct.pack("<HH2s2xL", 0x0008, 0x9215, b"SQ", 0xFFFFFFFF)
    opened += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closed = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    file = part10(ct)
    at = file.index(b"\x10\x00\x10\x00PN")

    with pytest.raises(LimitExceededError):
        released(file[:at] + opened * depth + closed * depth + file[at:])


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_truncated_object_is_never_released(ct: Dataset, tenth: int) -> None:
    file = part10(ct)
    cut = file[: len(file) * tenth // 10]

    with pytest.raises((DicomError, DeidRefusedError)):
        released(cut)


def test_a_length_past_the_end_is_refused_at_once(ct: Dataset) -> None:
    ct.ImageComments = "x" * 16
    file = part10(ct)
    at = file.index(b"\x20\x00\x00\x40LT")

    with pytest.raises(TruncatedError):
        released(file[: at + 6] + b"\xfe\xff" + file[at + 8 :])


@pytest.mark.parametrize("vr", ["OB", "UN", "DA", "CS", "US", "SQ", "UT"])
def test_a_name_under_another_vr_does_not_stay(ct: Dataset, vr: str) -> None:
    file = part10(ct)
    at = file.index(b"\x10\x00\x10\x00PN")
    length = struct.unpack_from("<H", file, at + 6)[0]
    value = file[at + 8 : at + 8 + length]
    long = vr in ("OB", "UN", "UT", "SQ")
    form = struct.pack("<2s2xL", vr.encode(), length)
    head = form if long else struct.pack("<2sH", vr.encode(), length)

    data, reason = attempt(file[: at + 4] + head + value + file[at + 8 + length :])

    assert b"KANARIENVOGEL" not in data.upper()
    assert "KANARIEN" not in reason.upper()


def test_icons_overlays_curves_signatures_and_earlier_values_go(
    ct: Dataset, deidentified: Deidentified
) -> None:
    icon = Dataset()
    icon.PixelData, icon.Rows, icon.Columns = b"\1\2", 1, 2
    icon["PixelData"].VR = "OB"
    ct.IconImageSequence = Sequence([icon])
    ct.add_new(0x60000010, "US", 16)
    ct.add_new(0x60003000, "OW", bytes(32))
    ct.add_new(0x50000005, "US", 2)
    ct.add_new(0x50003000, "OW", bytes(32))
    signature = Dataset()
    signature.MACIDNumber = 1
    ct.MACParametersSequence = Sequence([signature])
    ct.DigitalSignaturesSequence = Sequence([signature])
    before = Dataset()
    before.PatientName = ct.PatientName
    change = Dataset()
    change.ModifiedAttributesSequence = Sequence([before])
    ct.OriginalAttributesSequence = Sequence([change])

    for options in ((), ("clean_graphics",)):
        clean = deidentified(ct, "research", *options)

        for keyword in ("IconImageSequence", "OriginalAttributesSequence"):
            assert keyword not in clean
        assert "DigitalSignaturesSequence" not in clean
        assert "MACParametersSequence" not in clean
        assert not [one for one in clean if one.tag.group in (0x5000, 0x6000)]


def test_an_overlay_in_unused_bits_of_the_pixels_is_refused(ct: Dataset) -> None:
    ct.add_new(0x60020010, "US", 16)
    ct.add_new(0x60020102, "US", 15)

    with pytest.raises(DeidRefusedError) as caught:
        released(part10(ct))

    assert caught.value.code == "OVERLAY_IN_PIXELS"


def test_a_birth_date_that_differs_within_a_patient_is_sought_each_time(ct: Dataset) -> None:
    deidentifier = Deidentifier(RESEARCH, Pseudonyms(KEY))
    deidentifier.deidentify(part10(ct))
    ct.PatientBirthDate, ct.ContentLabel = "19300313", "19300313"

    with pytest.raises(DeidRefusedError) as caught:
        deidentifier.deidentify(part10(ct))

    assert caught.value.code == "IDENTIFIER_FOUND"


def test_a_deflated_object_with_longer_elements_is_searched_too(ct: Dataset) -> None:
    ct.RedPaletteColorLookupTableData = bytes(4096)
    ct.add_new(0x00281408, "OW", bytes(2048))
    inflated = encoded(ct)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = squeeze.compress(inflated) + squeeze.flush()
    file = file_meta(CT, "1.2.3", DeflatedExplicitVRLittleEndian) + data
    deidentifier = Deidentifier(RESEARCH, Pseudonyms(KEY))

    watched = deidentifier.deidentify(file, observer=lambda _: None)

    assert watched.sha256 == deidentifier.deidentify(file).sha256
