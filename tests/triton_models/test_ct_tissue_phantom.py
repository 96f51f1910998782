"""Volumes of the analytic chest phantom, as ct_tissue labels it, against its shapes."""

from __future__ import annotations

import numpy as np
import pytest
from ct_tissue.labels import Label
from ct_tissue.segmentation import segment
from numpy.typing import NDArray

from services.dicom.phantoms.chest_ct import ChestCtPhantom

TOLERANCES = {"lungs": 0.03, "bone": 0.03, "fat": 0.03, "body": 0.03, "airways": 0.05}
"""Small bronchi are a voxel or two wide: noise ends their growth a little earlier."""


def volumes_ml(phantom: ChestCtPhantom) -> dict[str, float]:
    spacing_mm = phantom.voxel_spacing_mm
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    labelmap = segment(phantom.volume_hu(), spacing_mm)

    def volume(mask: NDArray[np.bool_]) -> float:
        return float(np.count_nonzero(mask)) * voxel_ml

    return {
        "lungs": volume(labelmap == Label.LUNGS),
        "airways": volume(labelmap == Label.AIRWAYS),
        "bone": volume(labelmap == Label.BONE),
        "fat": volume(labelmap == Label.FAT),
        "body": volume(labelmap > Label.OUTSIDE),
    }


@pytest.mark.parametrize(
    "phantom",
    [
        ChestCtPhantom(),
        ChestCtPhantom(seed=1),
        ChestCtPhantom(seed=2, lung_scale=1.1),
        ChestCtPhantom(seed=3, scale=0.9),
        ChestCtPhantom(seed=4, noise_hu=25.0),
        ChestCtPhantom(seed=5, couch=False),
    ],
    ids=["plain", "seed", "large lungs", "small", "noisy", "no couch"],
)
def test_volumes_are_within_tolerance(phantom: ChestCtPhantom) -> None:
    truth = phantom.true_volumes_ml()

    measured = volumes_ml(phantom)

    for structure, tolerance in TOLERANCES.items():
        assert measured[structure] == pytest.approx(truth[structure], rel=tolerance), structure


def test_lungs_ten_per_cent_larger_read_ten_per_cent_larger() -> None:
    normal = volumes_ml(ChestCtPhantom(seed=7))
    larger = volumes_ml(ChestCtPhantom(seed=7, lung_scale=1.1))

    assert larger["lungs"] / normal["lungs"] == pytest.approx(1.1, rel=0.005)
    assert larger["bone"] / normal["bone"] == pytest.approx(1.0, rel=0.005)
