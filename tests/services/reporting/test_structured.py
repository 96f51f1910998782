"""The structured result: every number with unit, evidence and where it came from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from heimdallr.imaging.v1 import measurement_pb2
from heimdallr.reporting.v1 import reporting_service_pb2 as pb
from services.reporting.messages import report_from_proto
from services.reporting.structured import SCHEMA, structured_result
from services.runtime.errors import InvalidFieldError
from tests.services.reporting.requests import STUDY_ID, full_request


def result_of(request: pb.ComposeReportRequest) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(structured_result(report_from_proto(request)))
    return content


def test_it_names_its_schema_status_and_subject() -> None:
    result = result_of(full_request())

    assert result["schema"] == SCHEMA == "heimdallr.report/1"
    assert result["status"] == "preliminary"
    assert result["signed_by"] is None
    assert "Not a medical device" in result["disclaimer"]
    assert result["report_time"] == "2026-11-21T14:06:40+00:00"
    assert result["subject"]["study_id"] == STUDY_ID
    assert result["subject"]["patient_birth_date"] == "19700131"


def test_every_measurement_is_a_value_with_unit_or_a_refusal_with_reason() -> None:
    (analysis,) = result_of(full_request())["series"][0]["analyses"]

    assert [m["value"] for m in analysis["measurements"]] == [
        {"number": 2859.127, "unit_ucum": "mL"},
        {"number": -846.4412, "unit_ucum": "[hnsf'U]"},
        {"number": 812.5, "unit_ucum": "mL"},
        None,
    ]
    assert [m["refusal"] for m in analysis["measurements"]] == [
        None,
        None,
        None,
        {"code": "TRUNCATED_Z", "text": "The body is cut off at the lower end of the scan."},
    ]
    assert analysis["measurements"][0]["evidence"] == [{"name": "voxel_count", "text": "1283004"}]
    assert analysis["provenance"]["weights_sha256"] == "ab" * 32
    assert analysis["provenance"]["input_sha256"] == ["cd" * 32, "ef" * 32, "01" * 32]


@pytest.mark.parametrize(
    ("evidence", "within"),
    [
        ({}, None),
        ({"touches_first_slice": "no", "touches_last_slice": "no"}, False),
        ({"touches_first_slice": "yes", "touches_last_slice": "no"}, True),
        ({"touches_first_slice": "no", "touches_last_slice": "yes"}, True),
    ],
)
def test_it_says_whether_a_value_holds_within_the_scanned_range_only(
    evidence: dict[str, str], within: bool | None
) -> None:
    request = full_request()
    for name, text in evidence.items():
        request.series[0].analyses[0].measurements[0].evidence.add(name=name, text=text)

    (analysis,) = result_of(request)["series"][0]["analyses"]

    assert analysis["measurements"][0]["within_scanned_range"] is within


def test_series_keep_their_plan_geometry_and_refusals() -> None:
    first, scout, coronal = result_of(full_request())["series"]

    assert first["selection"]["selected"]
    assert first["selection"]["reasons"][1] == {
        "code": "AXIAL",
        "points": 20.0,
        "text": "Axial slices.",
    }
    assert first["volume"]["findings"][0]["severity"] == "warning"
    assert first["volume"]["plane"] == "axial"
    assert scout["selection"]["refusal"]["code"] == "LOCALIZER"
    assert scout["volume"] is None
    assert coronal["refusals"][0]["code"] == "NOT_AXIAL"


def test_the_same_request_gives_the_same_bytes_whatever_the_attempt() -> None:
    first, second = full_request(), full_request()
    second.attempt_id = "01a1fe65-4036-7068-815a-f87418a51899"

    assert structured_result(report_from_proto(first)) == structured_result(
        report_from_proto(second)
    )


def test_text_of_any_script_is_kept_whole() -> None:
    request = full_request()
    request.subject.patient_name = "\N{CJK UNIFIED IDEOGRAPH-5C71}" + "x" * 5000 + "\x00"

    assert result_of(request)["subject"]["patient_name"] == request.subject.patient_name


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_rejected(number: float) -> None:
    request = full_request()
    request.series[0].analyses[0].measurements[0].value.number = number

    with pytest.raises(InvalidFieldError) as caught:
        report_from_proto(request)

    assert caught.value.metadata["field"] == "measurements.value.number"


def test_a_measurement_without_outcome_is_rejected() -> None:
    request = full_request()
    request.series[0].analyses[0].measurements.append(measurement_pb2.Measurement(name="x"))

    with pytest.raises(InvalidFieldError):
        report_from_proto(request)


def test_subject_and_time_are_required() -> None:
    without_subject = full_request()
    without_subject.ClearField("subject")
    without_time = full_request()
    without_time.ClearField("report_time")
    with_odd_time = full_request()
    with_odd_time.report_time.CopyFrom(Timestamp(seconds=1 << 60))

    for request in (without_subject, without_time, with_odd_time):
        with pytest.raises(InvalidFieldError):
            report_from_proto(request)
