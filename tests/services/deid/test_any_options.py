"""Whatever is combined and whatever an object holds: nothing known of its patient stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from services.deid.deidentify import Deidentifier, Released
from services.deid.errors import DeidRefusedError
from services.deid.profile.options import Option
from services.deid.pseudonyms import Pseudonyms
from tests.services.deid.conftest import KEY, read_back
from tests.support.instances import ct_instance, part10

SECRETS: Final = ("KANARIENVOGEL", "ADELHEID", "MRN-7719034", "NACHTIGALL", "ACC-5550001")
_OWN: Final = frozenset({0x0012, 0x0002})
_TEXTS: Final = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
TEXT_TAGS: Final = sorted(
    tag
    for tag, entry in DicomDictionary.items()
    if entry[0] in _TEXTS and tag >> 16 > 0x0008 and tag >> 16 not in _OWN and tag < 0x7FE00000
)
CLASSES: Final = (
    "1.2.840.10008.5.1.4.1.1.2",  # CT
    "1.2.840.10008.5.1.4.1.1.4",  # MR
    "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR
    "1.2.840.10008.5.1.4.1.1.11.1",  # presentation state
    "1.2.840.10008.5.1.4.1.1.481.3",  # RT Structure Set
)


def legal(options: frozenset[Option]) -> bool:
    return not {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES} <= options


options_in_any_combination: Final = st.frozensets(st.sampled_from(list(Option))).filter(legal)
hidden: Final = st.lists(
    st.tuples(st.sampled_from(TEXT_TAGS), st.sampled_from(SECRETS), st.integers(0, 3)), max_size=12
)


def patient(sop_class: str) -> Dataset:
    dataset = ct_instance(size=8)
    dataset.SOPClassUID = sop_class
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID = "KANARIENVOGEL^ADELHEID", "MRN-7719034"
    dataset.PatientBirthDate, dataset.StudyDate = "19300312", "20200105"
    dataset.ReferringPhysicianName, dataset.AccessionNumber = "NACHTIGALL^F", "ACC-5550001"
    return dataset


def hide(dataset: Dataset, places: list[tuple[int, str, int]]) -> None:
    """Put secrets into attributes, some levels down."""
    for tag, secret, depth in places:
        level = dataset
        for _ in range(depth):
            if "DerivationCodeSequence" not in level:
                level.DerivationCodeSequence = Sequence([Dataset()])
            level = level.DerivationCodeSequence[0]
        if tag not in level:
            level.add_new(tag, DicomDictionary[tag][0], f"seen by {secret} today"[:16])


def attempt(dataset: Dataset, options: frozenset[Option]) -> tuple[Released | None, str]:
    try:
        return Deidentifier(options, Pseudonyms(KEY)).deidentify(part10(dataset)), ""
    except DeidRefusedError as error:
        return None, f"{error.code}: {error}"


def texts(dataset: Dataset) -> Iterator[str]:
    for element in dataset.iterall():
        if element.VR in _TEXTS:
            yield str(element.value)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(options_in_any_combination, st.sampled_from(CLASSES), hidden)
def test_nothing_known_of_a_patient_stays_under_any_options(
    options: frozenset[Option], sop_class: str, places: list[tuple[int, str, int]]
) -> None:
    dataset = patient(sop_class)
    hide(dataset, places)

    released, refusal = attempt(dataset, options)
    if released is None:
        assert refusal == "IDENTIFIER_FOUND: the source's identifiers are left in it"
        return

    data = b"".join(released.parts)
    assert [secret for secret in SECRETS if secret.lower().encode() in data.lower()] == []
    clean = read_back(released)
    assert clean.PatientIdentityRemoved == "YES"
    codes = {item.CodeValue for item in clean.DeidentificationMethodCodeSequence}
    assert codes <= {"113100", *(one.code for one in options)}
    assert (clean.StudyInstanceUID == dataset.StudyInstanceUID) is (Option.RETAIN_UIDS in options)
    assert (clean.get("StudyDate", "") == "20200105") is (Option.RETAIN_FULL_DATES in options)
    assert clean.PixelData == dataset.PixelData


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(options_in_any_combination, st.sampled_from(CLASSES), hidden)
def test_a_second_pass_finds_nothing_to_hold_and_adds_no_code(
    options: frozenset[Option], sop_class: str, places: list[tuple[int, str, int]]
) -> None:
    dataset = patient(sop_class)
    hide(dataset, places)
    deidentifier = Deidentifier(options, Pseudonyms(KEY))
    try:
        once = read_back(deidentifier.deidentify(part10(dataset)))
    except DeidRefusedError:
        return

    twice = read_back(deidentifier.deidentify(part10(once)))

    assert _codes(twice) == _codes(once)
    assert set(texts(twice)) - {twice.PatientName, twice.PatientID} <= set(texts(once))


def _codes(dataset: Dataset) -> list[Any]:
    return [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]


@pytest.mark.soak
def test_intervals_are_exact_to_the_day_over_a_thousand_studies() -> None:
    dataset = ct_instance(size=8)
    first = pydicom.valuerep.DA("20100101")
    assert first is not None
    deidentifier = Deidentifier({Option.RETAIN_MODIFIED_DATES}, Pseudonyms(KEY))
    shifts = set()
    for number in range(1000):
        day = first + timedelta(days=5 * number)
        dataset.StudyDate = f"{day:%Y%m%d}"
        dataset.AcquisitionDateTime = f"{day:%Y%m%d}101112+0100"
        clean = read_back(deidentifier.deidentify(part10(dataset)))
        moved = pydicom.valuerep.DA(clean.StudyDate)
        assert moved is not None
        assert clean.AcquisitionDateTime == f"{clean.StudyDate}101112+0100"
        shifts.add((moved - day).days)

    assert len(shifts) == 1
    assert 0 not in shifts
