"""Objects that may show identity where a header rule cannot reach it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from services.deid.errors import DeidRefusedError
from services.deid.layout import Place
from services.dicom.uids import sop_class_name

IMAGE_TYPE: Final = 0x00080008
MODALITY: Final = 0x00080060
CONVERSION_TYPE: Final = 0x00080064
BURNED_IN: Final = 0x00280301
RECOGNIZABLE: Final = 0x00280302
MANUFACTURER: Final = 0x00080070
MODEL: Final = 0x00081090
WANTED: Final = (
    *(IMAGE_TYPE, MODALITY, CONVERSION_TYPE, BURNED_IN, RECOGNIZABLE),
    *(MANUFACTURER, MODEL),
)

_DICOMDIR: Final = "1.2.840.10008.1.3.10"
_DOCUMENTS: Final = ("Encapsulated",)
_UNSEEN: Final = ("Raw Data", "Audio", "Video")
_PICTURES: Final = ("Secondary Capture", "Ultrasound", "VL ", "Ophthalmic", "Dermoscopic")
_OVERLAY_ROWS: Final = 0x0010
_OVERLAY_DATA: Final = 0x3000
_DRAWN_IN_BITS: Final = "an overlay lies in bits of the pixels that nothing here reads"
_DRAWN: Final = frozenset({"SCREEN SAVE", "REPORT", "DOSE_INFO"})


def refuse_directory(sop_class_uid: str) -> None:
    """Refuse a DICOMDIR: it names whom it is about and points at bytes that change.

    Raises:
        DeidRefusedError: It is one.
    """
    if sop_class_uid == _DICOMDIR:
        raise DeidRefusedError("DICOMDIR", "SOPClassUID", "a directory names what is beside it")


def refuse_what_cannot_be_treated(sop_class_uid: str) -> None:
    """Refuse kinds of objects whose content no rule of ours reads.

    Raises:
        DeidRefusedError: It is one of them.
    """
    refuse_directory(sop_class_uid)
    name = f"{sop_class_name(sop_class_uid)} "
    if name == " ":
        raise DeidRefusedError("UNKNOWN_SOP_CLASS", "SOPClassUID", "not a class that is known")
    if any(part in name for part in _DOCUMENTS):
        raise DeidRefusedError(
            "ENCAPSULATED_DOCUMENT", "SOPClassUID", "a document inside cannot be cleaned"
        )
    if any(part in name for part in _UNSEEN):
        raise DeidRefusedError("UNREADABLE_KIND", "SOPClassUID", "content of this kind is not read")


def refuse_overlays_in_pixels(places: Iterable[Place]) -> None:
    """Refuse an object whose overlay lies in unused bits of its pixels (retired, PS3.3 C.9.2).

    Raises:
        DeidRefusedError: It is one.
    """
    tags = {place.tag for place in places if 0x6000 <= place.tag >> 16 <= 0x60FF}
    if any(
        tag & 0xFFFF == _OVERLAY_ROWS and tag - _OVERLAY_ROWS + _OVERLAY_DATA not in tags
        for tag in tags
    ):
        raise DeidRefusedError("OVERLAY_IN_PIXELS", "OverlayBitPosition", _DRAWN_IN_BITS)


def pixels_may_identify(sop_class_uid: str, values: Mapping[int, str]) -> bool:
    """Tell whether text may be drawn into the pixels.

    Args:
        sop_class_uid: SOP Class UID.
        values: The texts of ``WANTED`` that are there.
    """
    if values.get(BURNED_IN, "").upper() == "YES":
        return True
    kind = f"{sop_class_name(sop_class_uid)} "
    if any(part in kind for part in _PICTURES) or values.get(CONVERSION_TYPE):
        return True
    image_type = set(values.get(IMAGE_TYPE, "").upper().split("\\"))
    return bool(image_type & _DRAWN)
