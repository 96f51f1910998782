"""Which volumes are refused as a whole, and why."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from services.analysis.eligibility import SeriesFacts, check_series, check_volume
from services.analysis.measurement import Refusal

GOOD = SeriesFacts(modality="CT", axial=True, hounsfield=True)
FAULT = Refusal("UNEVEN_SPACING", "The distance between slices varies.")


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (GOOD, None),
        (dataclasses.replace(GOOD, modality="MR"), "NOT_CT"),
        (dataclasses.replace(GOOD, modality=""), "NOT_CT"),
        (dataclasses.replace(GOOD, axial=False), "NOT_AXIAL"),
        (dataclasses.replace(GOOD, hounsfield=False), "NOT_HOUNSFIELD"),
        (dataclasses.replace(GOOD, fault=FAULT), "UNEVEN_SPACING"),
    ],
)
def test_series_outside_the_model_are_refused(facts: SeriesFacts, code: str | None) -> None:
    refusal = check_series(facts)

    assert (refusal.code if refusal else None) == code


@pytest.mark.parametrize(
    ("slices", "spacing_mm", "low", "high", "code"),
    [
        (10, (3.0, 1.0, 1.0), -1000, 50, None),
        (9, (5.0, 1.0, 1.0), -1000, 50, "TOO_FEW_SLICES"),
        (20, (1.0, 1.0, 1.0), -1000, 50, "TOO_FEW_SLICES"),
        (40, (12.0, 1.0, 1.0), -1000, 50, "IMPLAUSIBLE_SPACING"),
        (40, (3.0, 0.0, 1.0), -1000, 50, "IMPLAUSIBLE_SPACING"),
        (40, (3.0, 1.0, 8.0), -1000, 50, "IMPLAUSIBLE_SPACING"),
        (40, (float("nan"), 1.0, 1.0), -1000, 50, "IMPLAUSIBLE_SPACING"),
        (40, (3.0, 1.0, 1.0), 0, 4095, "IMPLAUSIBLE_HU"),
        (40, (3.0, 1.0, 1.0), -1024, -1000, "IMPLAUSIBLE_HU"),
    ],
)
def test_voxels_outside_the_model_are_refused(
    slices: int, spacing_mm: tuple[float, float, float], low: int, high: int, code: str | None
) -> None:
    hu = np.full((slices, 4, 4), low, dtype=np.int16)
    hu[:, 1:3, 1:3] = high

    refusal = check_volume(hu, spacing_mm)

    assert (refusal.code if refusal else None) == code


def test_a_refusal_is_a_sentence_with_the_numbers_in_it() -> None:
    refusal = check_volume(np.zeros((3, 4, 4), dtype=np.int16), (5.0, 1.0, 1.0))

    assert refusal == Refusal(
        "TOO_FEW_SLICES",
        "The series has 3 slices over 15 mm; at least 10 slices over 30 mm are needed.",
    )
