"""QIDO-RS as viewers ask, and as nobody should."""

from __future__ import annotations

import json
from typing import Any

import pytest

from heimdallr.archive.v1 import archive_service_pb2 as pb
from tests.gateway.dicomweb.conftest import WRITE, Dicomweb
from tests.support.instances import ct_instance, part10


async def search(dicomweb: Dicomweb, path: str, **headers: str) -> list[dict[str, Any]]:
    status, answer, body = await dicomweb.get(path, **headers)
    assert status == 200, body
    assert answer.content_type == "application/dicom+json"
    found: list[dict[str, Any]] = json.loads(body)
    return found


async def test_a_study_is_found_by_keyword_and_by_tag_number(dicomweb: Dicomweb) -> None:
    await dicomweb.stored(ct_instance(study_uid="1.2.3"))

    by_keyword = await search(dicomweb, "/studies?PatientID=GATEWAY-1&limit=10&offset=0")
    by_tag = await search(dicomweb, "/studies?00100020=GATEWAY-1")

    assert by_keyword == by_tag
    (study,) = by_tag
    assert study["0020000D"] == {"vr": "UI", "Value": ["1.2.3"]}
    assert study["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "PHANTOM^GATEWAY"}]}
    assert study["00080061"]["Value"] == ["CT"]
    assert study["00201208"] == {"vr": "IS", "Value": [1]}
    assert study["00081190"]["Value"][0].endswith("/dicom-web/studies/1.2.3")
    assert study["00080056"]["Value"] == ["ONLINE"]


@pytest.mark.parametrize(
    ("path", "level"),
    [
        ("/studies", pb.QUERY_LEVEL_STUDY),
        ("/series", pb.QUERY_LEVEL_SERIES),
        ("/instances", pb.QUERY_LEVEL_INSTANCE),
        ("/studies/1.2.3/series", pb.QUERY_LEVEL_SERIES),
        ("/studies/1.2.3/instances", pb.QUERY_LEVEL_INSTANCE),
        ("/studies/1.2.3/series/1.2.4/instances", pb.QUERY_LEVEL_INSTANCE),
    ],
)
async def test_every_address_searches_its_level(
    dicomweb: Dicomweb, path: str, level: pb.QueryLevel.ValueType
) -> None:
    await dicomweb.stored(ct_instance(study_uid="1.2.3", series_uid="1.2.4"))

    (found,) = await search(dicomweb, path)

    assert dicomweb.archive.queries[-1].level == level
    named = {m.keyword: list(m.values.values) for m in dicomweb.archive.queries[-1].matches}
    assert named.get("StudyInstanceUID", []) == (["1.2.3"] if path.startswith("/studies/") else [])
    assert found["0020000D"]["Value"] == ["1.2.3"]
    above = "00100010" in found
    assert above is not path.startswith("/studies/")


async def test_instances_are_told_with_their_size(dicomweb: Dicomweb) -> None:
    path = await dicomweb.stored(ct_instance(size=64))

    (found,) = await search(dicomweb, path.rpartition("/")[0] + "?includefield=PatientName")

    assert found["00280010"]["Value"] == [64]
    assert found["00080016"]["Value"] == ["1.2.840.10008.5.1.4.1.1.2"]
    assert "00200032" not in found
    assert found["00100010"]["Value"] == [{"Alphabetic": "PHANTOM^GATEWAY"}]


async def test_more_fields_are_given_when_asked_for(dicomweb: Dicomweb) -> None:
    await dicomweb.stored(ct_instance())

    (some,) = await search(dicomweb, "/instances?includefield=00080008,PatientName")
    (every,) = await search(dicomweb, "/instances?includefield=all")

    assert "00080008" in some
    assert "00200032" not in some
    assert "00200032" in every


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("PatientName=PHAN*", pb.AttributeMatch(keyword="PatientName", wildcard="PHAN*")),
        ("PatientName=P?*", pb.AttributeMatch(keyword="PatientName", wildcard="P?*")),
        (
            "StudyDate=20260101-20260131",
            pb.AttributeMatch(
                keyword="StudyDate", range=pb.ValueRange(to="20260131", **{"from": "20260101"})
            ),
        ),
        (
            "StudyDate=-20260131",
            pb.AttributeMatch(keyword="StudyDate", range=pb.ValueRange(to="20260131")),
        ),
        (
            "StudyInstanceUID=1.2.3,1.2.4",
            pb.AttributeMatch(
                keyword="StudyInstanceUID", values=pb.ValueList(values=["1.2.3", "1.2.4"])
            ),
        ),
        (
            "0020000D=1.2.3%5C1.2.4",
            pb.AttributeMatch(
                keyword="StudyInstanceUID", values=pb.ValueList(values=["1.2.3", "1.2.4"])
            ),
        ),
        (
            "ModalitiesInStudy=CT,MR",
            pb.AttributeMatch(
                keyword="ModalitiesInStudy", values=pb.ValueList(values=["CT", "MR"])
            ),
        ),
        (
            "AccessionNumber=A-1%27%3B%20DROP%20TABLE",
            pb.AttributeMatch(
                keyword="AccessionNumber", values=pb.ValueList(values=["A-1'; DROP TABLE"])
            ),
        ),
    ],
)
async def test_a_value_is_matched_as_it_is_written(
    dicomweb: Dicomweb, query: str, expected: pb.AttributeMatch
) -> None:
    await dicomweb.get(f"/studies?{query}")

    assert list(dicomweb.archive.queries[-1].matches) == [expected]


async def test_an_empty_value_and_a_star_match_everything(dicomweb: Dicomweb) -> None:
    await dicomweb.stored(ct_instance())

    assert len(await search(dicomweb, "/studies?PatientID=&PatientName=*&AccessionNumber=")) == 1


async def test_nothing_found_has_no_content(dicomweb: Dicomweb) -> None:
    status, _, body = await dicomweb.get("/studies?PatientID=NOBODY")

    assert (status, body) == (204, b"")


async def test_more_than_the_limit_is_told_by_a_warning(dicomweb: Dicomweb) -> None:
    await dicomweb.stored(*[ct_instance(study_uid="1.2.3", number=n) for n in range(5)])

    _, two, body = await dicomweb.get("/instances?limit=2")
    _, most, all_body = await dicomweb.get("/instances?limit=1000000000")
    _, rest, rest_body = await dicomweb.get("/instances?offset=3")

    assert (len(json.loads(body)), two.headers["Warning"][:4]) == (2, "299 ")
    assert (len(json.loads(all_body)), most.headers["Warning"][:4]) == (3, "299 ")
    assert len(json.loads(rest_body)) == 2
    assert "Warning" not in rest.headers


async def test_fuzzy_names_are_asked_of_the_archive(dicomweb: Dicomweb) -> None:
    await dicomweb.get("/studies?PatientName=phan&fuzzymatching=true")
    await dicomweb.get("/studies?PatientName=phan&fuzzymatching=false")

    assert [query.fuzzy_names for query in dicomweb.archive.queries] == [True, False]


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=x",
        "offset=-5",
        "limit=1e3",
        "fuzzymatching=perhaps",
        "NoSuchAttribute=1",
        "00000000x=1",
        "99990001=1",
        "EthnicGroup=1",
        "StudyInstanceUID=../..",
        "StudyInstanceUID=1.2;3",
        "includefield=NoSuchAttribute",
        "PatientName=a%00b",
        "RequestAttributesSequence.ScheduledProcedureStepID=1",
        "PatientName=" + "x" * 2000,
        "&".join(f"PatientName=p{n}" for n in range(80)),
    ],
)
async def test_a_search_that_breaks_a_rule_is_refused(dicomweb: Dicomweb, query: str) -> None:
    status, answer, body = await dicomweb.get(f"/studies?{query}")

    assert status == 400
    assert answer.content_type == "application/problem+json"
    problem = json.loads(body)
    assert problem["correlation_id"]
    assert "DROP" not in body.decode()


async def test_bytes_that_are_no_text_are_refused_or_found_nowhere(dicomweb: Dicomweb) -> None:
    for value in ("%ff", "%ed%a0%80", "%00", "%c3%28"):
        status, _, _ = await dicomweb.get(f"/studies?PatientName={value}")
        assert status in (204, 400), value


async def test_only_json_is_given(dicomweb: Dicomweb) -> None:
    await dicomweb.stored(ct_instance())

    status, _, _ = await dicomweb.get("/studies", Accept="application/dicom+xml")
    plain, answer, _ = await dicomweb.get("/studies", Accept="application/json")
    both, other, _ = await dicomweb.get(
        "/studies", Accept="multipart/related; type=application/dicom+xml, application/dicom+json"
    )

    assert (status, plain, both) == (406, 200, 200)
    assert answer.content_type == "application/json"
    assert other.content_type == "application/dicom+json"


async def test_searching_needs_the_permission_to_read(dicomweb: Dicomweb) -> None:
    token = dicomweb.mesh.tokens.mint(WRITE)

    forbidden, _, _ = await dicomweb.get("/studies", token=token)
    unknown, _, body = await dicomweb.get("/studies", token="nonsense")

    assert (forbidden, unknown) == (403, 401)
    assert json.loads(body)["type"] == "urn:heimdallr:problem:no-session"


async def test_text_of_a_stranger_stays_text(dicomweb: Dicomweb) -> None:
    instance = ct_instance()
    instance.PatientName = 'Ä^<script>"&{{7*7}}'
    instance.SpecificCharacterSet = "ISO_IR 192"
    await dicomweb.store(part10(instance))

    (found,) = await search(dicomweb, "/studies")

    assert found["00100010"]["Value"] == [{"Alphabetic": 'Ä^<script>"&{{7*7}}'}]
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
