"""Ages as bands of ten years; whoever is ninety or older is in one band."""

from __future__ import annotations

from typing import Final

_OLDEST: Final = 90
_BAND: Final = 10


def age_band(years: int) -> str:
    """Return the band of an age in years, e.g. "60-69" or "90+"; "" for a negative one."""
    if years < 0:
        return ""
    if years >= _OLDEST:
        return f"{_OLDEST}+"
    begin = years // _BAND * _BAND
    return f"{begin}-{begin + _BAND - 1}"
