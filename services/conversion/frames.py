"""Where the frames of a multi-frame image lie (PS3.3 C.7.6.16)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset

from services.conversion.geometry import Slice

MAX_FRAMES: Final = 100_000


def read_frames(path: Path) -> list[Slice] | None:
    """Read the slices of an enhanced multi-frame image; None where it does not say them all.

    Args:
        path: A DICOM file; its pixels are not read.
    """
    try:
        return _frames(pydicom.dcmread(path, stop_before_pixels=True))
    # A stranger's nested sequences fail in pydicom in many ways; each means: not readable.
    except Exception:
        return None


def _frames(image: Dataset) -> list[Slice] | None:
    shared = image.get("SharedFunctionalGroupsSequence") or [Dataset()]
    per_frame = image.get("PerFrameFunctionalGroupsSequence") or []
    if not per_frame or len(per_frame) > MAX_FRAMES:
        return None
    rows, columns = int(image.Rows), int(image.Columns)
    return [_slice(shared[0], frame, rows, columns) for frame in per_frame]


def _slice(shared: Dataset, frame: Dataset, rows: int, columns: int) -> Slice:
    measures = _group(shared, frame, "PixelMeasuresSequence")
    position = _group(shared, frame, "PlanePositionSequence")
    orientation = _group(shared, frame, "PlaneOrientationSequence")
    thickness = measures.get("SliceThickness")
    return Slice(
        tuple(map(float, position.ImagePositionPatient)),
        tuple(map(float, orientation.ImageOrientationPatient)),
        tuple(map(float, measures.PixelSpacing)),
        rows,
        columns,
        None if thickness is None else float(thickness),
    )


def _group(shared: Dataset, frame: Dataset, keyword: str) -> Dataset:
    """Return the one item of a functional group, which stands per frame or for all frames."""
    found: Dataset = (frame.get(keyword) or shared[keyword].value)[0]
    return found
