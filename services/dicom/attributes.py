"""The attributes of an instance by which it is filed and found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from services.dicom.encoding import Buffer, inflate
from services.dicom.errors import DicomError, MissingElementError, TruncatedError
from services.dicom.header import Header
from services.dicom.pixel_data import ImageShape, require_whole
from services.dicom.uids import (
    is_image_sop_class,
    require_uid,
    transfer_syntax,
    valid_uid,
)
from services.dicom.walk import DEFAULT_LIMITS, Limits, walk


@dataclass(frozen=True, slots=True)
class IndexAttributes:
    """Typed index attributes of one instance; text is "" and a number None where absent.

    Text is decoded by Specific Character Set, without NULs and outer blanks, and capped.
    Dates and times are the text of the sender (DA, TM), not checked. Whole numbers fit 32 bits.
    Geometry (PS3.3 C.7.6.2) is in millimetres, LPS: position (x, y, z) of the centre of the first
    pixel; direction cosines of the row, then of the column; spacing between rows, then between
    columns. It is empty where absent, of another count or not finite.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    patient_birth_date: str
    patient_sex: str
    study_date: str
    study_time: str
    study_id: str
    accession_number: str
    study_description: str
    referring_physician_name: str
    series_date: str
    series_time: str
    performed_procedure_step_start_date: str
    performed_procedure_step_start_time: str
    series_number: int | None
    series_description: str
    modality: str
    body_part_examined: str
    protocol_name: str
    station_name: str
    manufacturer: str
    manufacturer_model_name: str
    institution_name: str
    frame_of_reference_uid: str
    acquisition_date: str
    acquisition_time: str
    acquisition_number: int | None
    instance_number: int | None
    image_type: tuple[str, ...]
    image_position_mm: tuple[float, ...]
    image_orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, ...]
    slice_thickness_mm: float | None
    convolution_kernel: str
    contrast_bolus_agent: str
    view_position: str
    patient_position: str
    rows: int | None
    columns: int | None
    number_of_frames: int | None
    burned_in_annotation: str
    has_pixel_data: bool


_REQUIRED_UIDS: Final = {
    "sop_class_uid": ("SOPClassUID", 0x00080016),
    "sop_instance_uid": ("SOPInstanceUID", 0x00080018),
    "study_instance_uid": ("StudyInstanceUID", 0x0020000D),
    "series_instance_uid": ("SeriesInstanceUID", 0x0020000E),
}
_TEXTS: Final = {
    "patient_id": 0x00100020,
    "issuer_of_patient_id": 0x00100021,
    "patient_name": 0x00100010,
    "patient_birth_date": 0x00100030,
    "patient_sex": 0x00100040,
    "study_date": 0x00080020,
    "study_time": 0x00080030,
    "study_id": 0x00200010,
    "accession_number": 0x00080050,
    "study_description": 0x00081030,
    "referring_physician_name": 0x00080090,
    "series_date": 0x00080021,
    "series_time": 0x00080031,
    "performed_procedure_step_start_date": 0x00400244,
    "performed_procedure_step_start_time": 0x00400245,
    "series_description": 0x0008103E,
    "modality": 0x00080060,
    "body_part_examined": 0x00180015,
    "protocol_name": 0x00181030,
    "station_name": 0x00081010,
    "manufacturer": 0x00080070,
    "manufacturer_model_name": 0x00081090,
    "institution_name": 0x00080080,
    "acquisition_date": 0x00080022,
    "acquisition_time": 0x00080032,
    "burned_in_annotation": 0x00280301,
    "convolution_kernel": 0x00181210,
    "contrast_bolus_agent": 0x00180010,
    "view_position": 0x00185101,
    "patient_position": 0x00185100,
}
_DECIMALS: Final = {
    "image_position_mm": (0x00200032, 3),
    "image_orientation": (0x00200037, 6),
    "pixel_spacing_mm": (0x00280030, 2),
}
_INTEGERS: Final = {
    "series_number": 0x00200011,
    "acquisition_number": 0x00200012,
    "instance_number": 0x00200013,
    "number_of_frames": 0x00280008,
}
_SLICE_THICKNESS: Final = 0x00180050
_SOP_CLASS: Final = 0x00080016
_CHARACTER_SET: Final = 0x00080005
_IMAGE_TYPE: Final = 0x00080008
_FRAME_OF_REFERENCE: Final = 0x00200052
_SAMPLES: Final = 0x00280002
_PHOTOMETRIC: Final = 0x00280004
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_BITS_ALLOCATED: Final = 0x00280100
# Bulk that may stand for pixel data: Spectroscopy Data, Pixel Data Provider URL.
_OTHER_IMAGES: Final = frozenset({0x56000020, 0x00287FE0})
_WANTED: Final = frozenset(
    {tag for _, tag in _REQUIRED_UIDS.values()}
    | set(_TEXTS.values())
    | set(_INTEGERS.values())
    | {tag for tag, _ in _DECIMALS.values()}
    | {_SLICE_THICKNESS}
    | {_CHARACTER_SET, _IMAGE_TYPE, _FRAME_OF_REFERENCE, _SAMPLES, _PHOTOMETRIC, _ROWS, _COLUMNS}
    | {_BITS_ALLOCATED}
    | _OTHER_IMAGES
)


def read_index_attributes(
    data_set: Buffer,
    transfer_syntax_uid: str,
    limits: Limits = DEFAULT_LIMITS,
    *,
    whole: bool = True,
) -> IndexAttributes:
    """Read the index attributes of an instance, and by default check that it is whole.

    Args:
        data_set: The encoded data set, without preamble and file meta information.
        transfer_syntax_uid: How it is encoded.
        limits: Bounds on what reading may cost.
        whole: Also check the pixel data and all that follows it, so that an instance that
            was cut off is refused. Without it the bytes may end after the pixel data's header.

    Raises:
        DicomError: A subclass names the attribute and the rule that it breaks; the text
            carries no value.
    """
    syntax = transfer_syntax(transfer_syntax_uid)
    if syntax.deflated:
        data_set = inflate(data_set, limits.max_inflated_bytes)
    header = Header(data_set, syntax, limits, _WANTED)
    attributes = _attributes(header)
    if whole:
        _require_whole(header)
    return attributes


class ReadAhead:
    """What the first bytes of an instance say while the rest of it is still to come.

    Attributes:
        attributes: Its index attributes, as `read_index_attributes` gives them.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self.attributes = _attributes(header)

    def require_whole(self, data_set: Buffer) -> None:
        """Check the whole data set as `read_index_attributes` does.

        Raises:
            DicomError: Something is missing or broken.
        """
        self._header.data = data_set
        _require_whole(self._header)


def read_ahead(
    beginning: Buffer, transfer_syntax_uid: str, limits: Limits = DEFAULT_LIMITS
) -> ReadAhead | None:
    """Read the header of an instance that has only begun to arrive.

    Args:
        beginning: The first bytes of the data set.
        transfer_syntax_uid: How it is encoded.
        limits: Bounds on what reading may cost.

    Returns:
        None where the pixel data was not reached, or the header is not good: then the whole has
        to be read.
    """
    try:
        syntax = transfer_syntax(transfer_syntax_uid)
        if syntax.deflated:
            return None
        header = Header(beginning, syntax, limits, _WANTED)
        return ReadAhead(header) if header.pixels is not None else None
    except DicomError:
        return None


def _attributes(header: Header) -> IndexAttributes:
    values: dict[str, Any] = {
        name: _required_uid(header, *rule) for name, rule in _REQUIRED_UIDS.items()
    }
    values.update(header.texts(_TEXTS))
    values.update((name, header.integer(tag)) for name, tag in _INTEGERS.items())
    values.update((name, header.decimals(*rule)) for name, rule in _DECIMALS.items())
    frame_of_reference = header.uid(_FRAME_OF_REFERENCE)
    image_type = header.text(_IMAGE_TYPE)
    return IndexAttributes(
        **values,
        transfer_syntax_uid=header.syntax.uid,
        frame_of_reference_uid=frame_of_reference if valid_uid(frame_of_reference) else "",
        image_type=tuple(part.strip() for part in image_type.split("\\")) if image_type else (),
        slice_thickness_mm=next(iter(header.decimals(_SLICE_THICKNESS, 1)), None),
        rows=header.short(_ROWS, "Rows"),
        columns=header.short(_COLUMNS, "Columns"),
        has_pixel_data=header.pixels is not None,
    )


def _required_uid(header: Header, field: str, tag: int) -> str:
    text = header.uid(tag)
    if not text:
        raise MissingElementError(field)
    return require_uid(field, text)


def _require_whole(header: Header) -> None:
    shape = ImageShape(
        rows=header.short(_ROWS, "Rows"),
        columns=header.short(_COLUMNS, "Columns"),
        samples_per_pixel=header.short(_SAMPLES, "SamplesPerPixel"),
        number_of_frames=header.integer(_INTEGERS["number_of_frames"]),
        bits_allocated=header.short(_BITS_ALLOCATED, "BitsAllocated"),
        photometric_interpretation=header.text(_PHOTOMETRIC),
    )
    if header.pixels is None:
        by_other_means = header.syntax.by_reference or not _OTHER_IMAGES.isdisjoint(header.elements)
        image = shape.rows is not None or is_image_sop_class(header.uid(_SOP_CLASS))
        if image and not by_other_means:
            raise TruncatedError("PixelData", "absent from an image")
        return
    after = require_whole(header.data, header.pixels, shape, header.syntax, header.limits)
    for _ in walk(header.data, header.syntax, header.limits, wanted=(), start=after):
        pass
