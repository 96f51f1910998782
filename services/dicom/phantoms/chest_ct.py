"""An analytic chest CT: every volume is known from the shapes before a voxel is drawn."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.dicom.phantoms.anatomy import AIR_HU, HALF_HEIGHT_MM, Part, chest
from services.dicom.phantoms.shapes import Grid, Slab

COUCH_HU: Final = 100
DEFAULT_SHAPE: Final = (120, 256, 256)
_EXTENT_MM: Final = (2 * HALF_HEIGHT_MM, 384.0, 384.0)
_MAX_HALF_WIDTH_MM: Final = 186.0
_COUCH: Final = ((-HALF_HEIGHT_MM, HALF_HEIGHT_MM), (127.0, 135.0), (-184.0, 184.0))
_MIN_STORED_HU: Final = -1024


@dataclass(frozen=True)
class ChestCtPhantom:
    """A chest between neck and liver, lying on a couch: a drawing, not a patient.

    Body, muscle, spine and aorta run through the whole scan; the liver is cut by its lower
    end; lungs, heart, ribs and sternum lie wholly inside. CT numbers are the constants of
    ``anatomy``. A voxel on an edge holds the mean of what it is made of.

    Attributes:
        seed: Varies sizes and places by some per cent; also seeds the noise.
        scale: Factor on all lengths.
        lung_scale: Factor on the volume of the lungs, 0.5 to 1.2; nothing else changes.
        noise_hu: Standard deviation of the noise.
        shape: Voxels along z, y, x.
        spacing_mm: Distance of voxel centres along z, y, x. By default the scan is
            360 x 384 x 384 mm times ``scale``, whatever the shape.
        couch: Whether to draw the couch.
    """

    seed: int = 0
    scale: float = 1.0
    lung_scale: float = 1.0
    noise_hu: float = 10.0
    shape: tuple[int, int, int] = DEFAULT_SHAPE
    spacing_mm: tuple[float, float, float] | None = None
    couch: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            ValueError: A number is out of its range, or the body is wider than the scan.
        """
        if not (0 < self.scale <= 10 and 0.5 <= self.lung_scale <= 1.2 and self.noise_hu >= 0):
            raise ValueError("scale, lung_scale or noise_hu out of range")
        if min(self.shape) < 2 or self.seed < 0:
            raise ValueError("seed or shape out of range")
        _, y, x = self.voxel_spacing_mm
        if min(y * self.shape[1], x * self.shape[2]) < 2 * _MAX_HALF_WIDTH_MM * self.scale:
            raise ValueError("the body is wider than the scan")
        self._parts()

    @property
    def voxel_spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centres along z, y, x in mm."""
        if self.spacing_mm is not None:
            return self.spacing_mm
        z, y, x = (
            extent * self.scale / count
            for extent, count in zip(_EXTENT_MM, self.shape, strict=True)
        )
        return z, y, x

    def true_volumes_ml(self) -> dict[str, float]:
        """Volumes in mL from the shapes, within the scan.

        ``body`` is all inside the skin, skin included; ``muscle`` is what is left of the
        trunk inside the fat; ``soft_tissue`` is muscle, skin, heart, aorta and liver.
        """
        stretch = math.prod(self._stretch())
        sums: defaultdict[str, float] = defaultdict(float)
        for part in self._parts():
            if part.outer:
                sums[part.organ] += part.shape.volume_mm3() * stretch / 1000
        inside_skin, inside_fat = sums.pop("inside_skin"), sums.pop("inside_fat")
        body = sums.pop("body")
        volumes = {"body": body, "lungs": sums["left_lung"] + sums["right_lung"], **sums}
        volumes["skin"] = body - inside_skin
        volumes["fat"] = inside_skin - inside_fat
        volumes["muscle"] = inside_fat - sum(sums.values())
        volumes["soft_tissue"] = sum(
            volumes[key] for key in ("muscle", "skin", "heart", "aorta", "liver")
        )
        return volumes

    def volume_hu(self) -> NDArray[np.int16]:
        """Draw the scan.

        Returns:
            CT numbers in HU, axes (z, y, x): z to the head, y to the back, x to the patient's
            left. Not below -1024.
        """
        drawn = np.full(self.shape, AIR_HU, np.float32)
        for part in self._drawn_parts():
            coverage = part.shape.coverage(self._grid())
            drawn[coverage.where] += coverage.share * np.float32(part.hu - part.within)
        if self.noise_hu:
            noise = np.random.default_rng((self.seed, 1))
            drawn += self.noise_hu * noise.standard_normal(self.shape, np.float32)
        return np.maximum(np.rint(drawn), _MIN_STORED_HU).astype(np.int16)

    def shares(self, organ: str) -> NDArray[np.float32]:
        """Share of each voxel that an organ of ``anatomy`` fills, axes (z, y, x), 0 to 1."""
        shares = np.zeros(self.shape, np.float32)
        for part in self._parts():
            if part.organ == organ and part.outer:
                coverage = part.shape.coverage(self._grid())
                shares[coverage.where] += coverage.share
        return shares

    def _drawn_parts(self) -> list[Part]:
        if not self.couch:
            return self._parts()
        return [*self._parts(), Part("couch", Slab(self._couch_box()), COUCH_HU, AIR_HU)]

    def _couch_box(self) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
        # The couch is no part of the patient: it does not vary with the seed.
        _, y, x = self._stretch()
        grid = self._grid()
        (y_low, y_high), (x_low, x_high) = _COUCH[1:]
        scale = self.scale
        return (
            (float(grid.z[0]), float(grid.z[-1])),
            (y_low * scale / y, y_high * scale / y),
            (x_low * scale / x, x_high * scale / x),
        )

    def _stretch(self) -> tuple[float, float, float]:
        """Factors on z, y, x from the coordinates of ``anatomy`` to those of the scan."""
        z, y, x = np.random.default_rng((self.seed, 2)).uniform(0.96, 1.04, 3)
        return float(z * self.scale), float(y * self.scale), float(x * self.scale)

    def _grid(self) -> Grid:
        """Voxel edges in the coordinates of ``anatomy``; the scan is centred on its origin."""
        z, y, x = (
            (np.arange(count + 1, dtype=np.float64) - count / 2) * (spacing / factor)
            for count, spacing, factor in zip(
                self.shape, self.voxel_spacing_mm, self._stretch(), strict=True
            )
        )
        return Grid(z, y, x)

    def _parts(self) -> list[Part]:
        z = self._grid().z
        return chest(self.seed, self.lung_scale, float(z[0]), float(z[-1]))
