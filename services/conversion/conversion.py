"""One series to one volume: check, convert, check again, draw."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from services.conversion import tool
from services.conversion.dicom_files import gather_files
from services.conversion.frames import read_frames
from services.conversion.geometry import Finding, Severity, Slice, Stack, check, slices_of
from services.conversion.headers import is_hounsfield, read_facts
from services.conversion.orientation import Plane, nearest_plane
from services.conversion.previews import Picture, previews
from services.conversion.process import Limits
from services.conversion.series import InstanceFacts, Refusal, encoding_refusal, kind_refusal
from services.conversion.volume_check import Grid, check_grid
from services.conversion.volume_file import gzip_volume, read_grid
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore

NIFTI: Final = "application/gzip"
Report = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a series: its bytes and what is known of it."""

    blob: BlobRef
    facts: InstanceFacts


@dataclass(frozen=True, slots=True)
class Converted:
    """A series as a volume.

    Attributes:
        nifti: Gzipped NIfTI-1.
        grid: Its shape and affine.
        hounsfield: Whether rescaled values are Hounsfield units.
    """

    nifti: BlobRef
    modality: str
    grid: Grid
    hounsfield: bool
    plane: Plane
    findings: tuple[Finding, ...]
    body_part: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What was found before converting; no stack where only the tool can read the slices."""

    findings: tuple[Finding, ...]
    stack: Stack | None
    facts: InstanceFacts


async def convert_series(
    instances: Sequence[Instance],
    blobs: BlobStore,
    folder: Path,
    limits: Limits,
    report: Report,
) -> Converted | Refusal:
    """Convert the instances of one series to one volume, or say why that cannot be.

    Args:
        instances: At least one, in any order.
        blobs: Has their bytes, takes the volume.
        folder: Private and empty; the caller removes it.
        limits: What the tool may use.
        report: Takes the share done, 0 to 1, and what is being done.

    Raises:
        BlobNotFoundError, BlobCorruptError: An instance's bytes.
        StorageFullError: No room for the volume.
        ToolFailedError: The tool failed for a reason that is not in the images.
    """
    refusal = _refused(instances)
    if refusal is not None:
        return refusal
    report(0.0, "Reading images")
    source = folder / "in"
    files = await gather_files(blobs, [instance.blob for instance in instances], source)
    report(0.2, "Checking geometry")
    plan = await asyncio.to_thread(_planned, [i.facts for i in instances], files)
    if isinstance(plan, Refusal):
        return plan
    report(0.3, "Converting")
    written = await tool.convert(source, folder, limits)
    if isinstance(written, Refusal):
        return written
    chosen = _chosen(written, plan)
    if isinstance(chosen, Refusal):
        return chosen
    return await _finished(chosen, plan, files[0], blobs, folder, report)


def _refused(instances: Sequence[Instance]) -> Refusal | None:
    facts = [instance.facts for instance in instances]
    refusal = _refused_kind(facts)
    for syntax in sorted({f.transfer_syntax_uid for f in facts}):
        refusal = refusal or encoding_refusal(syntax)
    if refusal is not None:
        return refusal
    if len({f.modality for f in facts}) > 1:
        return Refusal("MIXED_MODALITY", "The images are not all of one modality.")
    return None


def _planned(facts: Sequence[InstanceFacts], files: Sequence[Path]) -> _Plan | Refusal:
    if not all(f.has_geometry or f.is_multiframe for f in facts):
        facts = [_completed(f, path) for f, path in zip(facts, files, strict=True)]
    refusal = _refused_kind(facts)
    if refusal is not None:
        return refusal
    if facts[0].is_mosaic:
        return _mosaic(facts)
    slices = _all_frames(files) if facts[0].is_multiframe else slices_of(facts)
    if slices is None:
        return Refusal("NO_GEOMETRY", "The images do not say where in the patient they lie.")
    return _judged(slices, facts[0])


def _completed(facts: InstanceFacts, path: Path) -> InstanceFacts:
    """Add geometry from the file, where the index has none."""
    if facts.has_geometry:
        return facts
    read = read_facts(path)
    return replace(
        facts,
        image_type=read.image_type,
        rows=read.rows,
        columns=read.columns,
        frames=read.frames,
        position_mm=read.position_mm,
        orientation=read.orientation,
        spacing_mm=read.spacing_mm,
        slice_thickness_mm=read.slice_thickness_mm,
    )


def _refused_kind(facts: Sequence[InstanceFacts]) -> Refusal | None:
    return next(filter(None, map(kind_refusal, facts)), None)


def _mosaic(facts: Sequence[InstanceFacts]) -> _Plan | Refusal:
    if len(facts) > 1:
        return Refusal(
            "MULTIPLE_VOLUMES", f"The series holds {len(facts)} volumes, for example over time."
        )
    note = Finding("MOSAIC", Severity.NOTE, "Slices were cut from one mosaic image.")
    return _Plan((note,), None, facts[0])


def _all_frames(files: Sequence[Path]) -> list[Slice] | None:
    slices: list[Slice] = []
    for path in files:
        frames = read_frames(path)
        if frames is None:
            return None
        slices.extend(frames)
    return slices


def _judged(slices: Sequence[Slice], facts: InstanceFacts) -> _Plan | Refusal:
    findings, stack = check(slices, facts.modality)
    if findings and findings[0].severity is Severity.REFUSAL:
        return Refusal(findings[0].code, findings[0].text)
    first = replace(facts, orientation=slices[0].orientation)
    return _Plan(tuple(findings), stack, first)


def _chosen(written: tool.Written, plan: _Plan) -> tuple[Path, Grid] | Refusal:
    """Pick the volume that the plan promised, and check that it is that."""
    tilted = any(finding.code == "GANTRY_TILT" for finding in plan.findings)
    if written.resampled:
        return Refusal("UNEVEN_SPACING", "The distance of the slices is uneven.")
    if len(written.plain) > 1:
        return Refusal(
            "MULTIPLE_VOLUMES", "The images make several volumes, for example several echoes."
        )
    path = written.straightened if tilted else written.plain[0]
    if path is None:
        return Refusal("GANTRY_TILT", "The gantry was tilted and the images are not straightened.")
    grid = read_grid(path)
    if grid is None:
        return Refusal("VOLUME_DIFFERS", "The converted volume cannot be read.")
    return check_grid(grid, plan.stack) or (path, grid)


async def _finished(
    chosen: tuple[Path, Grid],
    plan: _Plan,
    first: Path,
    blobs: BlobStore,
    folder: Path,
    report: Report,
) -> Converted:
    path, grid = chosen
    modality = plan.facts.modality
    hounsfield = modality == "CT" and await asyncio.to_thread(is_hounsfield, first)
    report(0.6, "Compressing")
    target = folder / "volume.nii.gz"
    await asyncio.to_thread(gzip_volume, path, target)
    report(0.8, "Storing")
    nifti = await blobs.put_file(target, NIFTI)
    report(0.9, "Drawing")
    pictures = await asyncio.to_thread(previews, path, modality, hounsfield=hounsfield)
    findings = (*plan.findings, *_units(modality, hounsfield=hounsfield))
    return Converted(
        nifti=nifti,
        modality=modality,
        grid=grid,
        hounsfield=hounsfield,
        plane=nearest_plane(plan.facts.orientation),
        findings=tuple(sorted(findings, key=lambda finding: -finding.severity)),
        body_part=plan.facts.body_part,
        pictures=tuple(pictures),
    )


def _units(modality: str, *, hounsfield: bool) -> tuple[Finding, ...]:
    if modality != "CT" or hounsfield:
        return ()
    text = "The images do not say how their values become Hounsfield units."
    return (Finding("NOT_HOUNSFIELD", Severity.WARNING, text),)
