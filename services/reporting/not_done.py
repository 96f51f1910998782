"""Why something was not done: every reason that the facts hold, in one list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from services.reporting.report import Analysis, Refusal, Report, Selection, Series

NOT_CHOSEN_CODE: Final = "NOT_SELECTED"


def reasons_not_done(report: Report) -> Iterator[tuple[Series, str]]:
    """Yield each series with a reason why something of it was not done.

    Every series without an analysis has at least one. Where no value was measured at all, the
    refused measurements are among the reasons too, so that nobody has to look elsewhere.
    """
    nothing = not report.has_value()
    for series in report.series:
        for reason in dict.fromkeys(_of_series(series, with_measurements=nothing)):
            yield series, reason


def _of_series(series: Series, *, with_measurements: bool) -> Iterator[str]:
    found = list(_refused(series))
    if with_measurements:
        found += [text for analysis in series.analyses for text in _unmeasured(analysis)]
    if not found and not series.analyses:
        found.append(_unexplained(series))
    return iter(found)


def _refused(series: Series) -> Iterator[str]:
    selection = series.selection
    if selection is not None and selection.refusal is not None:
        yield _text(selection.refusal)
    elif selection is not None and not selection.selected and not series.analyses:
        yield _not_chosen(selection)
    yield from map(_text, series.refusals)


def _not_chosen(selection: Selection) -> str:
    why = (reason.text for reason in selection.reasons if reason.code == NOT_CHOSEN_CODE)
    return f"Not chosen. {next(why, '')}".strip()


def _unmeasured(analysis: Analysis) -> Iterator[str]:
    if not analysis.measurements:
        yield f"The model {analysis.provenance.tool} gave no measurements."
    for measurement in analysis.measurements:
        if measurement.refusal is not None:
            name = measurement.display_name or measurement.name
            yield f"{name}: {_text(measurement.refusal)}"


def _unexplained(series: Series) -> str:
    if series.volume is not None:
        return "Converted, but no model was chosen for it or none gave a result."
    if series.selection is None:
        return "Not judged, not converted and not analysed; no reason was given."
    return "Chosen, but neither converted nor analysed; no reason was given."


def _text(refusal: Refusal) -> str:
    return refusal.text or refusal.code
