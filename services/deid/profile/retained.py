"""Standard attributes that the table does not list: what may stay of them.

PS3.15 leaves them alone. We look at what their VR can hold: numbers, codes and structure stay,
short technical names stay unless they repeat the patient's header, longer text is cleaned like a
descriptor. An attribute that our edition of PS3.6 does not know is denied.
"""

from __future__ import annotations

from typing import Final, Literal

from services.dicom.encoding import known_tag

Kind = Literal["value", "name", "text", ""]

_VALUES: Final = frozenset(
    {"AT", "CS", "DS", "FD", "FL", "IS", "OD", "OF", "OL", "OV", "SL", "SQ", "SS", "SV", "UL"}
    | {"US", "UV", "US or SS", "US or OW", "US or SS or OW"}
)
_NAMES: Final = frozenset({"LO", "SH"})
_TEXTS: Final = frozenset({"LT", "ST", "UC", "UT"})
# Bulk that is pixels, a look-up table or a signal. Every other OB, OW or UN may hide anything.
_BULK: Final = frozenset(
    {
        0x00281201,  # Red Palette Color Lookup Table Data, then green, blue, alpha
        0x00281202,
        0x00281203,
        0x00281204,
        0x00281221,  # the same, segmented
        0x00281222,
        0x00281223,
        0x00281224,
        0x00281408,  # Blending Lookup Table Data
        0x00282000,  # ICC Profile
        0x003A0211,  # channels of waveforms
        0x54000110,
        0x54000112,
        0x5400100A,  # Waveform Padding Value
        0x54001010,  # Waveform Data
        0x7FE00008,  # Float, Double Float and Pixel Data
        0x7FE00009,
        0x7FE00010,
    }
)


def retained(tag: int, vr: str) -> Kind:
    """Return as what an attribute that the table does not list may stay.

    Args:
        tag: Of an even group.
        vr: As PS3.6 says.

    Returns:
        "value", "name", "text", or "" when it is removed.
    """
    if not known_tag(tag):
        return ""
    if vr in _VALUES or tag in _BULK:
        return "value"
    if vr in _NAMES:
        return "name"
    return "text" if vr in _TEXTS else ""
