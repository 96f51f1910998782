"""Where the organs of the chest phantom lie: shapes that are disjoint or wholly nested."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.dicom.phantoms.shapes import Ellipsoid, EllipticCylinder, Shape, TorusArc

AIR_HU: Final = -1000
LUNG_HU: Final = -850
FAT_HU: Final = -100
BLOOD_HU: Final = 40
MUSCLE_HU: Final = 50
SKIN_HU: Final = 50
LIVER_HU: Final = 60
CANCELLOUS_HU: Final = 300
CORTICAL_HU: Final = 700

HALF_HEIGHT_MM: Final = 180.0
_LUNG_SEMI_AXES: Final = (46.0, 66.0, 118.0)
_RIB_LEVELS: Final = range(-96, 97, 24)
_RIB_ARC: Final = {"radius": 84.0, "half_angle": math.radians(48), "shear": 0.35}
_RIB_CENTRE_X: Final = 53.0
_CARINA_Z: Final = 50.0


@dataclass(frozen=True, slots=True)
class Part:
    """One shape of the body, which displaces what it lies in.

    Attributes:
        organ: Key of the organ that it belongs to.
        shape: Where it is.
        hu: CT number inside.
        within: CT number of what surrounds it everywhere.
        outer: False for a part that lies inside another of the same organ.
    """

    organ: str
    shape: Shape
    hu: int
    within: int
    outer: bool = True


def chest(seed: int, lung_scale: float, z_low: float, z_high: float) -> list[Part]:
    """Lay out a chest between two heights.

    Shapes are given for the middle of the range of sizes; a seed makes single organs smaller
    and moves them inside the room that leaves, so that what was disjoint stays so. Lungs grow
    along z alone, within the elliptic columns that nothing else enters.

    Args:
        seed: Chooses sizes and places.
        lung_scale: Factor on the volume of both lungs.
        z_low: Lower end of the scan in mm.
        z_high: Upper end of the scan in mm.

    Raises:
        ValueError: The lungs do not fit between liver and scan.
    """
    rng = np.random.default_rng(seed)
    girth = rng.uniform(0.96, 1.02)
    liver = _varied(rng, Ellipsoid((-55, -5, -HALF_HEIGHT_MM), (68, 60, 62), z_low))
    heart = _varied(rng, Ellipsoid((7, -43, -20), (31, 29, 60)))
    lungs = [
        _inflated(_varied(rng, Ellipsoid((x, 0, 30), _LUNG_SEMI_AXES)), lung_scale)
        for x in (-80, 80)
    ]
    lowest, highest = min(s.z_range[0] for s in lungs), max(s.z_range[1] for s in lungs)
    if not liver.z_range[1] < lowest < highest < z_high:
        raise ValueError("the lungs do not fit between liver and the upper end of the scan")
    return [
        *_walls(girth, z_low, z_high),
        Part("right_lung", lungs[0], LUNG_HU, MUSCLE_HU),
        Part("left_lung", lungs[1], LUNG_HU, MUSCLE_HU),
        Part("heart", heart, BLOOD_HU, MUSCLE_HU),
        Part("liver", liver, LIVER_HU, MUSCLE_HU),
        Part("aorta", _column((20, 37), (11, 11), z_low, z_high), BLOOD_HU, MUSCLE_HU),
        *_airways(z_high),
        *_bones(z_low, z_high),
    ]


def _column(
    centre: tuple[float, float], semi_axes: tuple[float, float], z_low: float, z_high: float
) -> EllipticCylinder:
    return EllipticCylinder(centre, semi_axes, z_low, z_high)


def _walls(girth: float, z_low: float, z_high: float) -> list[Part]:
    a, b = 175 * girth, 115 * girth
    return [
        Part("body", _column((0, 0), (a, b), z_low, z_high), SKIN_HU, AIR_HU),
        Part("inside_skin", _column((0, 0), (a - 2, b - 2), z_low, z_high), FAT_HU, SKIN_HU),
        Part("inside_fat", _column((0, 0), (155, 97), z_low, z_high), MUSCLE_HU, FAT_HU),
    ]


def _airways(z_high: float) -> list[Part]:
    """A trachea and two main bronchi that begin side by side on its lower face."""
    trachea = EllipticCylinder((0, 17), (10, 8), _CARINA_Z, z_high)
    bronchi = [
        EllipticCylinder((side * 5, 17), (5, 5), _CARINA_Z - 24, _CARINA_Z, slope=-side * 0.55)
        for side in (-1, 1)
    ]
    return [Part("airways", shape, AIR_HU, MUSCLE_HU) for shape in (trachea, *bronchi)]


def _bones(z_low: float, z_high: float) -> list[Part]:
    spine = _bone(
        _column((0, 64), (18, 18), z_low, z_high), _column((0, 64), (15, 15), z_low, z_high)
    )
    sternum = _bone(_column((0, -84), (17, 7), -60, 120), _column((0, -84), (14, 4), -57, 117))
    ribs = [
        part
        for z in _RIB_LEVELS
        for side in (-1, 1)
        for part in _bone(_rib(side, z, 5.0), _rib(side, z, 2.5))
    ]
    return [*spine, *sternum, *ribs]


def _rib(side: int, z: float, tube: float) -> TorusArc:
    return TorusArc((side * _RIB_CENTRE_X, 0, z), tube=tube, side=side, **_RIB_ARC)


def _bone(outer: Shape, inner: Shape) -> list[Part]:
    return [
        Part("bone", outer, CORTICAL_HU, MUSCLE_HU),
        Part("bone", inner, CANCELLOUS_HU, CORTICAL_HU, outer=False),
    ]


def _varied(rng: np.random.Generator, organ: Ellipsoid) -> Ellipsoid:
    """Shrink an ellipsoid by up to 8 % and move it, never leaving its own outline."""
    share = rng.uniform(0.92, 1.0)
    direction = rng.normal(size=3)
    direction *= rng.uniform(0, 1) / np.linalg.norm(direction)
    moved = [
        c + (1 - share) * s * d
        for c, s, d in zip(organ.centre, organ.semi_axes, direction, strict=True)
    ]
    a, b, c = (share * s for s in organ.semi_axes)
    return Ellipsoid((moved[0], moved[1], moved[2]), (a, b, c), organ.z_low)


def _inflated(lung: Ellipsoid, factor: float) -> Ellipsoid:
    a, b, c = lung.semi_axes
    return Ellipsoid(lung.centre, (a, b, c * factor))
