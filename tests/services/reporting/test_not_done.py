"""Why something was not done: every reason, in one list."""

from __future__ import annotations

from heimdallr.imaging.v1 import measurement_pb2
from heimdallr.reporting.v1 import reporting_service_pb2 as pb
from services.reporting.messages import report_from_proto
from services.reporting.not_done import reasons_not_done
from tests.services.reporting.requests import full_request


def reasons_of(request: pb.ComposeReportRequest) -> list[tuple[str, str]]:
    report = report_from_proto(request)
    return [(series.description, reason) for series, reason in reasons_not_done(report)]


def test_every_series_without_an_analysis_has_its_reasons() -> None:
    assert reasons_of(full_request()) == [
        ("Topogram", "The series is a localizer (scout), not a stack of slices."),
        ("Coronal MPR", "Not chosen. Another CT series of the study suits better."),
        ("Coronal MPR", "The model reads axial series only."),
    ]


def test_a_second_model_that_refused_is_among_them() -> None:
    request = full_request()
    request.series[0].refusals.add(code="TOO_THIN", text="Too thin.")

    assert reasons_of(request)[0] == ("Thorax 2.0 B30f", "Too thin.")


def test_a_reason_that_was_given_twice_is_listed_once() -> None:
    request = full_request()
    request.series[1].refusals.append(request.series[1].score.refusal)

    assert len(reasons_of(request)) == 3


def test_a_refusal_without_words_is_its_code() -> None:
    request = full_request()
    request.series[1].score.refusal.text = ""

    assert reasons_of(request)[0] == ("Topogram", "LOCALIZER")


def test_values_that_were_refused_are_listed_where_nothing_was_measured() -> None:
    request = full_request()
    for measurement in request.series[0].analyses[0].measurements:
        measurement.refusal.CopyFrom(measurement_pb2.Refusal(code="NO_MASK", text="No mask."))

    assert reasons_of(request)[:2] == [
        ("Thorax 2.0 B30f", "Volume of the lungs: No mask."),
        ("Thorax 2.0 B30f", "Mean of the lungs: No mask."),
    ]


def test_a_model_that_gave_no_measurements_is_named() -> None:
    request = full_request()
    del request.series[0].analyses[0].measurements[:]

    assert reasons_of(request)[0] == (
        "Thorax 2.0 B30f",
        "The model ct_tissue gave no measurements.",
    )


def test_a_series_of_which_nothing_is_known_says_how_far_it_came() -> None:
    request = full_request()
    converted, chosen, unknown = request.series
    del converted.analyses[:]
    chosen.score.ClearField("refusal")
    chosen.score.selected = True
    unknown.ClearField("score")
    del unknown.refusals[:]

    assert [reason for _, reason in reasons_of(request)] == [
        "Converted, but no model was chosen for it or none gave a result.",
        "Chosen, but neither converted nor analysed; no reason was given.",
        "Not judged, not converted and not analysed; no reason was given.",
    ]
