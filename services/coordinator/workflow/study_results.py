"""Results of a generation, read back from the stages that made them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import asyncpg

from heimdallr.analysis.v1 import analysis_service_pb2 as analysis_pb
from heimdallr.conversion.v1 import conversion_service_pb2 as conversion_pb
from heimdallr.imaging.v1.measurement_pb2 import Refusal
from heimdallr.reporting.v1 import reporting_service_pb2 as reporting_pb
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from services.coordinator.workflow.stages import StageKind, StageState, kind_of


@dataclass(slots=True)
class SeriesOutcome:
    """What became of one series."""

    series_id: str
    description: conversion_pb.DescribeSeriesResponse | None = None
    conversion: conversion_pb.Conversion | None = None
    analyses: list[analysis_pb.Analysis] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def to_proto(self) -> pb.SeriesResults:
        """Return it as it goes on the wire."""
        message = pb.SeriesResults(
            series_id=self.series_id, analyses=self.analyses, refusals=self.refusals
        )
        if self.description is not None:
            message.metadata.CopyFrom(self.description.metadata)
            if self.description.HasField("thumbnail"):
                message.thumbnail.CopyFrom(self.description.thumbnail)
            if self.description.HasField("thumbnail_refusal"):
                message.refusals.append(self.description.thumbnail_refusal)
        if self.conversion is not None:
            message.volume.CopyFrom(self.conversion.volume)
            message.previews.extend(self.conversion.previews)
        return message


@dataclass(slots=True)
class StudyOutcome:
    """What became of a study."""

    series: dict[str, SeriesOutcome] = field(default_factory=dict)
    report: reporting_pb.ComposeReportResponse | None = None

    def of(self, series_id: str) -> SeriesOutcome:
        """Return what became of a series; empty when nothing is known."""
        return self.series.setdefault(series_id, SeriesOutcome(series_id))

    def report_to_proto(self) -> pb.Report | None:
        """Return the report as it goes on the wire."""
        made = self.report
        if made is None:
            return None
        return pb.Report(structured=made.structured, pdf=made.pdf, provenance=made.provenance)


def read_outcome(rows: Iterable[asyncpg.Record]) -> StudyOutcome:
    """Return what the settled stages of a generation made.

    Args:
        rows: ``name, series_id, state, result, reason_code, reason_text`` of each.
    """
    outcome = StudyOutcome()
    for row in rows:
        if kind_of(row["name"]) is StageKind.DEIDENTIFY:
            # It tells nothing of the patient, so it belongs into no report.
            continue
        if row["series_id"] is not None:
            _read_series(outcome.of(row["series_id"]), row)
        elif row["name"] == StageKind.REPORT and row["result"] is not None:
            outcome.report = reporting_pb.ComposeReportResponse.FromString(row["result"])
    return outcome


def _read_series(series: SeriesOutcome, row: asyncpg.Record) -> None:
    if row["state"] == StageState.REFUSED:
        series.refusals.append(Refusal(code=row["reason_code"], text=row["reason_text"]))
        return
    kind, result = kind_of(row["name"]), row["result"]
    if kind is StageKind.DESCRIBE:
        series.description = conversion_pb.DescribeSeriesResponse.FromString(result)
    elif kind is StageKind.CONVERT:
        series.conversion = conversion_pb.Conversion.FromString(result)
    elif kind is StageKind.ANALYZE:
        series.analyses.append(analysis_pb.Analysis.FromString(result))
