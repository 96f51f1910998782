"""What is known of a series before its pixels are read, and what rules it out as a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom.uid import UID

MIN_SLICES: Final = 3
"""Fewer slices do not show whether their spacing is even."""

MODALITIES: Final = ("CT", "MR")
"""Modalities (0008,0060) whose series are made into volumes."""

_NOT_IMAGES: Final = {
    "SR": "a structured report",
    "KO": "a selection of key images",
    "PR": "display settings",
    "DOC": "a document",
    "SEG": "a segmentation",
    "REG": "a spatial registration",
    "RTSTRUCT": "radiotherapy contours",
    "RTPLAN": "a radiotherapy plan",
    "RTDOSE": "a radiotherapy dose",
    "RTRECORD": "a radiotherapy record",
    "FID": "fiducials",
    "RWV": "a value mapping",
    "PLAN": "a plan",
    "ECG": "a waveform",
    "AU": "sound",
}
_OTHER_IMAGES: Final = {
    "CR": "X-ray images",
    "DX": "X-ray images",
    "RF": "fluoroscopy images",
    "XA": "angiography images",
    "MG": "mammography images",
    "US": "ultrasound images",
    "NM": "nuclear medicine images",
    "PT": "PET images",
    "OT": "images of another kind",
    "SC": "screen captures",
    "ES": "endoscopy images",
    "OP": "eye photographs",
    "OPT": "eye tomography images",
    "SM": "microscopy images",
    "IO": "dental X-ray images",
    "PX": "dental X-ray images",
}
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_ENCAPSULATED: Final = "1.2.840.10008.5.1.4.1.1.104"
_SCREENS: Final = frozenset({"SCREEN SAVE", "DOSE_INFO", "DOSE INFO", "DOSE_REPORT"})
_DECODABLE: Final = frozenset(
    {
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.57",
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.81",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.4.91",
        "1.2.840.10008.1.2.5",
    }
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not done: a stable code and a sentence without patient data."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """Attributes of one instance; empty text, None or an empty tuple where absent.

    Attributes:
        image_type: Values of Image Type (0008,0008), upper case.
        position_mm: Image Position (Patient): centre of the first pixel, (3,) or empty, LPS, mm.
        orientation: Image Orientation (Patient): direction cosines of the row, then of the
            column, (6,) or empty, LPS.
        spacing_mm: Pixel Spacing: between rows, then between columns, (2,) or empty, mm.
    """

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    transfer_syntax_uid: str = ""
    modality: str = ""
    image_type: tuple[str, ...] = ()
    rows: int | None = None
    columns: int | None = None
    frames: int | None = None
    position_mm: tuple[float, ...] = ()
    orientation: tuple[float, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    slice_thickness_mm: float | None = None
    kernel: str = ""
    contrast: str = ""
    body_part: str = ""
    description: str = ""
    protocol: str = ""
    manufacturer: str = ""

    @property
    def is_mosaic(self) -> bool:
        """Whether all slices of a volume are tiled in one image (Siemens MR)."""
        return "MOSAIC" in self.image_type

    @property
    def is_multiframe(self) -> bool:
        """Whether the instance holds several frames."""
        return (self.frames or 1) > 1

    @property
    def has_geometry(self) -> bool:
        """Whether it says where in the patient its image lies."""
        return (
            len(self.position_mm) == 3 and len(self.orientation) == 6 and len(self.spacing_mm) == 2
        )


def kind_refusal(facts: InstanceFacts) -> Refusal | None:
    """Return why a series of such instances can never be a volume; None when it may be one.

    Source: PS3.3 C.7.3.1.1.1 (Modality), C.7.6.1.1.2 and C.8.2.1.1.1 (Image Type).
    """
    if facts.modality in _NOT_IMAGES:
        what = _NOT_IMAGES[facts.modality]
        return Refusal("NOT_AN_IMAGE", f"The series holds {what}, not images.")
    if facts.sop_class_uid.startswith(_ENCAPSULATED):
        return Refusal("NOT_AN_IMAGE", "The series holds a document, not images.")
    if _is_screen(facts):
        return Refusal("SECONDARY_CAPTURE", "The series holds screen captures, not slices.")
    if facts.modality not in MODALITIES:
        what = _OTHER_IMAGES.get(facts.modality, "images of another kind")
        return Refusal(
            "UNSUPPORTED_MODALITY",
            f"The series holds {what}; only CT and MR series are made into volumes.",
        )
    if "LOCALIZER" in facts.image_type:
        return Refusal("LOCALIZER", "The series is a localizer (scout), not a stack of slices.")
    return None


def encoding_refusal(transfer_syntax_uid: str) -> Refusal | None:
    """Return why images of this transfer syntax cannot be converted; None when they can."""
    if transfer_syntax_uid in _DECODABLE:
        return None
    return Refusal("CANNOT_DECODE", f"Cannot decode {syntax_name(transfer_syntax_uid)}.")


def syntax_name(transfer_syntax_uid: str) -> str:
    """Return the standard's name of a transfer syntax; a UID it does not list is not quoted."""
    uid = UID(transfer_syntax_uid)
    known = uid.name != transfer_syntax_uid and uid.is_transfer_syntax
    return uid.name if known else "an unknown pixel encoding"


def _is_screen(facts: InstanceFacts) -> bool:
    return facts.sop_class_uid.startswith(_SECONDARY_CAPTURE) or not _SCREENS.isdisjoint(
        facts.image_type
    )
