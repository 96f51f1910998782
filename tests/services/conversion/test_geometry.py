"""What the slices' own attributes say about the volume they would make."""

from __future__ import annotations

import math

import pytest

from services.conversion.geometry import Severity, Slice, check

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def tilted(degrees: float) -> tuple[float, ...]:
    angle = math.radians(degrees)
    return (1.0, 0.0, 0.0, 0.0, math.cos(angle), -math.sin(angle))


def at(
    z: float,
    *,
    x: float = 0.0,
    orientation: tuple[float, ...] = AXIAL,
    spacing: tuple[float, float] = (0.5, 0.5),
    rows: int = 512,
    thickness: float | None = None,
) -> Slice:
    return Slice((x, 0.0, z), orientation, spacing, rows, 512, thickness)


def stack(*heights: float) -> list[Slice]:
    return [at(z) for z in heights]


@pytest.mark.parametrize(
    ("code", "slices"),
    [
        ("INVALID_POSITION", [*stack(0, 1, 2), at(math.nan)]),
        ("INVALID_SPACING", [*stack(0, 1, 2), at(3, spacing=(0.0, 0.5))]),
        ("INVALID_SPACING", [*stack(0, 1, 2), at(3, spacing=(math.inf, 0.5))]),
        ("INVALID_SPACING", [*stack(0, 1, 2), at(3, spacing=(-0.5, 0.5))]),
        ("INVALID_ORIENTATION", [*stack(0, 1, 2), at(3, orientation=(1, 0, 0, 1, 0, 0))]),
        ("INVALID_ORIENTATION", [*stack(0, 1, 2), at(3, orientation=(0.0,) * 6)]),
        ("MIXED_ORIENTATION", [*stack(0, 1, 2), at(3, orientation=CORONAL)]),
        ("MIXED_ORIENTATION", [*stack(0, 1, 2), at(3, orientation=tilted(1))]),
        ("MIXED_SIZE", [*stack(0, 1, 2), at(3, rows=256)]),
        ("MIXED_SPACING", [*stack(0, 1, 2), at(3, spacing=(0.51, 0.51))]),
        ("TOO_FEW_SLICES", stack(0, 1)),
        ("ONE_POSITION", stack(7, 7, 7, 7)),
        ("MULTIPLE_VOLUMES", stack(0, 1, 2, 0, 1, 2)),
        ("DUPLICATE_SLICES", stack(0, 1, 1, 2, 3)),
        ("MISSING_SLICES", stack(0, 1, 2, 4, 5)),
        ("MISSING_SLICES", stack(0, 2.5, 5, 12.5, 15)),
        ("UNEVEN_SPACING", stack(0, 1, 2, 3.4, 4.4)),
        ("UNEVEN_SPACING", stack(0, 1, 2, 2.5, 3.5)),
        ("SHIFTED_SLICES", [at(0), at(1), at(2, x=9), at(3), at(4)]),
    ],
)
def test_slices_that_are_no_volume_are_refused(code: str, slices: list[Slice]) -> None:
    for given in (slices, slices[::-1]):
        findings, _ = check(given, "CT")

        assert [(f.code, f.severity) for f in findings] == [(code, Severity.REFUSAL)]


@pytest.mark.parametrize(
    ("heights", "said"),
    [
        ((0, 1, 1, 2, 3), "1 slice position occurs more than once."),
        ((0, 1, 1, 1, 2), "1 slice position occurs more than once."),
        ((0, 1, 1, 2, 2, 3), "2 slice positions occur more than once."),
    ],
)
def test_positions_that_occur_again_are_counted(heights: tuple[float, ...], said: str) -> None:
    findings, _ = check(stack(*heights), "CT")

    assert [finding.text for finding in findings] == [said]


def test_even_slices_have_no_finding_and_are_put_in_order() -> None:
    findings, found = check(stack(4, 0, 3, 1, 2), "CT")

    assert findings == []
    assert found is not None
    assert found.step_mm == 1.0
    assert found.heights.tolist() == [0, 1, 2, 3, 4]


def test_rounded_positions_are_even() -> None:
    findings, _ = check(stack(0, 0.62, 1.25, 1.88, 2.5, 3.12), "CT")

    assert findings == []


def test_gantry_tilt_is_measured_and_flagged_in_ct() -> None:
    slices = [at(z, orientation=tilted(18.5)) for z in range(0, 50, 5)]

    findings, found = check(slices, "CT")

    assert [(f.code, f.severity) for f in findings] == [("GANTRY_TILT", Severity.WARNING)]
    assert "18.5 degrees" in findings[0].text
    assert "corrected" in findings[0].text
    assert found is not None
    assert found.step_mm == pytest.approx(5 * math.cos(math.radians(18.5)))


def test_a_leaning_stack_is_refused_where_nothing_corrects_it() -> None:
    slices = [at(z, orientation=tilted(10)) for z in range(0, 50, 5)]

    findings, _ = check(slices, "MR")

    assert findings[0].code == "SHEARED"
    assert findings[0].severity is Severity.REFUSAL


@pytest.mark.parametrize(
    ("thickness", "code"), [(1.0, None), (0.5, "SLICE_GAPS"), (2.0, "SLICE_OVERLAP")]
)
def test_gaps_and_overlap_are_found(thickness: float, code: str | None) -> None:
    findings, _ = check([at(z, thickness=thickness) for z in range(5)], "CT")

    assert [f.code for f in findings] == ([code] if code else [])


def test_pixels_that_are_not_square_are_noted() -> None:
    findings, _ = check([at(z, spacing=(0.5, 0.6)) for z in range(5)], "CT")

    assert [(f.code, f.severity) for f in findings] == [("NON_SQUARE_PIXELS", Severity.NOTE)]
