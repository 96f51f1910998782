"""From the contract's messages to the report's facts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from heimdallr.analysis.v1 import analysis_service_pb2
from heimdallr.conversion.v1 import conversion_service_pb2
from heimdallr.imaging.v1 import measurement_pb2, provenance_pb2, volume_pb2
from heimdallr.reporting.v1 import reporting_service_pb2 as pb
from services.reporting import report as facts
from services.runtime.blob_messages import blob_from_proto
from services.runtime.errors import InvalidFieldError

MAX_SERIES = 10_000
MAX_MEASUREMENTS = 20_000

_END_SLICES: Final = ("touches_first_slice", "touches_last_slice")


def report_from_proto(request: pb.ComposeReportRequest) -> facts.Report:
    """Return what is to be reported.

    Raises:
        InvalidFieldError: There is no subject or no report time; a measurement has neither a
            finite value nor a refusal; more than can be reported.
    """
    if not request.HasField("subject"):
        raise InvalidFieldError("subject", "required")
    if len(request.series) > MAX_SERIES or _measured(request) > MAX_MEASUREMENTS:
        raise InvalidFieldError("series", "too many series or measurements")
    return facts.Report(
        subject=_subject(request.subject),
        series=tuple(_series(message) for message in request.series),
        report_time=_required_time(request),
    )


def _measured(request: pb.ComposeReportRequest) -> int:
    return sum(len(a.measurements) for series in request.series for a in series.analyses)


def _required_time(request: pb.ComposeReportRequest) -> str:
    if not request.HasField("report_time"):
        raise InvalidFieldError("report_time", "required")
    try:
        return _time(request.report_time)
    except (ValueError, OverflowError):
        raise InvalidFieldError("report_time", "a time of years 1 to 9999") from None


def _time(stamp: Timestamp) -> str:
    return stamp.ToDatetime(UTC).replace(microsecond=0).isoformat()


def _subject(message: pb.ReportSubject) -> facts.Subject:
    return facts.Subject(
        study_id=message.study_id,
        study_instance_uid=message.study_instance_uid,
        patient_name=message.patient_name,
        patient_id=message.patient_id,
        issuer_of_patient_id=message.issuer_of_patient_id,
        patient_birth_date=message.patient_birth_date,
        patient_sex=message.patient_sex,
        study_date=message.study_date,
        study_time=message.study_time,
        accession_number=message.accession_number,
        study_description=message.study_description,
        modalities=tuple(message.modalities),
        generation=message.generation,
        completeness=message.completeness,
    )


def _series(message: pb.SeriesResult) -> facts.Series:
    return facts.Series(
        series_id=message.series_id,
        modality=message.modality,
        description=message.series_description,
        number=message.series_number if message.HasField("series_number") else None,
        instance_count=message.instance_count,
        selection=_selection(message.score) if message.HasField("score") else None,
        volume=_volume(message.volume) if message.HasField("volume") else None,
        analyses=tuple(_analysis(analysis) for analysis in message.analyses),
        refusals=_refusals(message.refusals),
        previews=_pictures(message.previews),
    )


def _selection(message: conversion_service_pb2.SeriesScore) -> facts.Selection:
    return facts.Selection(
        selected=message.selected,
        score=_finite(message.score, "score.score"),
        reasons=tuple(
            facts.ScoreReason(r.code, _finite(r.points, "score.reasons.points"), r.text)
            for r in message.reasons
        ),
        refusal=_refusal(message.refusal) if message.HasField("refusal") else None,
    )


def _volume(message: volume_pb2.Volume) -> facts.Volume:
    return facts.Volume(
        nifti_sha256=message.nifti.sha256,
        shape=tuple(message.shape),
        spacing_mm=tuple(_finite(mm, "volume.spacing_mm") for mm in message.spacing_mm),
        hounsfield=message.hounsfield,
        plane=volume_pb2.Plane.Name(message.plane).removeprefix("PLANE_").lower(),
        findings=tuple(
            facts.Finding(f.code, _severity(f.severity), f.text) for f in message.findings
        ),
        provenance=_provenance(message.provenance),
    )


def _severity(severity: volume_pb2.Severity.ValueType) -> str:
    return volume_pb2.Severity.Name(severity).removeprefix("SEVERITY_").lower()


def _analysis(message: analysis_service_pb2.Analysis) -> facts.Analysis:
    return facts.Analysis(
        labelmap_sha256=message.labelmap.sha256,
        measurements=tuple(_measurement(m) for m in message.measurements),
        overlays=_pictures(message.overlays),
        provenance=_provenance(message.provenance),
    )


def _pictures(messages: Iterable[volume_pb2.Preview]) -> tuple[facts.Picture, ...]:
    return tuple(
        facts.Picture(blob_from_proto(p.image, "previews.image"), p.kind, p.alternative_text)
        for p in messages
    )


def _measurement(message: measurement_pb2.Measurement) -> facts.Measurement:
    outcome = message.WhichOneof("outcome")
    if outcome is None:
        raise InvalidFieldError("measurements.outcome", "a value or a refusal")
    return facts.Measurement(
        name=message.name,
        display_name=message.display_name,
        structure=message.structure,
        value=_value(message.value) if outcome == "value" else None,
        refusal=_refusal(message.refusal) if outcome == "refusal" else None,
        evidence=tuple(facts.Evidence(e.name, e.text) for e in message.evidence),
        within_scanned_range=_within_scanned_range(message.evidence),
    )


def _within_scanned_range(evidence: Iterable[measurement_pb2.Evidence]) -> bool | None:
    touches = [fact.text == "yes" for fact in evidence if fact.name in _END_SLICES]
    return any(touches) if touches else None


def _value(message: measurement_pb2.Value) -> facts.Value:
    return facts.Value(_finite(message.number, "measurements.value.number"), message.unit_ucum)


def _finite(number: float, field: str) -> float:
    if not math.isfinite(number):
        raise InvalidFieldError(field, "finite")
    return number


def _refusal(message: measurement_pb2.Refusal) -> facts.Refusal:
    return facts.Refusal(message.code, message.text)


def _refusals(messages: Iterable[measurement_pb2.Refusal]) -> tuple[facts.Refusal, ...]:
    return tuple(_refusal(message) for message in messages)


def _provenance(message: provenance_pb2.Provenance) -> facts.Provenance:
    return facts.Provenance(
        service=message.service,
        service_version=message.service_version,
        tool=message.tool,
        tool_version=message.tool_version,
        weights_sha256=message.weights_sha256,
        input_sha256=tuple(message.input_sha256),
        parameters=tuple(message.parameters),
        device=message.device,
        start_time=_time(message.start_time) if message.HasField("start_time") else "",
        duration_s=message.duration.ToTimedelta().total_seconds(),
    )
