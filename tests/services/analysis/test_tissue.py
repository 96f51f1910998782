"""Measurements and refusals from label maps drawn by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from services.analysis.measurement import Measurement, Refusal, Value
from services.analysis.tissue import measure

SPACING_MM = (5.0, 2.0, 2.0)
VOXEL_ML = 0.02
SHAPE = (20, 60, 60)

Labels = NDArray[np.uint8]
Hu = NDArray[np.int16]


def trunk() -> tuple[Labels, Hu]:
    """Soft tissue in fat from the first to the last slice, lungs well inside."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[:, 10:50, 10:50] = 4
    labels[:, 12:48, 12:48] = 5
    labels[5:15, 20:40, 16:26] = 1
    labels[5:15, 20:40, 34:44] = 1
    labels[10:, 28:32, 28:32] = 2
    labels[:, 42:46, 26:34] = 3
    levels = np.array([-1000, -850, -1000, 400, -100, 50, 0], dtype=np.int16)
    return labels, levels[labels]


def measured(labels: Labels, hu: Hu) -> dict[str, Measurement]:
    return {item.name: item for item in measure(labels, hu, SPACING_MM)}


def number(measurement: Measurement) -> float:
    assert isinstance(measurement.outcome, Value)
    return measurement.outcome.number


def code(measurement: Measurement) -> str | None:
    return measurement.outcome.code if isinstance(measurement.outcome, Refusal) else None


@pytest.mark.parametrize(
    ("name", "expected", "unit"),
    [
        ("lungs.volume", 10 * 20 * 20 * VOXEL_ML, "mL"),
        ("lungs.mean_hu", -850.0, "[hnsf'U]"),
        ("lungs.sd_hu", 0.0, "[hnsf'U]"),
        ("airways.volume", 10 * 16 * VOXEL_ML, "mL"),
        ("bone.volume", 20 * 32 * VOXEL_ML, "mL"),
        ("bone.mean_hu", 400.0, "[hnsf'U]"),
        ("fat.volume", 20 * (1600 - 1296) * VOXEL_ML, "mL"),
        ("soft_tissue.volume", (20 * (1296 - 32) - 10 * 400 - 10 * 16) * VOXEL_ML, "mL"),
        ("body.volume", 20 * 1600 * VOXEL_ML, "mL"),
    ],
)
def test_values_are_those_of_the_shapes(name: str, expected: float, unit: str) -> None:
    measurement = measured(*trunk())[name]

    assert number(measurement) == pytest.approx(expected)
    assert isinstance(measurement.outcome, Value)
    assert measurement.outcome.unit_ucum == unit


def test_standard_deviation_is_over_the_voxels() -> None:
    labels, hu = trunk()
    hu[labels == 1] += np.tile(np.array([-50, 50], dtype=np.int16), 2000)

    assert number(measured(labels, hu)["lungs.sd_hu"]) == pytest.approx(50.0)


@pytest.mark.parametrize("structure", ["lungs", "airways", "bone", "fat", "soft_tissue"])
def test_what_is_not_there_is_refused_and_never_zero(structure: str) -> None:
    labels, hu = trunk()
    value = ["lungs", "airways", "bone", "fat", "soft_tissue"].index(structure) + 1
    labels[labels == value] = 6

    for quantity in ("volume", "mean_hu", "sd_hu"):
        assert code(measured(labels, hu)[f"{structure}.{quantity}"]) == "NOT_FOUND"


def test_a_few_voxels_are_no_finding() -> None:
    labels, hu = trunk()
    labels[labels == 2] = 5
    labels[10, 30, 30:33] = 2

    assert code(measured(labels, hu)["airways.volume"]) == "NOT_FOUND"


@pytest.mark.parametrize("z", [0, SHAPE[0] - 1])
def test_lungs_cut_by_an_end_of_the_scan_are_refused(z: int) -> None:
    labels, hu = trunk()
    labels[min(z, 5) : max(z, 5) + 1, 20:40, 16:26] = 1

    results = measured(labels, hu)

    assert code(results["lungs.volume"]) == "CUT_OFF_IN_Z"
    assert code(results["body.volume"]) is None


def test_a_tip_of_lung_in_the_last_slice_is_tolerated() -> None:
    labels, hu = trunk()
    labels[15:, 30, 16:40] = 1

    assert code(measured(labels, hu)["lungs.volume"]) is None


def test_a_body_cut_off_at_the_side_refuses_what_loses_volume() -> None:
    labels, hu = trunk()
    labels[:, 15:45, 50:] = 5

    results = measured(labels, hu)

    refused = {name for name, item in results.items() if code(item) == "CUT_OFF_IN_PLANE"}
    assert {name.split(".")[0] for name in refused} == {"fat", "soft_tissue", "body"}
    assert code(results["lungs.volume"]) is None
    assert code(results["bone.volume"]) is None


def test_skin_that_grazes_the_border_is_tolerated() -> None:
    labels, hu = trunk()
    labels[8:10, 25:35, 50:] = 4

    assert code(measured(labels, hu)["body.volume"]) is None


def test_a_body_cut_off_by_the_scan_circle_is_refused() -> None:
    labels, hu = trunk()
    hu[:, :, 51:] = -2000
    labels[:, 15:45, 50] = 4

    assert code(measured(labels, hu)["body.volume"]) == "CUT_OFF_IN_PLANE"


def test_evidence_says_what_was_seen() -> None:
    evidence = {fact.name: fact.text for fact in measured(*trunk())["airways.volume"].evidence}

    assert evidence == {
        "voxel_count": "160",
        "slices": "11 to 20 of 20",
        "touches_first_slice": "no",
        "touches_last_slice": "yes",
        "border_contact": "0 mm2",
    }


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_value_is_finite(number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Value(number, "mL")
