from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from services.dicom.phantoms import anatomy
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.shapes import Ellipsoid, EllipticCylinder, Shape, Slab, TorusArc

ORGANS = ("left_lung", "right_lung", "airways", "bone", "heart", "liver", "aorta")


# Volumes worked by hand in mm3.
@pytest.mark.parametrize(
    ("shape", "volume"),
    [
        (Ellipsoid((0, 0, 0), (10, 20, 30)), 4 / 3 * math.pi * 6000),
        (Ellipsoid((0, 0, 0), (10, 20, 30), z_low=0), 2 / 3 * math.pi * 6000),
        (Ellipsoid((0, 0, 0), (10, 10, 10), z_low=5), math.pi * 25 * (30 - 5) / 3),
        (EllipticCylinder((0, 0), (10, 20), -5, 5), math.pi * 2000),
        (EllipticCylinder((0, 0), (10, 20), -5, 5, slope=0.5), math.pi * 2000),
        (Slab(((0, 2), (0, 3), (0, 4))), 24),
        (TorusArc((0, 0, 0), 80, 5, math.pi / 4, 1, 0.3), math.pi * 25 * 80 * math.pi / 2),
    ],
)
def test_volumes_are_closed_forms(shape: Shape, volume: float) -> None:
    assert shape.volume_mm3() == pytest.approx(volume, rel=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_voxels_add_up_to_the_true_volumes_within_one_per_cent(seed: int) -> None:
    phantom = ChestCtPhantom(seed)
    voxel_ml = math.prod(phantom.voxel_spacing_mm) / 1000

    true = phantom.true_volumes_ml()

    for organ in ("body", *ORGANS):
        drawn = float(phantom.shares(organ).sum(dtype=np.float64)) * voxel_ml
        assert drawn == pytest.approx(true[organ], rel=0.01), organ


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_thresholds_on_the_drawn_scan_give_the_true_volumes(seed: int) -> None:
    phantom = ChestCtPhantom(seed)
    hu, true = phantom.volume_hu(), phantom.true_volumes_ml()
    voxel_ml = math.prod(phantom.voxel_spacing_mm) / 1000
    trunk = phantom.shares("inside_fat") > 0.5

    air = np.count_nonzero(trunk & (hu < -400)) * voxel_ml

    assert air == pytest.approx(true["lungs"] + true["airways"], rel=0.01)


@pytest.mark.parametrize(("seed", "lung_scale"), [(0, 1.0), (5, 1.2)])
def test_organs_are_disjoint_and_inside_the_trunk(seed: int, lung_scale: float) -> None:
    phantom = ChestCtPhantom(seed, lung_scale=lung_scale)
    shares = {organ: phantom.shares(organ) for organ in ORGANS}
    trunk = phantom.shares("inside_fat")

    for first, second in itertools.combinations(ORGANS, 2):
        both = np.minimum(shares[first], shares[second])
        assert float((shares[first] + shares[second])[both > 0].max(initial=0)) < 1.02
    # The carina's voxels are shared by trachea and bronchi: a rounding of one tenth.
    assert max(float((share - trunk).max()) for share in shares.values()) < 0.12


def test_lungs_ten_per_cent_larger_change_nothing_but_lungs_and_what_they_displace() -> None:
    usual = ChestCtPhantom(3).true_volumes_ml()
    larger = ChestCtPhantom(3, lung_scale=1.1).true_volumes_ml()

    ratios = {organ: larger[organ] / usual[organ] for organ in usual}

    assert ratios["lungs"] == pytest.approx(1.10, rel=1e-9)
    assert ratios["left_lung"] == pytest.approx(1.10, rel=1e-9)
    same = set(usual) - {"lungs", "left_lung", "right_lung", "muscle", "soft_tissue"}
    assert all(ratios[organ] == pytest.approx(1, rel=1e-9) for organ in same)
    assert larger["lungs"] - usual["lungs"] == pytest.approx(usual["muscle"] - larger["muscle"])


def test_scale_is_a_factor_on_lengths() -> None:
    usual = ChestCtPhantom(1).true_volumes_ml()
    half = ChestCtPhantom(1, scale=0.5).true_volumes_ml()

    assert all(half[organ] == pytest.approx(usual[organ] / 8, rel=1e-6) for organ in usual)


def test_the_parts_of_the_body_add_up() -> None:
    true = ChestCtPhantom(4).true_volumes_ml()

    parts = ("lungs", "airways", "bone", "fat", "soft_tissue")

    assert sum(true[part] for part in parts) == pytest.approx(true["body"])


def test_the_same_seed_draws_the_same_scan_and_another_a_different_one() -> None:
    first, again, other = (
        ChestCtPhantom(seed, shape=(20, 40, 40)).volume_hu() for seed in (7, 7, 8)
    )

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_noise_tissue_has_its_own_number_and_the_couch_can_be_left_out() -> None:
    bare = ChestCtPhantom(0, noise_hu=0, couch=False).volume_hu()
    with_couch = ChestCtPhantom(0, noise_hu=0).volume_hu()

    assert bare.dtype == np.int16
    assert int(bare[60, 128, 0]) == anatomy.AIR_HU
    assert int(bare[70, 128, 75]) == anatomy.LUNG_HU
    assert int(bare.max()) == anatomy.CORTICAL_HU
    changed = np.argwhere(bare != with_couch)
    assert len(changed) > 0
    assert changed[:, 1].min() > 200  # rows behind the back


def test_body_and_lungs_lie_inside_the_scan() -> None:
    phantom = ChestCtPhantom(2, lung_scale=1.2)
    body, lungs = phantom.shares("body"), phantom.shares("left_lung")

    edges = (body[:, 0], body[:, -1], body[:, :, 0], body[:, :, -1], lungs[0], lungs[-1])

    assert all(float(edge.max()) == 0 for edge in edges)


@pytest.mark.parametrize(
    "arguments",
    [
        {"lung_scale": 1.3},
        {"lung_scale": 0},
        {"noise_hu": -1},
        {"scale": 0},
        {"shape": (1, 64, 64)},
        {"spacing_mm": (3.0, 1.0, 1.0)},
        {"spacing_mm": (1.0, 1.5, 1.5)},
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"range|wider|fit"):
        ChestCtPhantom(0, **arguments)  # type: ignore[arg-type]
