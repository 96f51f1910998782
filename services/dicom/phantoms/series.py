"""The chest phantom as a CT Image Storage series (PS3.3 section A.3)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from services.dicom.part10 import file_meta
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.uids import CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN, derived_uid

RESCALE_INTERCEPT: Final = -1024
_BITS_STORED: Final = 12


@dataclass(frozen=True, slots=True)
class PhantomStudy:
    """What the study of a phantom says of itself.

    Attributes:
        study_key: The same key gives the same UIDs; by default each study gets its own.
        patient_name: Patient's Name (0010,0010).
        patient_id: Patient ID (0010,0020); "" for "PHANTOM-" and the seed.
        patient_birth_date: Patient's Birth Date (0010,0030).
        accession_number: Accession Number (0008,0050).
    """

    study_key: str = field(default_factory=lambda: uuid.uuid4().hex)
    patient_name: str = "PHANTOM^CHEST"
    patient_id: str = ""
    patient_birth_date: str = ""
    accession_number: str = ""

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID (0020,000D)."""
        return derived_uid(f"phantom/{self.study_key}/study")

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID (0020,000E)."""
        return derived_uid(f"phantom/{self.study_key}/series")

    def sop_instance_uid(self, index: int) -> str:
        """SOP Instance UID (0008,0018) of a slice, counted from the feet, first is 0."""
        return derived_uid(f"phantom/{self.study_key}/series/{index}")


def phantom_instances(
    phantom: ChestCtPhantom, study: PhantomStudy | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield SOP Instance UID and DICOM file of each slice, from the feet to the head.

    Explicit VR Little Endian, HFS, axial, Instance Number and position ascending.
    """
    study = study or PhantomStudy()
    template = _template(phantom, study)
    volume = phantom.volume_hu()
    for index in range(len(volume)):
        uid = study.sop_instance_uid(index)
        _place(template, phantom, index, uid)
        template.PixelData = _stored(volume[index])
        meta = file_meta(CT_IMAGE_STORAGE, uid, EXPLICIT_VR_LITTLE_ENDIAN)
        yield uid, meta + _encoded(template)


def phantom_study(seed: int = 0, study: PhantomStudy | None = None, **phantom: Any) -> list[bytes]:
    """DICOM files of one phantom study, from the feet to the head.

    Args:
        seed: Chooses the anatomy and the noise.
        study: What it says of itself.
        **phantom: Further arguments of ``ChestCtPhantom``; a small one is
            ``shape=(30, 64, 64)``.
    """
    return [file for _, file in phantom_instances(ChestCtPhantom(seed, **phantom), study)]


def write_series(
    phantom: ChestCtPhantom, folder: Path, study: PhantomStudy | None = None
) -> list[Path]:
    """Write the slices of a phantom as ``0001.dcm`` and so on into an existing folder."""
    paths = []
    for number, (_, file) in enumerate(phantom_instances(phantom, study), start=1):
        path = folder / f"{number:04d}.dcm"
        path.write_bytes(file)
        paths.append(path)
    return paths


def _stored(hu: NDArray[np.int16]) -> bytes:
    stored = np.clip(hu.astype(np.int32) - RESCALE_INTERCEPT, 0, 2**_BITS_STORED - 1)
    return stored.astype("<u2").tobytes()


def _encoded(dataset: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def _decimal(value: float) -> str:
    """A DS of at most 16 characters."""
    return f"{value:.8g}"


def _template(phantom: ChestCtPhantom, study: PhantomStudy) -> Dataset:
    """Everything that all slices share."""
    dataset = Dataset()
    for attributes in (
        _who(phantom, study),
        _study_and_series(study),
        _equipment(),
        _image(phantom),
    ):
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
    return dataset


def _who(phantom: ChestCtPhantom, study: PhantomStudy) -> dict[str, Any]:
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": study.patient_name,
        "PatientID": study.patient_id or f"PHANTOM-{phantom.seed}",
        "PatientBirthDate": study.patient_birth_date,
        "PatientSex": "O",
        "PatientComments": "SYNTHETIC PHANTOM, NOT A PATIENT",
    }


def _study_and_series(study: PhantomStudy) -> dict[str, Any]:
    return {
        "StudyInstanceUID": study.study_instance_uid,
        "StudyDate": "20260101",
        "StudyTime": "120000",
        "StudyID": "1",
        "AccessionNumber": study.accession_number,
        "ReferringPhysicianName": "",
        "StudyDescription": "SYNTHETIC CHEST PHANTOM",
        "SeriesInstanceUID": study.series_instance_uid,
        "SeriesNumber": 1,
        "SeriesDate": "20260101",
        "SeriesTime": "120000",
        "SeriesDescription": "SYNTHETIC CHEST CT",
        "Modality": "CT",
        "BodyPartExamined": "CHEST",
        "PatientPosition": "HFS",
        "FrameOfReferenceUID": derived_uid(f"phantom/{study.study_key}/frame"),
        "PositionReferenceIndicator": "",
    }


def _equipment() -> dict[str, Any]:
    return {
        "Manufacturer": "Heimdallr",
        "ManufacturerModelName": "Analytic chest phantom",
        "SoftwareVersions": "1",
        "StationName": "PHANTOM",
    }


def _image(phantom: ChestCtPhantom) -> dict[str, Any]:
    z, y, x = phantom.voxel_spacing_mm
    return {
        "SOPClassUID": CT_IMAGE_STORAGE,
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "ImageComments": "SYNTHETIC PHANTOM, NOT A PATIENT",
        "BurnedInAnnotation": "NO",
        "AcquisitionNumber": 1,
        "AcquisitionDate": "20260101",
        "AcquisitionTime": "120000",
        "ContentDate": "20260101",
        "ContentTime": "120000",
        "KVP": "120",
        "SliceThickness": _decimal(z),
        "SpacingBetweenSlices": _decimal(z),
        "PixelSpacing": [_decimal(y), _decimal(x)],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": phantom.shape[1],
        "Columns": phantom.shape[2],
        "BitsAllocated": 16,
        "BitsStored": _BITS_STORED,
        "HighBit": _BITS_STORED - 1,
        "PixelRepresentation": 0,
        "RescaleIntercept": str(RESCALE_INTERCEPT),
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "WindowCenter": "40",
        "WindowWidth": "400",
    }


def _place(dataset: Dataset, phantom: ChestCtPhantom, index: int, uid: str) -> None:
    z, y, x = (
        _decimal((at - (count - 1) / 2) * spacing)
        for at, count, spacing in zip(
            (index, 0, 0), phantom.shape, phantom.voxel_spacing_mm, strict=True
        )
    )
    dataset.SOPInstanceUID = uid
    dataset.InstanceNumber = index + 1
    dataset.ImagePositionPatient = [x, y, z]
    dataset.SliceLocation = z
