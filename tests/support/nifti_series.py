"""A real CT that was published as NIfTI, made into the DICOM series it once was."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from nibabel.funcs import as_closest_canonical
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

_INTERCEPT: Final = -1024


def read_nifti(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the voxels of a NIfTI and the affine to RAS+ millimetres.

    Axes of the voxels: (i to the right, j to the front, k to the head).
    """
    image = as_closest_canonical(Nifti1Image.from_filename(path))
    return np.asanyarray(image.dataobj), np.asarray(image.affine, np.float64)


def write_ct_series(nifti: Path, folder: Path) -> str:
    """Write an axial RAS+ CT as DICOM slices, from the feet up; return its Study Instance UID."""
    hu, affine = read_nifti(nifti)
    study = generate_uid(entropy_srcs=[nifti.name])
    for index in range(hu.shape[2]):
        # DICOM rows run to the back and columns to the left (LPS): turn both axes.
        pixels = np.flip(hu[:, :, index], (0, 1)).T
        corner = affine @ np.array([hu.shape[0] - 1, hu.shape[1] - 1, index, 1])
        dataset = _slice(pixels, corner, affine, index, study)
        dataset.save_as(folder / f"{index:04d}.dcm", enforce_file_format=True)
    return study


def _slice(
    pixels: NDArray[Any],
    corner_ras: NDArray[np.float64],
    affine: NDArray[np.float64],
    index: int,
    study: UID,
) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[study, str(index)])
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[study, "series"])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=[study, "frame"])
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientID, dataset.PatientName, dataset.SeriesNumber = "TRUNK", "TRUNK^REAL", 1
    dataset.PatientPosition, dataset.InstanceNumber = "HFS", index + 1
    spacing = np.abs(np.diag(affine)[:3])
    dataset.PixelSpacing = [float(spacing[1]), float(spacing[0])]
    dataset.SliceThickness = float(spacing[2])
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [
        round(float(v), 4) for v in (-corner_ras[0], -corner_ras[1], corner_ras[2])
    ]
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 1
    dataset.RescaleIntercept, dataset.RescaleSlope = _INTERCEPT, 1
    dataset.PixelData = (pixels - _INTERCEPT).astype("<i2").tobytes()
    return dataset
