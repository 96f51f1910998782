"""An object without identity, or none: what stays, what goes, what is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    generate_uid,
)

from services.deid.approvals import Approvals
from services.deid.deidentify import Deidentifier
from services.deid.errors import DeidRefusedError
from services.deid.profile.options import options_of
from services.deid.pseudonyms import Pseudonyms
from services.dicom.errors import MalformedError
from tests.services.deid.conftest import KEY, read_back
from tests.support.instances import part10

Deidentified = Callable[..., Dataset]


def test_the_patient_goes_and_the_pixels_stay(ct: Dataset, deidentified: Deidentified) -> None:
    clean = deidentified(ct)

    assert clean.PatientName == clean.PatientID != ct.PatientID
    assert clean.PatientBirthDate == ""
    assert clean.AccessionNumber == ""
    assert clean.PixelData == ct.PixelData
    assert (clean.Rows, clean.Modality, clean.Manufacturer) == (16, "CT", "Phantom Works")


def test_it_says_how_it_was_deidentified(ct: Dataset, deidentified: Deidentified) -> None:
    clean = deidentified(ct, "research")

    codes = [item.CodeValue for item in clean.DeidentificationMethodCodeSequence]
    assert clean.PatientIdentityRemoved == "YES"
    assert codes == ["113100", "113105", "113107", "113108", "113109", "113111"]
    assert clean.LongitudinalTemporalInformationModified == "MODIFIED"
    assert clean.file_meta.MediaStorageSOPInstanceUID == clean.SOPInstanceUID


def test_a_second_time_adds_its_methods_and_changes_no_other_rule(
    ct: Dataset, deidentified: Deidentified
) -> None:
    once = deidentified(ct, "research")
    twice = deidentified(once, "basic")

    codes = [item.CodeValue for item in twice.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107", "113108", "113109", "113111"]
    assert twice.PixelData == ct.PixelData


def test_one_key_agrees_with_itself_and_shares_nothing_with_another(
    ct: Dataset, deidentified: Deidentified
) -> None:
    one, again = deidentified(ct, "research"), deidentified(ct, "research")
    other = deidentified(ct, "research", key=b"another key of thirty-two bytes!!")

    for keyword in ("PatientID", "StudyInstanceUID", "SOPInstanceUID", "StudyDate"):
        assert one[keyword] == again[keyword]
        assert one[keyword] != other[keyword]


def test_references_follow_what_they_refer_to(ct: Dataset, deidentified: Deidentified) -> None:
    reference = Dataset()
    reference.ReferencedSOPClassUID = ct.SOPClassUID
    reference.ReferencedSOPInstanceUID = ct.SOPInstanceUID
    ct.ReferencedImageSequence = Sequence([reference])

    clean = deidentified(ct)

    (found,) = clean.ReferencedImageSequence
    assert found.ReferencedSOPInstanceUID == clean.SOPInstanceUID
    assert found.ReferencedSOPClassUID == ct.SOPClassUID


def test_intervals_are_exact_over_a_patients_studies(
    deidentified: Deidentified, ct: Dataset
) -> None:
    days = ["20191231", "20200229", "20240301"]
    shifted = []
    for day in days:
        ct.StudyDate = ct.ContentDate = day
        ct.AcquisitionDateTime = f"{day}101112.5+0100"
        clean = deidentified(ct, "research")
        assert clean.AcquisitionDateTime == f"{clean.StudyDate}101112.5+0100"
        shifted.append(
            np.datetime64(f"{clean.StudyDate:.4}-{clean.StudyDate[4:6]}-{clean.StudyDate[6:]}")
        )

    assert (shifted[1] - shifted[0]).astype(int) == 60
    assert (shifted[2] - shifted[1]).astype(int) == 1462


def test_descriptors_keep_medicine_and_lose_people(ct: Dataset, deidentified: Deidentified) -> None:
    clean = deidentified(ct, "research")

    assert clean.StudyDescription == "CT CHEST for"
    assert "StudyDescription" not in deidentified(ct, "basic")


def test_ages_over_89_are_90(ct: Dataset, deidentified: Deidentified) -> None:
    ct.PatientAge = "093Y"

    assert deidentified(ct, "research").PatientAge == "090Y"


def test_private_elements_go_and_safe_ones_stay_by_their_creator(
    ct: Dataset, deidentified: Deidentified
) -> None:
    # The block number is the sender's choice: here it is not the usual one.
    block = ct.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x00, "DS", "1.5")
    other = ct.private_block(0x0011, "SOMEBODY", create=True)
    other.add_new(0x01, "LO", "KANARIENVOGEL")

    clean = deidentified(ct, "research")

    assert clean.private_block(0x7053, "Philips PET Private Group")[0x00].value == 1.5
    assert not [one for one in clean if one.tag.group == 0x0011]
    assert not [one for one in deidentified(ct) if one.tag.is_private]


def test_what_the_standard_does_not_know_is_denied(ct: Dataset, deidentified: Deidentified) -> None:
    chance = random.Random(5)  # noqa: S311 -- the same tags each time
    tags: list[int] = []
    while len(tags) < 50:
        tag = chance.randrange(0x0008, 0x5000, 2) << 16 | chance.randrange(0x0001, 0xFFFF)
        if tag not in DicomDictionary:
            tags.append(tag)
            ct.add_new(tag, "LO", "KANARIENVOGEL")

    clean = deidentified(ct)

    assert [tag for tag in tags if tag in clean] == []


def test_a_value_of_another_vr_is_not_passed_on(ct: Dataset, deidentified: Deidentified) -> None:
    ct.add_new("WindowCenter", "LO", "Adelheid")
    ct.add_new("SeriesNumber", "LO", "Adelheid")

    clean = deidentified(ct)

    assert "WindowCenter" not in clean
    assert "SeriesNumber" not in clean


def test_an_identifier_that_stays_somewhere_is_never_released(ct: Dataset) -> None:
    ct.BodyPartExamined = "ADELHEID"
    ct.add_new("ConvolutionKernel", "SH", "MRN-7719034")

    with pytest.raises(DeidRefusedError) as caught:
        Deidentifier(options_of("basic"), Pseudonyms(KEY)).deidentify(part10(ct))

    assert caught.value.code == "IDENTIFIER_FOUND"
    assert "ADELHEID" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("at", [0, 1, 2, 3, 70_001])
def test_an_identifier_within_the_pixels_is_found_wherever_it_lies(
    ct: Dataset, encoding: str, at: int
) -> None:
    ct.Rows = ct.Columns = 256
    hidden = "KANARIENVOGEL".encode(encoding)
    pixels = bytearray(2 * 256 * 256)
    pixels[at : at + len(hidden)] = hidden
    ct.PixelData = bytes(pixels)

    with pytest.raises(DeidRefusedError) as caught:
        Deidentifier(options_of("basic"), Pseudonyms(KEY)).deidentify(part10(ct))

    assert caught.value.code == "IDENTIFIER_FOUND"


def test_what_no_rule_can_clean_is_refused(ct: Dataset) -> None:
    ct.SOPClassUID = EncapsulatedPDFStorage

    with pytest.raises(DeidRefusedError):
        Deidentifier(options_of("basic"), Pseudonyms(KEY)).deidentify(part10(ct))


@pytest.mark.parametrize(
    ("sop_class", "preset"),
    [
        (UltrasoundImageStorage, "basic"),
        (SecondaryCaptureImageStorage, "research"),
        (CTImageStorage, "external-model"),
    ],
)
def test_without_a_reader_of_text_pixels_that_may_hold_some_are_refused(
    ct: Dataset, sop_class: str, preset: str
) -> None:
    ct.SOPClassUID = sop_class
    blind = Deidentifier(options_of(preset), Pseudonyms(KEY), reader=lambda: None)

    with pytest.raises(DeidRefusedError) as caught:
        blind.deidentify(part10(ct), Approvals(["OCR_UNAVAILABLE"]))

    assert caught.value.code == "OCR_UNAVAILABLE"


def test_an_element_that_stands_twice_is_refused(ct: Dataset) -> None:
    data = part10(ct)
    at = data.index(b"\x10\x00\x20\x00LO")
    end = at + 8 + int.from_bytes(data[at + 6 : at + 8], "little")

    with pytest.raises(MalformedError):
        Deidentifier(options_of("basic"), Pseudonyms(KEY)).deidentify(
            data[:end] + data[at:end] + data[end:]
        )


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_encoding_keeps_its_own(ct: Dataset, syntax: str) -> None:
    item = Dataset()
    item.RequestedProcedureDescription = "KANARIENVOGEL"
    item.CodeValue = "T-D3000"
    ct.DerivationCodeSequence = Sequence([item])
    ct.ensure_file_meta()
    ct.file_meta.TransferSyntaxUID = UID(syntax)
    buffer = BytesIO()
    ct.save_as(buffer, enforce_file_format=True)

    clean = read_back(
        Deidentifier(options_of("basic"), Pseudonyms(KEY)).deidentify(buffer.getvalue())
    )

    assert clean.file_meta.TransferSyntaxUID == syntax
    assert clean.PixelData == ct.PixelData
    assert clean.DerivationCodeSequence[0].CodeValue == "T-D3000"
    assert "KANARIEN" not in str(clean)


def test_instances_of_a_series_are_as_if_each_were_alone(ct: Dataset) -> None:
    warm = Deidentifier(options_of("research"), Pseudonyms(KEY))
    for number in range(20):
        ct.SOPInstanceUID = generate_uid()
        ct.InstanceNumber = number
        ct.SliceLocation = number / 3
        alone = Deidentifier(options_of("research"), Pseudonyms(KEY))
        file = part10(ct)

        assert warm.deidentify(file).sha256 == alone.deidentify(file).sha256
