"""In which form something is given: chosen from what the client takes and how it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.dicomweb.accept import ANY, MULTIPART, MediaRange
from gateway.dicomweb.problems import not_acceptable
from services.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
)

DICOM: Final = "application/dicom"
OCTETS: Final = "application/octet-stream"
_JPEG, _JLS, _JP2, _JPX, _JPHC = "image/jpeg", "image/jls", "image/jp2", "image/jpx", "image/jphc"
_MEDIA_TYPES: Final = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70)), _JPEG),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (80, 81)), _JLS),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (90, 91)), _JP2),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (92, 93)), _JPX),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203)), _JPHC),
}
"""PS3.18 Table 8.7.3-5."""
_RLE: Final = "1.2.840.10008.1.2.5"
_JPEG_LS_LOSSLESS: Final = "1.2.840.10008.1.2.4.80"
_WRITTEN: Final = frozenset(
    {
        EXPLICIT_VR_LITTLE_ENDIAN,
        IMPLICIT_VR_LITTLE_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        _RLE,
        _JPEG_LS_LOSSLESS,
    }
)
"""Transfer syntaxes that conversion writes."""
_PLAIN: Final = frozenset({EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN})
STORED: Final = "*"


@dataclass(frozen=True, slots=True)
class FrameForm:
    """How frames are given.

    Attributes:
        multipart: As parts, rather than the one frame alone.
        media_type: Of a frame.
        transfer_syntax: Of a frame.
        decoded: Whether it has to be decoded first.
    """

    multipart: bool
    media_type: str
    transfer_syntax: str
    decoded: bool


@dataclass(frozen=True, slots=True)
class InstanceForm:
    """How instances are given.

    Attributes:
        multipart: As parts, rather than the one instance alone.
        transfer_syntax: The one asked for, "*" for each as it is stored, None for none named.
    """

    multipart: bool
    transfer_syntax: str | None

    def written_in(self, stored: TransferSyntax) -> str | None:
        """Return the transfer syntax an instance is transcoded to; None to give it as it is.

        Where none is named, what is compressed and can be decoded becomes Explicit VR Little
        Endian (PS3.18 section 8.7.3.5.2); Implicit VR stays, which every reader knows.
        """
        if self.transfer_syntax is None:
            compressed = stored.uid in _MEDIA_TYPES or stored.deflated
            return EXPLICIT_VR_LITTLE_ENDIAN if compressed else None
        same = self.transfer_syntax in (STORED, stored.uid)
        return None if same else self.transfer_syntax


def frame_form(
    ranges: Sequence[MediaRange], stored: TransferSyntax, count: int, *, readable: bool
) -> FrameForm:
    """Choose how frames are given.

    Args:
        ranges: What the client takes.
        stored: Transfer syntax of the file.
        count: Number of frames asked for.
        readable: Whether frames can be given as they are stored.

    Raises:
        Problem: In no form that the client takes.
    """
    for media in ranges:
        multipart = media.is_multipart or media.media_type == ANY
        if not multipart and count > 1:
            continue
        if readable and stored.encapsulated:
            media_type = _stored_type(media, stored)
            if media_type is not None:
                return FrameForm(multipart, media_type, stored.uid, decoded=False)
        if media.matches(OCTETS) and _takes_native(media, stored):
            decoded = stored.encapsulated or not readable
            return FrameForm(multipart, OCTETS, EXPLICIT_VR_LITTLE_ENDIAN, decoded)
    raise not_acceptable("Frames are given as application/octet-stream or as they are stored.")


def _takes_native(media: MediaRange, stored: TransferSyntax) -> bool:
    wanted = media.transfer_syntax
    if wanted is None or wanted in _PLAIN:
        return True
    return not stored.encapsulated and wanted in (STORED, stored.uid)


def _stored_type(media: MediaRange, stored: TransferSyntax) -> str | None:
    """Return under which media type a compressed frame is given as it is; None if it is not."""
    own = _MEDIA_TYPES.get(stored.uid, OCTETS)
    wanted = media.transfer_syntax
    if wanted in (STORED, stored.uid):
        if media.inner == OCTETS:
            return OCTETS
        return own if media.matches(own) else None
    named = wanted is None and media.inner == own and own != OCTETS
    return own if named else None


def instance_form(ranges: Sequence[MediaRange], stored: Sequence[str]) -> InstanceForm:
    """Choose how instances are given.

    Args:
        ranges: What the client takes.
        stored: Transfer syntax of each instance.

    Raises:
        Problem: In no form that the client takes.
    """
    for media in ranges:
        multipart = media.is_multipart or media.media_type == ANY
        wanted = media.transfer_syntax
        possible = wanted in (None, STORED) or wanted in _WRITTEN or set(stored) == {wanted}
        if media.matches(DICOM) and (multipart or len(stored) == 1) and possible:
            return InstanceForm(multipart, wanted)
    raise not_acceptable("Instances are given as application/dicom.")


def related(media_type: str, boundary: str) -> str:
    """Return the Content-Type of a multipart body."""
    return f'{MULTIPART}; type="{media_type}"; boundary={boundary}'
