"""STOW-RS as clients use and misuse it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from gateway.dicomweb.settings import DicomwebSettings
from gateway.handover import HandoverError
from gateway.source import Door
from services.runtime.errors import StorageFullError
from tests.gateway.dicomweb.conftest import READ, Dicomweb
from tests.support.corpora import corpus
from tests.support.instances import ct_instance, part10

MULTIPART = 'multipart/related; type="application/dicom"; boundary=b'
REFERENCED, FAILED, OTHER = "00081199", "00081198", "0008119A"


def reasons(outcome: dict[str, Any], sequence: str = FAILED) -> list[int]:
    return [item["00081197"]["Value"][0] for item in outcome[sequence]["Value"]]


async def test_instances_are_stored_and_told_where_they_are(dicomweb: Dicomweb) -> None:
    instances = [ct_instance(study_uid="1.2.3", number=number) for number in (1, 2, 3)]

    status, outcome = await dicomweb.store(*map(part10, instances))

    assert status == 200
    assert len(dicomweb.index.received) == 3
    items = outcome[REFERENCED]["Value"]
    assert {item["00081155"]["Value"][0] for item in items} == set(dicomweb.index.received)
    url = items[0]["00081190"]["Value"][0]
    host = str(dicomweb.session._base_url)
    assert url.startswith(f"{host}/dicom-web/studies/1.2.3/series/")
    assert outcome["00081190"]["Value"] == [f"{host}/dicom-web/studies/1.2.3"]
    assert FAILED not in outcome


async def test_a_request_is_one_association_to_the_archive(dicomweb: Dicomweb) -> None:
    await dicomweb.store(part10(ct_instance()), part10(ct_instance()))

    (departure,) = dicomweb.index.departures
    assert departure.released
    assert departure.stored_count == 2
    assert departure.source.door is Door.DICOMWEB
    sources = {received.source for received in dicomweb.index.received.values()}
    assert sources == {departure.source}


async def test_one_instance_comes_without_parts(dicomweb: Dicomweb) -> None:
    status, outcome = await dicomweb.post(part10(ct_instance()), "application/dicom")

    assert status == 200
    assert len(outcome[REFERENCED]["Value"]) == 1


async def test_good_instances_are_stored_beside_a_bad_one(dicomweb: Dicomweb) -> None:
    good = [part10(ct_instance()) for _ in range(3)]
    bad = ct_instance(sop_instance_uid="1.2.840.1")

    status, outcome = await dicomweb.store(*good[:2], part10(bad)[:-500], good[2])

    assert status == 202
    assert len(outcome[REFERENCED]["Value"]) == 3
    assert reasons(outcome) == [0xC000]
    assert outcome[FAILED]["Value"][0]["00081155"]["Value"] == ["1.2.840.1"]


async def test_an_instance_of_another_study_than_the_address_fails(dicomweb: Dicomweb) -> None:
    right, wrong = ct_instance(study_uid="1.2.3"), ct_instance(study_uid="1.2.4")

    status, outcome = await dicomweb.store(part10(right), part10(wrong), study="1.2.3")

    assert status == 202
    assert reasons(outcome) == [0xA900]
    assert list(dicomweb.index.received) == [right.SOPInstanceUID]


async def test_a_file_that_names_another_instance_than_it_holds_fails(dicomweb: Dicomweb) -> None:
    held = ct_instance(sop_instance_uid="1.2.840.1")
    file = part10(held).replace(b"1.2.840.1\0", b"1.2.840.2\0", 1)

    status, outcome = await dicomweb.store(file, part10(ct_instance()))

    assert status == 202
    assert reasons(outcome) == [0xA900]
    assert outcome[FAILED]["Value"][0]["00081155"]["Value"] == ["1.2.840.1"]


async def test_when_nothing_is_stored_the_request_is_in_conflict(dicomweb: Dicomweb) -> None:
    status, outcome = await dicomweb.store(b"\x89PNG not DICOM", b"", b"\x7fELF" * 200)

    assert status == 409
    assert reasons(outcome, OTHER) == [0xC000] * 3
    assert dicomweb.index.departures == []


async def test_the_same_instance_again_is_stored_and_other_bytes_are_a_warning(
    dicomweb: Dicomweb,
) -> None:
    first = ct_instance(sop_instance_uid="1.2.840.5")
    other = ct_instance(sop_instance_uid="1.2.840.5", seed=5)
    await dicomweb.store(part10(first))

    again, _ = await dicomweb.store(part10(first))
    conflict, outcome = await dicomweb.store(part10(other))

    assert (again, conflict) == (200, 202)
    assert outcome[REFERENCED]["Value"][0]["00081196"]["Value"] == [0x0111]


@pytest.mark.parametrize(
    ("failure", "status", "reason"),
    [(StorageFullError(), 503, 0xA700), (HandoverError("rule"), 409, 0xC000)],
)
async def test_what_cannot_be_indexed_is_not_acknowledged(
    dicomweb: Dicomweb, failure: Exception, status: int, reason: int
) -> None:
    dicomweb.index.failure = failure

    answered, outcome = await dicomweb.store(part10(ct_instance()))

    assert answered == status
    assert reasons(outcome) == [reason]
    assert REFERENCED not in outcome


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="application/dicom+json"; boundary=b',
        'multipart/related; type="application/dicom+xml"; boundary=b',
        "application/json",
        "text/html",
        "multipart/form-data; boundary=b",
    ],
)
async def test_other_bodies_are_not_taken(dicomweb: Dicomweb, content_type: str) -> None:
    status, problem = await dicomweb.post(b"x", content_type)

    assert status == 415
    assert problem["correlation_id"]


async def test_a_gzipped_body_is_not_inflated(dicomweb: Dicomweb) -> None:
    body = gzip.compress(bytes(1 << 20))

    status, _ = await dicomweb.post(body, MULTIPART, Content_Encoding="gzip")

    assert status == 415


@pytest.mark.parametrize(
    "body",
    [
        b"no delimiter",
        b"--b\r\nContent-Type: application/dicom\r\n\r\ncut",
        b"--b\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"--b\r\n\r\nx\r\n" * 50 + b"--b--",
        b"--b--",
    ],
)
async def test_a_body_that_is_not_well_formed_is_refused(dicomweb: Dicomweb, body: bytes) -> None:
    status, problem = await dicomweb.post(body, MULTIPART)

    assert status == 400
    assert problem["type"] == "urn:heimdallr:problem:bad-request"


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'b' * 201}"])
async def test_a_boundary_is_needed(dicomweb: Dicomweb, boundary: str) -> None:
    status, _ = await dicomweb.post(b"x", f"multipart/related; type=application/dicom{boundary}")

    assert status == 400


async def test_a_part_within_a_part_is_no_instance(dicomweb: Dicomweb) -> None:
    inner = b"--c\r\nContent-Type: application/dicom\r\n\r\nx\r\n--c--"
    body = b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n" + inner + b"\r\n--b--"

    status, outcome = await dicomweb.post(body, MULTIPART)

    assert status == 409
    assert reasons(outcome, OTHER) == [0xC000]


async def test_a_length_beyond_the_bound_is_refused_before_the_body(dicomweb: Dicomweb) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        await asyncio.sleep(0)
        yield b"--b"

    status, _ = await dicomweb.post(nothing(), MULTIPART, Content_Length=str(4 << 30))

    assert status == 413


async def test_a_chunked_body_beyond_the_bound_is_cut(dicomweb: Dicomweb) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"--b\r\n\r\n"
        for _ in range(1000):
            yield bytes(64 << 10)

    try:
        status, _ = await dicomweb.post(endless(), MULTIPART)
    except (aiohttp.ClientError, ConnectionError):
        status = 413  # The answer came while we were still sending.

    assert status == 413
    assert dicomweb.index.received == {}


async def test_a_body_that_does_not_come_is_waited_for_within_a_bound(dicomweb: Dicomweb) -> None:
    async def silent() -> AsyncIterator[bytes]:
        yield b"--b\r\n"
        await asyncio.sleep(2)
        yield b"--b--"

    try:
        status, _ = await dicomweb.post(silent(), MULTIPART)
    except (aiohttp.ClientError, ConnectionError):
        status = 408

    assert status == 408


async def test_storing_needs_the_permission_to_write(dicomweb: Dicomweb) -> None:
    only_read = replace(dicomweb, token=dicomweb.mesh.tokens.mint(READ))

    status, _ = await only_read.store(part10(ct_instance()))

    assert status == 403
    assert dicomweb.index.received == {}
    ((entry, outcome),) = dicomweb.trail.denials
    assert (entry.method, outcome.code) == ("/gateway.dicomweb/StoreInstances", "PERMISSION_DENIED")


async def test_each_request_that_stores_is_audited(dicomweb: Dicomweb) -> None:
    await dicomweb.store(part10(ct_instance()))

    (entry,) = dicomweb.trail.entries
    assert entry.method == "/gateway.dicomweb/StoreInstances"
    assert dicomweb.trail.outcomes[entry.entry_id].code == "OK"


async def test_a_page_of_another_origin_stores_nothing(dicomweb: Dicomweb) -> None:
    headers = {
        "Cookie": f"heimdallr_session={dicomweb.token}",
        "Origin": "http://evil.example",
        "Sec-Fetch-Site": "same-site",
        "Content-Type": "application/dicom",
    }
    async with dicomweb.session.post(
        "/dicom-web/studies", data=part10(ct_instance()), headers=headers
    ) as answer:
        assert answer.status == 403

    assert dicomweb.index.received == {}


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> DicomwebSettings:
    corpora = "corpora" in request.keywords
    return DicomwebSettings(
        max_parts=20,
        max_request_bytes=(64 if corpora else 4) << 20,
        body_timeout_s=10 if corpora else 0.5,
    )


@pytest.mark.corpora
async def test_hostile_files_are_stored_or_refused_one_by_one(dicomweb: Dicomweb) -> None:
    files = [
        path for path in sorted(corpus("hostile").rglob("*.dcm")) if path.stat().st_size < 2**21
    ]
    assert len(files) > 100

    statuses = set()
    for start in range(0, len(files), 20):
        batch = [path.read_bytes() for path in files[start : start + 20]]
        status, outcome = await dicomweb.store(*batch)
        statuses.add(status)
        told = sum(
            len(outcome.get(name, {}).get("Value", ())) for name in (REFERENCED, FAILED, OTHER)
        )
        assert told == len(batch)
        assert "Traceback" not in json.dumps(outcome)

    assert statuses <= {200, 202, 409}
    status, _ = await dicomweb.store(part10(ct_instance()))
    assert status == 200
