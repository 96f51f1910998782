"""Do the slices of a series make one volume? Asked before anything is converted.

The converter writes a volume for tilted, uneven and mixed input too, with exit code 0; what it
is given has to be judged by the attributes of the Image Plane module (PS3.3 C.7.6.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from services.conversion.orientation import slice_normal
from services.conversion.series import MIN_SLICES, InstanceFacts

Array = npt.NDArray[np.float64]

COSINE_TOLERANCE: Final = 2e-3
"""Direction cosines of one series may differ by this (0.1 degrees): rounding of the sender."""
SAME_POSITION_MM: Final = 1e-2
"""Slices closer than this lie at the same place."""
STEP_TOLERANCE: Final = 0.05
"""Share by which the distance of two slices may differ from the usual one."""
SPACING_TOLERANCE: Final = 1e-3
"""Share by which pixel spacing may differ within a series."""
MIN_TILT_DEGREES: Final = 0.3
"""A smaller angle of the stack to its slices is rounding."""


class Severity(IntEnum):
    """What a finding means for the result, the heavier the larger."""

    NOTE = 1
    WARNING = 2
    REFUSAL = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Outcome of one check: a stable code and a sentence without patient data."""

    code: str
    severity: Severity
    text: str


@dataclass(frozen=True, slots=True)
class Slice:
    """Where one slice lies: LPS, mm; see ``InstanceFacts`` for the axis order."""

    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    rows: int
    columns: int
    thickness_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices in order along their normal, and how far apart they are.

    Attributes:
        normal: Unit normal of the slices, (3,), LPS.
        positions: First-pixel centres, (n, 3), LPS, mm, ascending along the normal.
        heights: Distances along the normal, (n,), mm, ascending.
        slices: The slices in the same order.
    """

    normal: Array
    positions: Array
    heights: Array
    slices: tuple[Slice, ...]

    @property
    def step_mm(self) -> float:
        """Usual distance of two neighbours along the normal, in mm."""
        return float(np.median(np.diff(self.heights)))

    @property
    def tilt_degrees(self) -> float:
        """Angle between the slices' normal and the line on which they are stacked."""
        line = self.positions[-1] - self.positions[0]
        along = float(line @ self.normal)
        across = float(np.linalg.norm(line - along * self.normal))
        return math.degrees(math.atan2(across, abs(along)))


def slices_of(facts: Sequence[InstanceFacts]) -> list[Slice] | None:
    """Return the slices of single-frame instances; None where one does not say where it lies."""
    if any(not f.has_geometry or not f.rows or not f.columns for f in facts):
        return None
    return [
        Slice(
            f.position_mm,
            f.orientation,
            f.spacing_mm,
            f.rows or 0,
            f.columns or 0,
            f.slice_thickness_mm,
        )
        for f in facts
    ]


def check(slices: Sequence[Slice], modality: str) -> tuple[list[Finding], Stack | None]:
    """Judge the slices of a series.

    Args:
        slices: In any order.
        modality: Modality (0008,0060); only CT is known to be corrected for gantry tilt.

    Returns:
        Findings, the heaviest first, and the stack, absent when slices are refused before
        they can be put in order.
    """
    refusal = next((f for f in (rule(slices) for rule in _EACH_SLICE) if f is not None), None)
    if refusal is not None:
        return [refusal], None
    stack = _stacked(slices)
    refusal = next((f for f in (rule(stack) for rule in _WHOLE_STACK) if f is not None), None)
    if refusal is not None:
        return [refusal], stack
    findings = [*_tilt(stack, modality), *_thickness(stack), *_pixels(stack)]
    return sorted(findings, key=lambda finding: -finding.severity), stack


def _refused(code: str, text: str) -> Finding:
    return Finding(code, Severity.REFUSAL, text)


def _numbers(slices: Sequence[Slice]) -> Finding | None:
    for item in slices:
        if not all(map(math.isfinite, (*item.position_mm, *item.orientation))):
            return _refused("INVALID_POSITION", "An image's position is not a number.")
        if not all(math.isfinite(mm) and mm > 0 for mm in item.spacing_mm):
            return _refused("INVALID_SPACING", "An image's pixel spacing is not a positive number.")
        try:
            slice_normal(item.orientation)
        except ValueError:
            return _refused("INVALID_ORIENTATION", "An image's orientation is not a direction.")
    return None


def _one_orientation(slices: Sequence[Slice]) -> Finding | None:
    cosines = np.array([item.orientation for item in slices], dtype=np.float64)
    if float(np.abs(cosines - cosines[0]).max()) <= COSINE_TOLERANCE:
        return None
    return _refused("MIXED_ORIENTATION", "The images do not all lie in the same plane direction.")


def _one_size(slices: Sequence[Slice]) -> Finding | None:
    if len({(item.rows, item.columns) for item in slices}) == 1:
        return None
    return _refused("MIXED_SIZE", "The images do not all have the same number of pixels.")


def _one_spacing(slices: Sequence[Slice]) -> Finding | None:
    spacing = np.array([item.spacing_mm for item in slices], dtype=np.float64)
    if float(np.abs(spacing / spacing[0] - 1).max()) <= SPACING_TOLERANCE:
        return None
    return _refused("MIXED_SPACING", "The images do not all have the same pixel size.")


def _enough(slices: Sequence[Slice]) -> Finding | None:
    if len(slices) >= MIN_SLICES:
        return None
    return _refused(
        "TOO_FEW_SLICES", f"{len(slices)} slices; a volume needs at least {MIN_SLICES}."
    )


_EACH_SLICE: Final[tuple[Callable[[Sequence[Slice]], Finding | None], ...]] = (
    _numbers,
    _one_orientation,
    _one_size,
    _one_spacing,
    _enough,
)


def _stacked(slices: Sequence[Slice]) -> Stack:
    normal = slice_normal(slices[0].orientation)
    positions = np.array([item.position_mm for item in slices], dtype=np.float64)
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    return Stack(normal, positions, positions @ normal, tuple(slices[i] for i in order))


def _distinct(stack: Stack) -> Finding | None:
    same = np.diff(stack.heights) < SAME_POSITION_MM
    if not same.any():
        return None
    if same.all():
        return _refused("ONE_POSITION", "All images show the same slice; they are not a volume.")
    runs = np.diff(np.flatnonzero(np.concatenate(([True], ~same, [True]))))
    if (runs == runs[0]).all():
        return _refused(
            "MULTIPLE_VOLUMES",
            f"Each slice position occurs {runs[0]} times: the series holds several volumes, "
            "for example over time.",
        )
    repeated = int((runs > 1).sum())
    which = "1 slice position occurs" if repeated == 1 else f"{repeated} slice positions occur"
    return _refused("DUPLICATE_SLICES", f"{which} more than once.")


def _even(stack: Stack) -> Finding | None:
    steps, usual = np.diff(stack.heights), stack.step_mm
    off = np.abs(steps - usual) > STEP_TOLERANCE * usual
    if not off.any():
        return None
    gaps = steps[off] / usual
    if (gaps > 1.5).all() and (np.abs(gaps - np.round(gaps)) < 2 * STEP_TOLERANCE).all():
        missing = int(np.round(gaps).sum()) - len(gaps)
        return _refused(
            "MISSING_SLICES",
            f"The distance of the slices is uneven: {missing} of {len(steps) + 1 + missing} "
            "seem to be missing.",
        )
    return _refused(
        "UNEVEN_SPACING",
        f"The distance of the slices is uneven: {steps.min():.2f} to {steps.max():.2f} mm.",
    )


def _straight(stack: Stack) -> Finding | None:
    share = (stack.heights - stack.heights[0]) / (stack.heights[-1] - stack.heights[0])
    expected = stack.positions[0] + share[:, None] * (stack.positions[-1] - stack.positions[0])
    offset = float(np.linalg.norm(stack.positions - expected, axis=1).max())
    if offset <= 0.5 * min(stack.slices[0].spacing_mm):
        return None
    return _refused("SHIFTED_SLICES", "The images are shifted sideways against each other.")


_WHOLE_STACK: Final[tuple[Callable[[Stack], Finding | None], ...]] = (_distinct, _even, _straight)


def _tilt(stack: Stack, modality: str) -> list[Finding]:
    degrees = stack.tilt_degrees
    if degrees < MIN_TILT_DEGREES:
        return []
    if modality != "CT":
        return [_refused("SHEARED", f"The stack leans by {degrees:.1f} degrees to its slices.")]
    text = f"Gantry tilt of {degrees:.1f} degrees, corrected by resampling."
    return [Finding("GANTRY_TILT", Severity.WARNING, text)]


def _thickness(stack: Stack) -> list[Finding]:
    thickness, step = stack.slices[0].thickness_mm, stack.step_mm
    if thickness is None or not math.isfinite(thickness) or thickness <= 0:
        return []
    # The slices of a tilted gantry are as far apart as the table moved, not as their planes.
    travelled = step / math.cos(math.radians(stack.tilt_degrees))
    if travelled > 1.25 * thickness:
        text = f"Slices of {thickness:g} mm every {travelled:.2f} mm leave gaps between them."
        return [Finding("SLICE_GAPS", Severity.WARNING, text)]
    if travelled < 0.8 * thickness:
        text = f"Slices of {thickness:g} mm every {travelled:.2f} mm overlap."
        return [Finding("SLICE_OVERLAP", Severity.NOTE, text)]
    return []


def _pixels(stack: Stack) -> list[Finding]:
    rows_mm, columns_mm = stack.slices[0].spacing_mm
    if abs(rows_mm / columns_mm - 1) <= 1e-2:
        return []
    text = f"Pixels are not square: {rows_mm:.3f} by {columns_mm:.3f} mm."
    return [Finding("NON_SQUARE_PIXELS", Severity.NOTE, text)]
