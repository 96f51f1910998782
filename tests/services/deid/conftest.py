"""Objects to de-identify, made from nothing."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset

from services.deid.deidentify import Deidentifier, Released
from services.deid.profile.options import options_of
from services.deid.pseudonyms import Pseudonyms
from tests.support.instances import ct_instance, part10

KEY = b"a key of thirty-two bytes at least"


def read_back(released: Released) -> Dataset:
    """Read a released object by pydicom."""
    return pydicom.dcmread(BytesIO(b"".join(released.parts)))


@pytest.fixture
def deidentified() -> Callable[..., Dataset]:
    """De-identify a data set and read it back."""

    def run(dataset: Dataset, preset: str = "basic", *options: str, key: bytes = KEY) -> Dataset:
        deidentifier = Deidentifier(options_of(preset, options), Pseudonyms(key))
        return read_back(deidentifier.deidentify(part10(dataset)))

    return run


@pytest.fixture
def ct() -> Dataset:
    """A CT image of a patient whose every word is to be found again."""
    dataset = ct_instance(size=16)
    dataset.PatientName = "KANARIENVOGEL^ADELHEID"
    dataset.PatientID = "MRN-7719034"
    dataset.PatientBirthDate = "19310713"
    dataset.StudyDate = "20240229"
    dataset.StudyTime = "101112"
    dataset.AccessionNumber = "ACC-55123"
    dataset.Manufacturer = "Phantom Works"
    dataset.StudyDescription = "CT CHEST for Adelheid Kanarienvogel, born 13.07.1931"
    return dataset
