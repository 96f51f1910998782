"""Chest phantoms sent to a stack by DCMTK."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydicom import DataElement, dcmread
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR

from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from tests.support.dcmtk import storescu
from tests.support.running_stack import RunningStack

SHAPE: Final = (40, 96, 96)
CUT_AT: Final = 24
"""Slices from the feet up to here do not hold all of the lungs."""


def send_chest(
    stack: RunningStack,
    folder: Path,
    name: str,
    *,
    seed: int = 4,
    slices: int = SHAPE[0],
    values: Mapping[str, str] | None = None,
) -> None:
    """Send a chest of this patient, from the feet up.

    Args:
        stack: Where to.
        folder: An empty folder for the files.
        name: Patient's Name (0010,0010).
        seed: Chooses the anatomy.
        slices: How many slices are sent.
        values: Attributes by keyword that replace those of the phantom, in UTF-8.
    """
    folder.mkdir(parents=True, exist_ok=True)
    study = PhantomStudy(patient_name=name if not values else "")
    files = write_series(ChestCtPhantom(seed, shape=SHAPE), folder, study)[:slices]
    if values:
        for file in files:
            _rewrite(file, {"PatientName": name, **values})
    sent = storescu(stack.dicom_port, files)
    assert sent.returncode == 0, sent.stderr


def _rewrite(file: Path, values: dict[str, str]) -> None:
    dataset = dcmread(file)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in values.items():
        # Real senders keep no limit of length either.
        vr = dictionary_VR(keyword)
        dataset.add(DataElement(keyword, vr, value, validation_mode=IGNORE))
    dataset.save_as(file, enforce_file_format=True)
