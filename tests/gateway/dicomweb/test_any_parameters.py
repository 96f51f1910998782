"""Whatever stands in a query or a header, it is understood or refused."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st
from multidict import MultiDict

from gateway.dicomweb.accept import media_ranges
from gateway.dicomweb.forms import frame_form, instance_form
from gateway.dicomweb.qido_request import read_search
from gateway.dicomweb.rendered_request import JPEG, render_request
from gateway.http.problem import Problem
from heimdallr.archive.v1 import archive_service_pb2 as pb
from services.dicom.uids import transfer_syntax

_NAMES = st.sampled_from(
    [
        "PatientName",
        "00100020",
        "StudyDate",
        "StudyTime",
        "StudyInstanceUID",
        "ModalitiesInStudy",
        "limit",
        "offset",
        "fuzzymatching",
        "includefield",
        "SeriesNumber",
        "7FE00010",
        "FFFFFFFF",
    ]
)
_VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["-1", "1e9", "٣", "²", "%", "_", "*?\\", "'; --", "-", "\x00", "1.2,,3", "all"]
    ),
    st.integers().map(str),
)


_PARAMETERS = dict.fromkeys(("window", "viewport", "quality"), _VALUES)


@given(st.lists(st.tuples(st.one_of(_NAMES, st.text(max_size=20)), _VALUES), max_size=6))
@example([("limit", "²")])
@example([("\ud800", "x")])
@example([("PatientName", "\udcff")])
def test_any_search_is_a_query_or_a_refusal(pairs: list[tuple[str, str]]) -> None:
    with suppress(Problem):
        search = read_search(pb.QUERY_LEVEL_STUDY, [], MultiDict(pairs), 100)
        assert 0 <= search.limit <= 100
        assert 0 <= search.request.offset < 2**31
        assert search.request.limit == search.limit + 1


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("window", "viewport", "quality"), _VALUES))
)
@example({"quality": "²"})
@example({"window": "1,2,linear,4"})
@example({"viewport": "1,1,,,,"})
def test_any_picture_is_a_request_or_a_refusal(values: dict[str, str]) -> None:
    with suppress(Problem):
        request = render_request(MultiDict(values), JPEG, 1, thumbnail=False)
        assert 0 <= request.quality <= 100
        assert request.viewport.width <= 8192


@given(st.text(max_size=200))
@example('multipart/related; type="application/octet-stream; transfer-syntax=*')
@example(";,;,=/q=nan")
def test_any_accept_is_a_form_or_a_refusal(text: str) -> None:
    ranges = media_ranges(text)
    assert all(0 <= media.quality <= 1 for media in ranges)
    with suppress(Problem):
        frame_form(ranges, transfer_syntax("1.2.840.10008.1.2.5"), 2, readable=True)
    with suppress(Problem):
        instance_form(ranges, ["1.2.840.10008.1.2.1"])
