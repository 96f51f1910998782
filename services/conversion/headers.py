"""Facts that are read from the files themselves, where the index does not have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import pydicom
from pydicom.dataset import Dataset

from services.conversion.series import InstanceFacts

_T = TypeVar("_T")
_GEOMETRY: Final = (
    "SOPClassUID",
    "Modality",
    "ImageType",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "BodyPartExamined",
)
_RESCALE: Final = (
    "RescaleIntercept",
    "RescaleType",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)


def keep_pydicom_quiet() -> None:
    """Stop pydicom from warning of odd values, for this process: its warnings quote them."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


def read_facts(path: Path) -> InstanceFacts:
    """Read an instance's geometry from its file; what cannot be read is absent."""
    header = _header(path, _GEOMETRY)
    return InstanceFacts(
        sop_class_uid=str(header.get("SOPClassUID", "")),
        transfer_syntax_uid=str(getattr(header, "file_meta", {}).get("TransferSyntaxUID", "")),
        modality=str(header.get("Modality", "")).upper(),
        image_type=tuple(str(v).strip().upper() for v in _values(header, "ImageType")),
        rows=_one(header, "Rows", int),
        columns=_one(header, "Columns", int),
        frames=_one(header, "NumberOfFrames", int),
        position_mm=_floats(header, "ImagePositionPatient"),
        orientation=_floats(header, "ImageOrientationPatient"),
        spacing_mm=_floats(header, "PixelSpacing"),
        slice_thickness_mm=_one(header, "SliceThickness", float),
        body_part=str(header.get("BodyPartExamined", "")),
    )


def is_hounsfield(path: Path) -> bool:
    """Whether the rescaled values of a CT image are Hounsfield units (PS3.3 C.11.1).

    Rescale Type (0028,1054) may be absent in CT Image Storage, where it then means HU.
    """
    header = _header(path, _RESCALE)
    transformation = _transformation(header)
    return "RescaleIntercept" in transformation and str(
        transformation.get("RescaleType", "HU") or "HU"
    ) in ("HU", "HU_MOD")


def _transformation(header: Dataset) -> Dataset:
    """Return the data set that holds the rescale: the image, or a functional group of it."""
    for group in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for item in list(header.get(group) or [])[:1]:
            found = item.get("PixelValueTransformationSequence")
            if found:
                first: Dataset = found[0]
                return first
    return header


def _header(path: Path, keywords: tuple[str, ...]) -> Dataset:
    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(keywords))
    # What a stranger's bytes make pydicom raise is open-ended; all of it means: not readable.
    except Exception:
        return Dataset()


def _values(header: Dataset, keyword: str) -> tuple[Any, ...]:
    try:
        value = header.get(keyword)
    except (ValueError, TypeError):
        return ()
    if value is None or value == "":
        return ()
    return tuple(value) if not isinstance(value, str) and hasattr(value, "__iter__") else (value,)


def _floats(header: Dataset, keyword: str) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in _values(header, keyword))
    except (ValueError, TypeError):
        return ()


def _one(header: Dataset, keyword: str, kind: Callable[[Any], _T]) -> _T | None:
    values = _values(header, keyword)
    try:
        return kind(values[0]) if values else None
    except (ValueError, TypeError, OverflowError):
        return None
