"""What stands where on paper: the report's facts as rows of printable text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from services.reporting import wording
from services.reporting.not_done import reasons_not_done
from services.reporting.printable import BREAK
from services.reporting.report import Analysis, Measurement, Provenance, Report, Series, Subject
from services.reporting.structured import DISCLAIMER

MAX_ROWS: Final = 300
"""Rows of one table on paper; the structured result has them all."""

_NONE: Final = "not given"
_SHORT_HASH: Final = 12
_UNIT_CHARS: Final = 9
_WHOLE_CHARS: Final = 700
"""A row of so many characters surely fits a page and is kept on one; a longer one may break."""

_RIGHT_IS_LEFT: Final = frozenset({"overlay-axial", "overlay-coronal", "axial", "coronal"})
"""Kinds of pictures with the patient's right on their left, as radiologists look."""

Text = Callable[[str], str]
Row = dict[str, Any]


def layout(report: Report, text: Text) -> dict[str, Any]:
    """Return all that the template prints.

    Args:
        report: The facts.
        text: Makes a text from a stranger printable; applied to every text.
    """
    picture = report.key_image()
    content = {
        "disclaimer": DISCLAIMER,
        "made": report.report_time.replace("T", " ").replace("+00:00", " UTC"),
        "study_id": report.subject.study_id,
        "patient": list(_patient(report.subject)),
        "study": list(_study(report.subject)),
        "study_uid": report.subject.study_instance_uid or _NONE,
        "identity": _identity(report.subject),
        "completeness": _completeness(report.subject),
        "picture": picture.alternative_text if picture is not None else None,
        "sides": picture is not None and picture.kind in _RIGHT_IS_LEFT,
        "nothing_measured": not report.has_value(),
        "no_series": not report.series,
        "analyses": [
            _analysis(series, analysis) for series in report.series for analysis in series.analyses
        ],
        "not_done": _bounded(_not_done(report)),
        "geometry": _bounded(_geometry(report.series)),
        "plan": _bounded(map(_plan, report.series)),
        "provenance": _bounded(_provenance(report.series)),
    }
    printed: dict[str, Any] = _each_text(content, text)
    return printed


def _each_text(value: Any, text: Text) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {key: _each_text(item, text) for key, item in value.items()}
    return [_each_text(item, text) for item in value] if isinstance(value, list) else value


def _bounded(rows: Iterable[Row]) -> dict[str, Any]:
    found = list(rows)
    shown = [{**row, "whole": _length(row) <= _WHOLE_CHARS} for row in found[:MAX_ROWS]]
    return {"rows": shown, "more": max(0, len(found) - MAX_ROWS)}


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, list) else 0


def _patient(subject: Subject) -> Iterator[list[str]]:
    identifier = subject.patient_id or _NONE
    issuer = f" (issuer {subject.issuer_of_patient_id})" if subject.issuer_of_patient_id else ""
    yield ["Name", wording.person_name(subject.patient_name) or _NONE]
    yield ["Patient ID", identifier + issuer]
    yield ["Birth date", wording.date(subject.patient_birth_date) or _NONE]
    yield ["Sex", subject.patient_sex or _NONE]


def _study(subject: Subject) -> Iterator[list[str]]:
    when = f"{wording.date(subject.study_date)} {wording.time(subject.study_time)}".strip()
    yield ["Study", subject.study_description or _NONE]
    yield ["Date", when or _NONE]
    yield ["Accession", subject.accession_number or _NONE]
    yield ["Modalities", ", ".join(subject.modalities) or _NONE]


def _identity(subject: Subject) -> str:
    parts = (wording.person_name(subject.patient_name), subject.patient_id)
    return " · ".join(part[:60] for part in parts if part) or "Patient not given"


def _completeness(subject: Subject) -> str:
    known = subject.completeness or "How the study's completeness is known was not given."
    return f"{known} This report covers generation {subject.generation} of the study."


def _title(series: Series) -> str:
    number = f" {series.number}" if series.number is not None else ""
    kind = f" ({series.modality})" if series.modality else ""
    description = f": {series.description[:80]}" if series.description else ""
    return f"Series{number}{kind}{description}"


def _analysis(series: Series, analysis: Analysis) -> Row:
    made_by = analysis.provenance
    return {
        "title": _title(series),
        "model": f"Model {made_by.tool or _NONE}, version {made_by.tool_version or _NONE}",
        **_bounded(map(_measurement, analysis.measurements)),
    }


def _measurement(measurement: Measurement) -> Row:
    refusal, value = measurement.refusal, measurement.value
    return {
        "name": measurement.display_name or measurement.name,
        "value": wording.number(value.number, value.unit_ucum) if value is not None else None,
        "partial": value is not None and bool(measurement.within_scanned_range),
        "unit": _narrow(wording.unit(value.unit_ucum)) if value is not None else "",
        "refusal": (refusal.text or refusal.code) if refusal is not None else None,
        "evidence": [f"{e.name.replace('_', ' ')}: {e.text}" for e in measurement.evidence[:12]],
    }


def _narrow(sign: str) -> str:
    """Let a long unit break, so that it stays in its column."""
    parts = [sign[i : i + _UNIT_CHARS] for i in range(0, len(sign), _UNIT_CHARS)]
    return BREAK.join(parts)


def _not_done(report: Report) -> Iterator[Row]:
    for series, reason in reasons_not_done(report):
        yield {"series": _title(series), "text": reason}


def _geometry(series: Iterable[Series]) -> Iterator[Row]:
    for one in series:
        for finding in one.volume.findings if one.volume is not None else ():
            yield {"series": _title(one), "severity": finding.severity, "text": finding.text}


def _plan(series: Series) -> Row:
    selection = series.selection
    refusal = selection.refusal if selection is not None else None
    return {
        "series": _title(series),
        "images": str(series.instance_count),
        "chosen": selection.selected if selection is not None else False,
        "outcome": _became(series),
        "score": f"{selection.score:g}" if selection is not None and refusal is None else "",
        "reasons": [
            {"points": f"{reason.points:+g}" if reason.points else "", "text": reason.text}
            for reason in (selection.reasons[:20] if selection is not None else ())
        ],
        "refusal": (refusal.text or refusal.code) if refusal is not None else None,
        "unknown": selection is None,
    }


def _became(series: Series) -> str:
    if series.analyses:
        return "analysed"
    return "converted, not analysed" if series.volume is not None else "not converted"


def _provenance(series: Iterable[Series]) -> Iterator[Row]:
    for one in series:
        if one.volume is not None:
            yield _made_by("Volume", one, one.volume.provenance, one.volume.nifti_sha256)
        for analysis in one.analyses:
            yield _made_by("Analysis", one, analysis.provenance, analysis.labelmap_sha256)


def _made_by(what: str, series: Series, made_by: Provenance, output_sha256: str) -> Row:
    inputs = [sha256[:_SHORT_HASH] for sha256 in made_by.input_sha256[:2]]
    further = len(made_by.input_sha256) - len(inputs)
    return {
        "what": f"{what}, {_title(series)}",
        "tool": f"{made_by.tool or _NONE} {made_by.tool_version}".strip(),
        "service": f"{made_by.service or _NONE} {made_by.service_version}".strip(),
        "weights": made_by.weights_sha256[:_SHORT_HASH] or "none",
        "inputs": ", ".join(inputs) + (f" and {further} more" if further > 0 else ""),
        "output": output_sha256[:_SHORT_HASH] or "none",
        "device": made_by.device or _NONE,
    }
