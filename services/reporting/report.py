"""What a report says, as typed facts. Nothing here is computed: every number was handed in."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from services.runtime.blob_ref import BlobRef


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not done or not measured."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Value:
    """A finite number with its unit in UCUM case-sensitive form."""

    number: float
    unit_ucum: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact about how a measurement came about."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number, or the reason why there is none: exactly one of `value` and `refusal`.

    `within_scanned_range` is true where the structure reaches the first or last slice, so that
    the value holds for the part that was scanned; None where the evidence does not say.
    """

    name: str
    display_name: str
    structure: str
    value: Value | None
    refusal: Refusal | None
    evidence: tuple[Evidence, ...]
    within_scanned_range: bool | None


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made a result."""

    service: str
    service_version: str
    tool: str
    tool_version: str
    weights_sha256: str
    input_sha256: tuple[str, ...]
    parameters: tuple[str, ...]
    device: str
    start_time: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Finding:
    """Outcome of one check of a series' geometry; severity is note, warning or refusal."""

    code: str
    severity: str
    text: str


@dataclass(frozen=True, slots=True)
class Volume:
    """A converted series; axes (i, j, k), RAS."""

    nifti_sha256: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    hounsfield: bool
    plane: str
    findings: tuple[Finding, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in the blob store, and its description in words."""

    image: BlobRef
    kind: str
    alternative_text: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one model found in one volume."""

    labelmap_sha256: str
    measurements: tuple[Measurement, ...]
    overlays: tuple[Picture, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class ScoreReason:
    """One line of the score table."""

    code: str
    points: float
    text: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Whether a series was chosen, and why."""

    selected: bool
    score: float
    reasons: tuple[ScoreReason, ...]
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class Series:
    """What became of one series."""

    series_id: str
    modality: str
    description: str
    number: int | None
    instance_count: int
    selection: Selection | None
    volume: Volume | None
    analyses: tuple[Analysis, ...]
    refusals: tuple[Refusal, ...]
    previews: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """Patient and study, as the sender wrote them."""

    study_id: str
    study_instance_uid: str
    patient_name: str
    patient_id: str
    issuer_of_patient_id: str
    patient_birth_date: str
    patient_sex: str
    study_date: str
    study_time: str
    accession_number: str
    study_description: str
    modalities: tuple[str, ...]
    generation: int
    completeness: str


@dataclass(frozen=True, slots=True)
class Report:
    """One study's report. `report_time` is ISO 8601, UTC."""

    subject: Subject
    series: tuple[Series, ...]
    report_time: str

    def has_value(self) -> bool:
        """Whether anything was measured."""
        return any(
            measurement.value is not None
            for series in self.series
            for analysis in series.analyses
            for measurement in analysis.measurements
        )

    def key_image(self) -> Picture | None:
        """Return the first picture of an analysis, else the first of a volume."""
        overlays = (
            picture
            for series in self.series
            for analysis in series.analyses
            for picture in analysis.overlays
        )
        previews = (picture for series in self.series for picture in series.previews)
        return next(itertools.chain(overlays, previews), None)
