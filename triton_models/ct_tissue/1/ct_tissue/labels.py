"""Label values of the label map."""

from __future__ import annotations

from enum import IntEnum


class Label(IntEnum):
    """One tissue a voxel; body is every value above `OUTSIDE`."""

    OUTSIDE = 0
    LUNGS = 1
    AIRWAYS = 2
    BONE = 3
    FAT = 4
    SOFT_TISSUE = 5
    OTHER = 6
