"""The segmentation of ct_tissue on shapes whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from ct_tissue.labels import Label
from ct_tissue.segmentation import segment

from tests.triton_models.scenes import SHAPE, SPACING_MM, Trunk, volume_ml


@pytest.fixture
def trunk() -> Trunk:
    return Trunk()


def test_air_alone_has_no_body() -> None:
    hu = np.full((4, 20, 20), -1000, dtype=np.int16)

    labelmap = segment(hu, (1.0, 1.0, 1.0))

    assert not labelmap.any()


def test_body_is_every_label_and_counts_the_lungs(trunk: Trunk) -> None:
    trunk.lungs()

    labelmap = segment(trunk.hu, SPACING_MM)

    assert volume_ml(labelmap > 0) == pytest.approx(volume_ml(trunk.body), rel=0.005)


def test_couch_and_blanket_are_not_body(trunk: Trunk) -> None:
    trunk.add(-100, (trunk.y > 118) & (trunk.y < 122) & (np.abs(trunk.x) < 200))
    trunk.add(200, (trunk.y > 136) & (trunk.y < 140) & (np.abs(trunk.x) < 200))

    labelmap = segment(trunk.hu, SPACING_MM)

    assert not labelmap[trunk.y > 114].any()


def test_an_arm_beside_the_trunk_is_body(trunk: Trunk) -> None:
    arm = trunk.add(50, trunk.cylinder(200, 0, 18, 30))
    trunk.add(800, trunk.cylinder(200, 0, 8, 8))

    labelmap = segment(trunk.hu, SPACING_MM)

    assert volume_ml(labelmap[arm] > 0) == pytest.approx(volume_ml(arm), rel=0.02)


def test_lungs_have_their_volume_in_noise(trunk: Trunk) -> None:
    lungs = trunk.lungs()
    trunk.noise(20.0)

    labelmap = segment(trunk.hu, SPACING_MM)

    assert volume_ml(labelmap == Label.LUNGS) == pytest.approx(volume_ml(lungs), rel=0.01)


def test_vessels_belong_to_the_lung(trunk: Trunk) -> None:
    lungs = trunk.lungs()
    trunk.add(40, trunk.cylinder(75, 0, 4, 4) & lungs)

    labelmap = segment(trunk.hu, SPACING_MM)

    assert volume_ml(labelmap == Label.LUNGS) == pytest.approx(volume_ml(lungs), rel=0.01)


def test_bowel_gas_is_not_lung(trunk: Trunk) -> None:
    gas = trunk.add(-1000, trunk.cylinder(0, -30, 40, 30) & (trunk.z < -20))

    labelmap = segment(trunk.hu, SPACING_MM)

    assert not (labelmap == Label.LUNGS).any()
    assert (labelmap[gas] == Label.OTHER).all()


def test_airway_that_opens_into_a_lung_does_not_leak(trunk: Trunk) -> None:
    trunk.lungs()
    trachea = trunk.add(-1000, trunk.cylinder(0, 0, 9, 9) & (trunk.z > -10))
    level = (np.abs(trunk.z) < 8) & (np.abs(trunk.y) < 7)
    bronchi = trunk.add(-1000, level & (np.abs(trunk.x) < 40))
    trunk.noise(15.0)

    labelmap = segment(trunk.hu, SPACING_MM)

    assert volume_ml(labelmap == Label.AIRWAYS) == pytest.approx(
        volume_ml(trachea | bronchi), rel=0.05
    )


def test_bone_is_filled_and_its_canal_is_not(trunk: Trunk) -> None:
    vertebra = trunk.add(700, trunk.cylinder(0, 55, 22, 18))
    trunk.add(120, trunk.cylinder(0, 55, 18, 14))
    arch = trunk.add(700, trunk.cylinder(0, 82, 14, 12))
    canal = trunk.add(35, trunk.cylinder(0, 82, 8, 7))

    labelmap = segment(trunk.hu, SPACING_MM)

    truth = (vertebra | arch) & ~canal
    assert volume_ml(labelmap == Label.BONE) == pytest.approx(volume_ml(truth), rel=0.03)
    assert (labelmap[canal] == Label.SOFT_TISSUE).mean() > 0.95


def test_specks_of_contrast_are_not_bone(trunk: Trunk) -> None:
    trunk.add(900, trunk.cylinder(60, -40, 3, 3) & (np.abs(trunk.z) < 2))

    labelmap = segment(trunk.hu, SPACING_MM)

    assert not (labelmap == Label.BONE).any()


def test_fat_and_soft_tissue_are_told_apart(trunk: Trunk) -> None:
    muscle = trunk.cylinder(0, 0, 155, 95)

    labelmap = segment(trunk.hu, SPACING_MM)

    assert (labelmap[muscle] == Label.SOFT_TISSUE).all()
    assert volume_ml(labelmap == Label.FAT) == pytest.approx(
        volume_ml(trunk.body & ~muscle), rel=0.02
    )


def test_the_edge_of_a_lung_is_not_fat(trunk: Trunk) -> None:
    lungs = trunk.lungs()
    rim = np.zeros(SHAPE, dtype=bool)
    rim[:, :, 1:] |= lungs[:, :, :-1]
    trunk.add(-100, rim & ~lungs)

    labelmap = segment(trunk.hu, SPACING_MM)

    assert (labelmap[rim & ~lungs & trunk.cylinder(0, 0, 150, 90)] != Label.FAT).all()


def test_the_same_volume_gives_the_same_labels(trunk: Trunk) -> None:
    trunk.lungs()
    trunk.noise(30.0)

    first, second = segment(trunk.hu, SPACING_MM), segment(trunk.hu.copy(), SPACING_MM)

    assert np.array_equal(first, second)
