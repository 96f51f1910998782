"""Synthetic instances for tests of doors: small, valid, and made from nothing."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"


def ct_instance(
    *,
    study_uid: str | None = None,
    series_uid: str | None = None,
    sop_instance_uid: str | None = None,
    size: int = 64,
    number: int = 1,
    seed: int = 0,
) -> Dataset:
    """Return a CT image of ``size`` x ``size`` pixels of noise."""
    dataset = Dataset()
    dataset.SOPClassUID = CT
    dataset.SOPInstanceUID = sop_instance_uid or generate_uid()
    dataset.StudyInstanceUID = study_uid or generate_uid()
    dataset.SeriesInstanceUID = series_uid or generate_uid()
    dataset.PatientName = "PHANTOM^GATEWAY"
    dataset.PatientID = "GATEWAY-1"
    dataset.PatientBirthDate = "19700101"
    dataset.StudyDate = "20260101"
    dataset.Modality = "CT"
    dataset.InstanceNumber = number
    dataset.Rows = dataset.Columns = size
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    noise = np.random.default_rng(seed * 100_000 + number).integers(
        0, 4096, (size, size), np.uint16
    )
    dataset.PixelData = noise.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def encoded(dataset: Dataset, *, implicit: bool = False) -> bytes:
    """Return a data set as it travels, without preamble and file meta information."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    return buffer.getvalue()


def part10(dataset: Dataset, *, implicit: bool = False) -> bytes:
    """Return a data set as a DICOM file."""
    dataset = Dataset(dataset)
    dataset.ensure_file_meta()
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=implicit, little_endian=True, enforce_file_format=True)
    return buffer.getvalue()
