"""What is written where the standard wants some value and none may stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DUMMIES: Final[Mapping[str, str]] = {
    "AE": "ANONYMIZED",
    "AS": "000Y",
    "CS": "ANONYMIZED",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "PN": "ANONYMIZED",
    "TM": "000000",
    "UR": "urn:anonymized",
    **dict.fromkeys(("LO", "LT", "SH", "ST", "UC", "UT"), "ANONYMIZED"),
}
"""By VR."""
OWN_WORDS: Final = frozenset({DUMMIES["PN"], DUMMIES["DA"]})
"""What names nobody in an object that was de-identified before."""
