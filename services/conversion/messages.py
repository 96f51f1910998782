"""Between the contract's messages and the domain."""

from __future__ import annotations

import math
from collections.abc import Sequence

from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from heimdallr.imaging.v1 import (
    instance_attributes_pb2,
    measurement_pb2,
    progress_pb2,
    provenance_pb2,
    volume_pb2,
)
from services.conversion.conversion import Converted, Instance
from services.conversion.geometry import Finding, Severity
from services.conversion.orientation import Plane
from services.conversion.selection import Candidate, Score
from services.conversion.series import InstanceFacts, Refusal
from services.runtime.blob_messages import blob_from_proto, blob_to_proto
from services.runtime.blob_ref import BlobRef

_PLANES = {
    Plane.UNKNOWN: volume_pb2.PLANE_UNSPECIFIED,
    Plane.AXIAL: volume_pb2.PLANE_AXIAL,
    Plane.CORONAL: volume_pb2.PLANE_CORONAL,
    Plane.SAGITTAL: volume_pb2.PLANE_SAGITTAL,
    Plane.OBLIQUE: volume_pb2.PLANE_OBLIQUE,
}
_SEVERITIES = {
    Severity.NOTE: volume_pb2.SEVERITY_NOTE,
    Severity.WARNING: volume_pb2.SEVERITY_WARNING,
    Severity.REFUSAL: volume_pb2.SEVERITY_REFUSAL,
}


def facts_from_proto(message: instance_attributes_pb2.InstanceAttributes) -> InstanceFacts:
    """Return the attributes that conversion decides by."""

    def whole(field: str) -> int | None:
        return getattr(message, field) if message.HasField(field) else None  # type: ignore[arg-type]

    thickness = message.slice_thickness_mm
    return InstanceFacts(
        sop_class_uid=message.sop_class_uid,
        sop_instance_uid=message.sop_instance_uid,
        study_instance_uid=message.study_instance_uid,
        series_instance_uid=message.series_instance_uid,
        transfer_syntax_uid=message.transfer_syntax_uid,
        modality=message.modality.strip().upper(),
        image_type=tuple(part.strip().upper() for part in message.image_type.split("\\") if part),
        rows=whole("rows"),
        columns=whole("columns"),
        frames=whole("number_of_frames"),
        position_mm=tuple(message.image_position_mm),
        orientation=tuple(message.image_orientation),
        spacing_mm=tuple(message.pixel_spacing_mm),
        slice_thickness_mm=thickness if math.isfinite(thickness) and thickness > 0 else None,
        kernel=message.convolution_kernel,
        contrast=message.contrast_bolus_agent,
        body_part=message.body_part_examined,
        description=message.series_description,
        protocol=message.protocol_name,
        manufacturer=message.manufacturer,
    )


def instance_from_proto(message: pb.SeriesInstance, position: int) -> Instance:
    """Return an instance to work on.

    Raises:
        InvalidFieldError: Its blob's name does not have the form of one.
    """
    blob = blob_from_proto(message.blob, f"instances[{position}].blob")
    return Instance(blob, facts_from_proto(message.attributes))


def candidate_from_proto(message: pb.SeriesCandidate) -> Candidate:
    """Return a series to choose from."""
    return Candidate(
        message.series_id, message.instance_count, facts_from_proto(message.attributes)
    )


def refusal_to_proto(refusal: Refusal) -> measurement_pb2.Refusal:
    """Return a refusal as it goes on the wire."""
    return measurement_pb2.Refusal(code=refusal.code, text=refusal.text)


def score_to_proto(score: Score) -> pb.SeriesScore:
    """Return a score as it goes on the wire."""
    return pb.SeriesScore(
        series_id=score.series_id,
        selected=score.selected,
        score=score.points,
        reasons=[
            pb.ScoreReason(code=reason.code, points=reason.points, text=reason.text)
            for reason in score.reasons
        ],
        refusal=refusal_to_proto(score.refusal) if score.refusal is not None else None,
    )


def finding_to_proto(finding: Finding) -> volume_pb2.GeometryFinding:
    """Return a finding as it goes on the wire."""
    return volume_pb2.GeometryFinding(
        code=finding.code, severity=_SEVERITIES[finding.severity], text=finding.text
    )


def volume_to_proto(
    converted: Converted, provenance: provenance_pb2.Provenance
) -> volume_pb2.Volume:
    """Return a volume as it goes on the wire."""
    return volume_pb2.Volume(
        nifti=blob_to_proto(converted.nifti),
        modality=converted.modality,
        shape=converted.grid.shape,
        spacing_mm=converted.grid.spacing_mm,
        affine_ras_mm=converted.grid.affine.ravel().tolist(),
        hounsfield=converted.hounsfield,
        plane=_PLANES[converted.plane],
        findings=[finding_to_proto(finding) for finding in converted.findings],
        body_part_examined=converted.body_part,
        provenance=provenance,
    )


def preview_to_proto(image: BlobRef, kind: str, alternative_text: str) -> volume_pb2.Preview:
    """Return a picture as it goes on the wire."""
    return volume_pb2.Preview(
        image=blob_to_proto(image), kind=kind, alternative_text=alternative_text
    )


def progress_to_proto(fraction: float, activity: str) -> pb.ConvertSeriesResponse:
    """Return progress as a message of the stream."""
    progress = progress_pb2.Progress(fraction=fraction, activity=activity)
    return pb.ConvertSeriesResponse(progress=progress)


def conversion_to_proto(
    volume: volume_pb2.Volume, previews: Sequence[volume_pb2.Preview]
) -> pb.ConvertSeriesResponse:
    """Return a converted series as the last message of the stream."""
    return pb.ConvertSeriesResponse(conversion=pb.Conversion(volume=volume, previews=previews))
