"""Structures of the model ct_tissue, and their colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Structure:
    """A structure and the label values that make it up.

    Attributes:
        name: Stable name.
        display_name: For people.
        labels: Values of the label map; more than one where a structure holds others.
        color: "#rrggbb", told apart with any kind of colour vision (Okabe and Ito 2008).
    """

    name: str
    display_name: str
    labels: tuple[int, ...]
    color: str


LUNGS: Final = Structure("lungs", "Lungs", (1,), "#56b4e9")
AIRWAYS: Final = Structure("airways", "Airways", (2,), "#f0e442")
BONE: Final = Structure("bone", "Bone", (3,), "#e69f00")
FAT: Final = Structure("fat", "Fat", (4,), "#cc79a7")
SOFT_TISSUE: Final = Structure("soft_tissue", "Soft tissue in the muscle range", (5,), "#009e73")
OTHER: Final = Structure("other", "Other body", (6,), "#999999")
BODY: Final = Structure("body", "Body", (1, 2, 3, 4, 5, 6), "#0072b2")

LABELLED: Final = (LUNGS, AIRWAYS, BONE, FAT, SOFT_TISSUE, OTHER)
"""In label order from 1."""

MEASURED: Final = (LUNGS, AIRWAYS, BONE, FAT, SOFT_TISSUE, BODY)
HIGHEST_LABEL: Final = 6
