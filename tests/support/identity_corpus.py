"""Synthetic objects full of made-up identity, and the answers a de-identifier is scored by.

An answer is one required action on one object, of the ten kinds that the MIDI-B challenge scores
(arXiv 2507.23608): what must stay, what must go, what must agree. Nothing here knows how any tool
works; the profile asked for is PS3.15's with modified dates, patient characteristics, device
identity, safe private attributes retained, and descriptors cleaned.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, generate_uid

from tests.support.instances import ct_instance, part10

MR: Final = "1.2.840.10008.5.1.4.1.1.4"
DX: Final = "1.2.840.10008.5.1.4.1.1.1.1"
CT: Final = "1.2.840.10008.5.1.4.1.1.2"
FAMILIES: Final = (
    *("KOWALCZYK", "OYELARAN", "HRADILOVA", "VANDERMEULEN", "Ångström", "GROẞMANN", "ÇELİKKAYA"),
    *("Παπαδόπουλος", "Каренина", "山田"),
)
GIVEN: Final = ("ZDENKA", "BARTHOLOMEW", "ODUYA", "Łukasz", "Þóra", "花子", "FRANCESCA")
STREETS: Final = ("Quillback Lane", "Rue des Tanneurs", "Hopfengasse")
SAFE: Final = (0x7053, "Philips PET Private Group", 0x00)


@dataclass(frozen=True)
class Answer:
    """One required action.

    Attributes:
        file: Name of the object.
        kind: Kind of action.
        place: Keyword, or keywords of a path joined by '/'; "" for the whole object.
        value: What is to be kept, or must not be found.
    """

    file: str
    kind: str
    place: str
    value: str


@dataclass(frozen=True)
class Person:
    """Somebody who does not exist."""

    family: str
    given: str
    patient_id: str
    birth_date: str
    phone: str
    street: str
    physician: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be found anywhere."""
        return (self.family, self.given, self.patient_id, self.phone, self.street, self.physician)


def make_corpus(folder: Path, patients: int = 12, seed: int = 3) -> list[Answer]:
    """Write objects into a folder and return the answers."""
    chance = random.Random(seed)  # noqa: S311 -- the same people each time
    answers: list[Answer] = []
    for number in range(patients):
        person = _person(chance, number)
        for study in range(2):
            answers += _study(folder, chance, person, f"{number:02}-{study}")
    return answers


def people(patients: int = 12, seed: int = 3) -> list[Person]:
    """Return people who do not exist, other than those of the corpus of images."""
    chance = random.Random(seed + 1)  # noqa: S311 -- the same people each time
    return [_person(chance, number + 100) for number in range(patients)]


def _person(chance: random.Random, number: int) -> Person:
    digits = chance.randrange(10_000_000, 99_999_999)
    return Person(
        family=FAMILIES[number % len(FAMILIES)],
        given=GIVEN[number % len(GIVEN)],
        patient_id=f"MRN{digits}",
        birth_date=f"{chance.randrange(1920, 2010)}{chance.randrange(1, 13):02}17",
        phone=f"555-{digits % 10_000:04}-{number + 1000}",
        street=f"{STREETS[number % len(STREETS)]}",
        physician=f"BALTHASARSEN{number}",
    )


def _study(folder: Path, chance: random.Random, person: Person, name: str) -> Iterator[Answer]:
    study_uid, series_uid, frame_uid = generate_uid(), generate_uid(), generate_uid()
    day = f"20{chance.randrange(10, 25)}{chance.randrange(1, 13):02}{chance.randrange(1, 29):02}"
    previous = str(generate_uid())
    for index in range(2):
        dataset = ct_instance(study_uid=study_uid, series_uid=series_uid, size=16, number=index)
        dataset.SOPClassUID = UID((CT, MR, DX)[int(name[-1]) + index])
        dataset.FrameOfReferenceUID = frame_uid
        _describe(dataset, person, day)
        _hide(dataset, person, previous)
        file = f"{name}-{index}.dcm"
        (folder / file).write_bytes(part10(dataset))
        yield from _answers(dataset, person, file)
        previous = str(dataset.SOPInstanceUID)


def _describe(dataset: Dataset, person: Person, day: str) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = f"{person.family}^{person.given}"
    dataset.PatientID = person.patient_id
    dataset.PatientBirthDate = person.birth_date
    dataset.PatientSex, dataset.PatientAge = "F", "052Y"
    dataset.PatientAddress = f"12 {person.street}"
    dataset.PatientTelephoneNumbers = person.phone
    dataset.ReferringPhysicianName = f"{person.physician}^ANNE"
    dataset.AccessionNumber = f"A{person.patient_id[3:]}"
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(dataset, keyword, day)
    dataset.StudyTime, dataset.AcquisitionDateTime = "111213", f"{day}111213"
    dataset.StudyDescription = f"CHEST WITH CONTRAST {person.given} {person.family}"
    dataset.SeriesDescription = f"axial lung 1.0mm, seen by Dr {person.physician}"
    dataset.ProtocolName = "Chest Routine"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Phantom Works", "Model 7"
    dataset.BodyPartExamined, dataset.ImageType = "CHEST", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PixelSpacing, dataset.SliceThickness = ["0.7", "0.7"], "1.0"
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.ImagePositionPatient = ["-100", "-100", str(dataset.InstanceNumber)]
    dataset.KVP, dataset.RescaleSlope, dataset.RescaleIntercept = "120", "1", "-1024"


def _hide(dataset: Dataset, person: Person, previous: str) -> None:
    """Put identity where a careless tool does not look."""
    dataset.PatientComments = f"call {person.phone} before {person.birth_date}"
    dataset.AdditionalPatientHistory = f"{person.given} of {person.street}"
    dataset.DeviceSerialNumber = "SN-991"
    request = Dataset()
    request.RequestedProcedureDescription = f"CT for {person.family}"
    request.RequestedProcedureID = person.patient_id
    dataset.RequestAttributesSequence = Sequence([request])
    inner = Dataset()
    inner.PatientName = dataset.PatientName
    original = Dataset()
    original.ModifiedAttributesSequence = Sequence([inner])
    dataset.OriginalAttributesSequence = Sequence([original])
    reference = Dataset()
    reference.ReferencedSOPClassUID = dataset.SOPClassUID
    reference.ReferencedSOPInstanceUID = previous
    dataset.ReferencedImageSequence = Sequence([reference])
    private = dataset.private_block(0x0029, "HIDDEN PLACE", create=True)
    private.add_new(0x10, "LO", f"{person.family} {person.patient_id}")
    private.add_new(0x11, "OB", person.patient_id.encode("utf-16-le"))
    nested = Dataset()
    nested.PatientName = dataset.PatientName
    private.add_new(0x12, "SQ", Sequence([nested]))
    group, creator, element = SAFE
    dataset.private_block(group, creator, create=True).add_new(element, "DS", "1.25")
    dataset.add_new(0x60000010, "US", 16)
    dataset.add_new(0x60003000, "OW", person.patient_id.encode().ljust(32, b"\0"))
    dataset.add_new(0x0008F00C, "LO", person.given)


RETAINED: Final = (
    *("SOPClassUID", "Modality", "Rows", "Columns", "PixelSpacing", "SliceThickness", "KVP"),
    *("ImageOrientationPatient", "ImagePositionPatient", "BodyPartExamined", "PatientSex"),
    *("PatientAge", "Manufacturer", "ManufacturerModelName", "RescaleSlope", "InstanceNumber"),
    *("ImageType", "BitsStored", "PhotometricInterpretation", "RescaleIntercept", "StudyTime"),
    "DeviceSerialNumber",
)
NOT_NULL: Final = ("PatientID", "PatientName", "StudyInstanceUID", "SOPInstanceUID", "StudyDate")
TEXTS: Final = {
    "StudyDescription": ("CHEST", "CONTRAST"),
    "SeriesDescription": ("axial", "lung", "1.0mm"),
    "ProtocolName": ("Chest", "Routine"),
}
DATES: Final = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
UIDS: Final = (
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"),
    "ReferencedImageSequence/ReferencedSOPInstanceUID",
)


def _answers(dataset: Dataset, person: Person, file: str) -> Iterator[Answer]:
    for keyword in RETAINED:
        yield Answer(file, "tag_retained", keyword, str(dataset[keyword].value))
    yield Answer(file, "tag_retained", "private", "1.25")
    yield from (Answer(file, "text_notnull", keyword, "") for keyword in NOT_NULL)
    for keyword, words in TEXTS.items():
        yield from (Answer(file, "text_retained", keyword, word) for word in words)
    yield from (Answer(file, "text_removed", "", secret) for secret in person.secrets)
    yield Answer(file, "text_removed", "", person.birth_date)
    yield Answer(file, "text_removed", "", str(dataset.AccessionNumber))
    yield from (Answer(file, "date_shifted", keyword, person.patient_id) for keyword in DATES)
    for place in UIDS:
        yield Answer(file, "uid_changed", place, "")
        yield Answer(file, "uid_consistent", place, "")
    yield Answer(file, "patid_consistent", "PatientID", person.patient_id)
    yield Answer(file, "pixels_retained", "PixelData", "")
