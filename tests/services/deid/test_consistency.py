"""Years of studies of many patients: the same by any process, unlinkable by another key."""

from __future__ import annotations

import hashlib
import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from io import BytesIO
from typing import Final

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from services.deid.deidentify import Deidentifier
from services.deid.orders import Orders
from services.deid.profile.options import options_of
from services.deid.project_key import ProjectKey
from services.deid.pseudonyms import Pseudonyms
from tests.support.instances import part10

ONE, OTHER = b"1" * 32, b"2" * 32
PATIENTS, STUDIES = 100, 10
_START: Final = date(1999, 12, 31)


@dataclass(frozen=True)
class Source:
    """A study of one object, and when it was really made."""

    patient: str
    file: bytes
    made: datetime


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    chance = random.Random(5)  # noqa: S311 -- the same studies each time
    return [
        _source(chance, f"MRN-{4_000_000 + patient}", patient * STUDIES + number)
        for patient in range(PATIENTS)
        for number in range(STUDIES)
    ]


def _source(chance: random.Random, patient: str, number: int) -> Source:
    seconds = chance.randrange(25 * 365 * 86_400)
    made = datetime(_START.year, _START.month, _START.day) + timedelta(seconds=seconds)  # noqa: DTZ001
    dataset = Dataset()
    dataset.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.2")
    dataset.SOPInstanceUID = UID(f"1.2.99.{number}.3")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"1.2.99.{number}", f"1.2.99.{number}.1"
    dataset.PatientName, dataset.PatientID = f"FAMILY{patient[4:]}^GIVEN", patient
    dataset.PatientBirthDate = (made.date() - timedelta(days=20_000)).strftime("%Y%m%d")
    dataset.StudyDate = dataset.ContentDate = made.strftime("%Y%m%d")
    dataset.StudyTime = made.strftime("%H%M%S.%f")
    zone = chance.choice(("", "+0000", "-0330", "+1400"))
    dataset.AcquisitionDateTime = made.strftime("%Y%m%d%H%M%S.%f") + zone
    dataset.SeriesDate = (made.date() + timedelta(days=1)).strftime("%Y%m%d")
    dataset.Modality = "CT"
    return Source(patient, part10(dataset), made)


def _copies(files: list[bytes], key: bytes) -> list[bytes]:
    deidentifier = Deidentifier(options_of("research"), Pseudonyms(key))
    return [b"".join(deidentifier.deidentify(file).parts) for file in files]


def _hashes(files: list[bytes], key: bytes) -> list[str]:
    return [hashlib.sha256(copy).hexdigest() for copy in _copies(files, key)]


@pytest.fixture(scope="module")
def copies(sources: list[Source]) -> list[Dataset]:
    found = _copies([source.file for source in sources], ONE)
    return [pydicom.dcmread(BytesIO(copy)) for copy in found]


def test_every_interval_of_a_patient_is_exact_over_a_thousand_studies(
    sources: list[Source], copies: list[Dataset]
) -> None:
    assert len(sources) == 1000
    moves = [_move(source, copy) for source, copy in zip(sources, copies, strict=True)]

    by_patient = {source.patient: set[int]() for source in sources}
    for source, move in zip(sources, moves, strict=True):
        by_patient[source.patient].add(move)

    assert all(len(found) == 1 for found in by_patient.values())
    assert all(-3650 <= move <= -1 for move in moves)
    assert len({move for found in by_patient.values() for move in found}) > PATIENTS * 0.9


def _move(source: Source, copy: Dataset) -> int:
    """Return by how many days every date of an object was moved; its times did not."""
    original = pydicom.dcmread(BytesIO(source.file))
    days = (_day(copy.StudyDate) - source.made.date()).days
    assert copy.StudyTime == original.StudyTime
    assert (_day(copy.SeriesDate) - source.made.date()).days == days + 1
    assert (_day(copy.ContentDate) - source.made.date()).days == days
    before, after = str(original.AcquisitionDateTime), str(copy.AcquisitionDateTime)
    assert (_day(after[:8]) - _day(before[:8])).days == days
    assert after[8:] == before[8:]
    return days


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def test_a_patient_is_one_person_and_no_other_in_all_their_studies(
    sources: list[Source], copies: list[Dataset]
) -> None:
    pairs = {(source.patient, copy.PatientID) for source, copy in zip(sources, copies, strict=True)}

    assert len(pairs) == PATIENTS
    assert len({pseudonym for _, pseudonym in pairs}) == PATIENTS


def test_another_process_makes_the_same_bytes_in_any_order(
    sources: list[Source],
) -> None:
    files = [source.file for source in sources[:40]]
    here = _hashes(files, ONE)

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(_hashes, files[::-1], ONE).result(timeout=60)

    assert there[::-1] == here


def test_two_keys_share_no_name_of_anything(sources: list[Source], copies: list[Dataset]) -> None:
    files = [source.file for source in sources[::5]]
    others = [pydicom.dcmread(BytesIO(copy)) for copy in _copies(files, OTHER)]

    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        mine = {str(copy[keyword].value) for copy in copies}
        assert not mine & {str(other[keyword].value) for other in others}
    same_day = [
        copy.StudyDate == other.StudyDate for copy, other in zip(copies[::5], others, strict=True)
    ]
    assert sum(same_day) < len(others) / 50


def test_rotation_changes_nobody_who_is_known_and_everybody_who_is_not(
    sources: list[Source],
) -> None:
    key = ProjectKey.of_bytes(ONE).rotated()
    known = {key.tag(f"id\0\0{source.patient}"): 1 for source in sources[: 5 * STUDIES]}
    orders = Orders("", key, options_of("research"), (), known)
    files = [source.file for source in sources[: 10 * STUDIES]]
    before = _hashes(files, ONE)

    deidentifier = orders.deidentifier()
    after = [deidentifier.deidentify(file).sha256 for file in files]

    same = [one == other for one, other in zip(before, after, strict=True)]
    assert same == [True] * 5 * STUDIES + [False] * 5 * STUDIES
    assert Orders.from_json(orders.as_json) == orders
