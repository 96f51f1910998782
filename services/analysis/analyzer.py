"""The way from a volume to an analysis, without transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.analysis.eligibility import (
    MIN_EXTENT_MM,
    MIN_SLICES,
    SeriesFacts,
    check_series,
    check_volume,
)
from services.analysis.errors import ModelOutputInvalidError, ModelRefusedError
from services.analysis.inference import Inference, OutputSpec, Tensors
from services.analysis.measurement import Measurement, Refusal
from services.analysis.metrics import inference
from services.analysis.model_repository import ModelCard
from services.analysis.nifti import NiftiError, Volume, read_volume, write_labelmap
from services.analysis.overlays import overlays
from services.analysis.structures import HIGHEST_LABEL
from services.analysis.tissue import measure
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore

GZIP: Final = "application/gzip"
PNG: Final = "image/png"
PARAMETERS: Final = (f"min_extent_mm={MIN_EXTENT_MM:.0f}", f"min_slices={MIN_SLICES}")

Report = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one analysis.

    Attributes:
        nifti_bytes: Size of the gzipped volume.
        voxels: Voxels of the volume; an analysis takes about 12 bytes for each.
        concurrency: Analyses at once.
        timeout_s: Time for the model.
    """

    nifti_bytes: int
    voxels: int
    concurrency: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture."""

    image: BlobRef
    kind: str
    alternative_text: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one model found in one volume.

    Attributes:
        labelmap: Gzipped NIfTI on the grid of the volume.
        measurements: Values and refusals.
        pictures: Overlays, the key image first.
        card: The model.
        input_sha256: Hash of the volume.
        started: When the work began, UTC.
        duration_s: How long it took.
    """

    labelmap: BlobRef
    measurements: tuple[Measurement, ...]
    pictures: tuple[Picture, ...]
    card: ModelCard
    input_sha256: str
    started: datetime
    duration_s: float


class TissueAnalyzer:
    """Runs ct_tissue on volumes. The same volume gives the same blobs and measurements."""

    def __init__(
        self, inference: Inference, blobs: BlobStore, card: ModelCard, limits: Limits
    ) -> None:
        self._inference = inference
        self._blobs = blobs
        self.card = card
        self._limits = limits
        self._permits = asyncio.Semaphore(limits.concurrency)

    async def analyze(
        self, nifti: BlobRef, facts: SeriesFacts, report: Report
    ) -> Analysis | Refusal:
        """Label and measure one volume.

        Args:
            nifti: Gzipped NIfTI-1.
            facts: What conversion knows of the series.
            report: Called with the share done, 0 to 1, and what is being done.

        Raises:
            BlobNotFoundError: The volume is not stored.
            BlobCorruptError: Its bytes are not those its hash promises.
            ModelUnavailableError: Triton or the model cannot work now.
            ModelOutputInvalidError: The model broke its contract.
        """
        refusal = check_series(facts) or self._check_size(nifti)
        if refusal is not None:
            return refusal
        report(0.0, "Waiting")
        async with self._permits:
            return await self._analyze(nifti, report)

    def _check_size(self, nifti: BlobRef) -> Refusal | None:
        if nifti.size_bytes <= self._limits.nifti_bytes:
            return None
        return Refusal("TOO_LARGE", "The series is larger than this system analyses.")

    async def _analyze(self, nifti: BlobRef, report: Report) -> Analysis | Refusal:
        started, clock = datetime.now(UTC), asyncio.get_running_loop().time()
        report(0.05, "Reading the volume")
        volume = await self._read(nifti)
        if isinstance(volume, Refusal):
            return volume
        refusal = await asyncio.to_thread(check_volume, volume.voxels, volume.spacing_mm)
        if refusal is not None:
            return refusal
        report(0.2, "Labelling tissue")
        labelmap = await self._labelled(volume)
        if isinstance(labelmap, Refusal):
            return labelmap
        report(0.7, "Measuring")
        measurements = await asyncio.to_thread(measure, labelmap, volume.voxels, volume.spacing_mm)
        report(0.85, "Writing results")
        stored, pictures = await self._stored(labelmap, volume)
        return Analysis(
            labelmap=stored,
            measurements=tuple(measurements),
            pictures=pictures,
            card=self.card,
            input_sha256=nifti.sha256,
            started=started,
            duration_s=asyncio.get_running_loop().time() - clock,
        )

    async def _read(self, nifti: BlobRef) -> Volume | Refusal:
        data = await self._blobs.read(nifti, limit_bytes=self._limits.nifti_bytes)
        try:
            return await asyncio.to_thread(read_volume, data, max_voxels=self._limits.voxels)
        except NiftiError as error:
            return Refusal("VOLUME_UNREADABLE", f"The converted volume cannot be used: {error}.")

    async def _labelled(self, volume: Volume) -> NDArray[np.uint8] | Refusal:
        inputs: Tensors = {
            "VOLUME_HU": volume.voxels,
            "SPACING_MM": np.array(volume.spacing_mm, dtype=np.float32),
        }
        spec = OutputSpec(volume.voxels.shape, np.dtype(np.uint8))
        try:
            with inference():
                tensors = await self._inference.infer(
                    self.card.name, inputs, {"LABELMAP": spec}, timeout_s=self._limits.timeout_s
                )
        except ModelRefusedError:
            return Refusal("MODEL_REFUSED", "The model does not take a volume of this form.")
        labelmap: NDArray[np.uint8] = tensors["LABELMAP"]
        highest = int(await asyncio.to_thread(labelmap.max))
        if highest > HIGHEST_LABEL:
            raise ModelOutputInvalidError(self.card.name, "LABELMAP: a label beyond the card's")
        if highest == 0:
            return Refusal("NO_BODY", "No body was found in the images.")
        return labelmap

    async def _stored(
        self, labelmap: NDArray[np.uint8], volume: Volume
    ) -> tuple[BlobRef, tuple[Picture, ...]]:
        packed = await asyncio.to_thread(write_labelmap, labelmap, volume)
        stored = await self._blobs.put_bytes(packed, GZIP)
        drawn = await asyncio.to_thread(overlays, labelmap, volume.voxels, volume.spacing_mm)
        pictures = [
            Picture(await self._blobs.put_bytes(item.png, PNG), item.kind, item.alternative_text)
            for item in drawn
        ]
        return stored, tuple(pictures)
