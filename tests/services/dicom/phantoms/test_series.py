from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from services.dicom.attributes import read_index_attributes
from services.dicom.part10 import split_part10
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, phantom_study, write_series

DCIODVFY = shutil.which("dciodvfy") or ""
SMALL = ChestCtPhantom(5, shape=(12, 48, 48))


def test_the_series_reads_back_as_the_volume_it_was_drawn_from() -> None:
    files = phantom_study(5, shape=(12, 48, 48))

    slices = [pydicom.dcmread(io.BytesIO(file)) for file in files]
    hu = np.stack([s.pixel_array.astype(int) + int(s.RescaleIntercept) for s in slices])
    heights = [float(s.ImagePositionPatient[2]) for s in slices]

    assert np.array_equal(hu, SMALL.volume_hu())
    assert np.allclose(np.diff(heights), 30.0)
    assert [s.InstanceNumber for s in slices] == list(range(1, 13))
    assert slices[0].PixelSpacing == [8.0, 8.0]
    assert slices[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert slices[0].PatientID == "PHANTOM-5"


def test_our_reader_accepts_every_instance_as_whole_and_of_one_series() -> None:
    attributes = []
    for file in phantom_study(5, shape=(12, 48, 48)):
        meta, offset = split_part10(file)
        attributes.append(read_index_attributes(file[offset:], meta.transfer_syntax_uid))

    assert len({a.sop_instance_uid for a in attributes}) == 12
    assert len({a.series_instance_uid for a in attributes}) == 1
    assert all("SYNTHETIC" in a.series_description for a in attributes)


def test_a_study_key_gives_the_same_bytes_and_none_a_study_of_its_own() -> None:
    first, again = (phantom_study(1, PhantomStudy("key"), shape=(4, 32, 32)) for _ in range(2))
    fresh, other = (phantom_study(1, shape=(4, 32, 32)) for _ in range(2))

    assert first == again
    assert set(fresh).isdisjoint(other)


def test_identity_can_be_chosen() -> None:
    study = PhantomStudy(
        patient_name="CANARY^NAME",
        patient_id="CANARY-ID",
        patient_birth_date="19010203",
        accession_number="A1",
    )

    read = pydicom.dcmread(io.BytesIO(phantom_study(1, study, shape=(2, 32, 32))[0]))

    assert str(read.PatientName) == "CANARY^NAME"
    assert (read.PatientID, read.PatientBirthDate) == ("CANARY-ID", "19010203")
    assert read.AccessionNumber == "A1"


@pytest.mark.skipif(not DCIODVFY, reason="dicom3tools is not installed")
def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    paths = write_series(SMALL, tmp_path)

    reports = [
        subprocess.run([DCIODVFY, str(path)], capture_output=True, text=True, check=False).stderr
        for path in (paths[0], paths[-1])
    ]

    assert [path.name for path in paths[:2]] == ["0001.dcm", "0002.dcm"]
    assert all("CTImage" in report and "Error" not in report for report in reports)
