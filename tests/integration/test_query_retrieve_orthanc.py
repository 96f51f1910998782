"""Orthanc as a peer that asks: it searches us, retrieves, and has us commit to what it sent."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.runtime.client import MeshChannel
from tests.integration.peers import Exchange, dimse_address, sent_to_us, written
from tests.support.dcmtk import require_dcmtk
from tests.support.orthanc import RunningOrthanc, require_orthanc
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.orthanc, pytest.mark.dcmtk]


@pytest.fixture(scope="module")
def orthanc(stack: RunningStack) -> Iterator[RunningOrthanc]:
    require_dcmtk()
    require_orthanc()
    us = {"heimdallr": ("HEIMDALLR", "127.0.0.1", stack.dicom_port)}
    with RunningOrthanc(modalities=us, ae_title="ASKER") as running:
        yield running


@pytest.fixture
async def registered(channel: MeshChannel, orthanc: RunningOrthanc) -> AsyncIterator[None]:
    exchange = Exchange(channel)
    address = dimse_address("ASKER", orthanc.dicom_port)
    await exchange.register("asker", dimse=address, move_destination=True)
    yield
    await exchange.forget("asker")


def asked(orthanc: RunningOrthanc, level: str, **keys: str) -> tuple[str, list[Any]]:
    """Return the path of a query of Orthanc, and its answers."""
    query = orthanc.post("/modalities/heimdallr/query", {"Level": level, "Query": keys})
    path = f"/queries/{query['ID']}"
    answers = [
        orthanc.get(f"{path}/answers/{number}/content?simplify")
        for number in orthanc.get(f"{path}/answers")
    ]
    return path, answers


def judged(orthanc: RunningOrthanc, transaction: str) -> dict[str, Any]:
    """Return what became of a request for storage commitment."""
    deadline = time.monotonic() + 30
    while True:
        report: dict[str, Any] = orthanc.get(f"/storage-commitment/{transaction}")
        if report["Status"] != "Pending" or time.monotonic() > deadline:
            return report
        time.sleep(0.1)


@pytest.mark.usefixtures("registered")
async def test_it_finds_a_study_and_retrieves_it(
    stack: RunningStack, orthanc: RunningOrthanc, tmp_path: Path
) -> None:
    study_uid = sent_to_us(stack, tmp_path, 4)
    before = orthanc.instance_count()

    path, answers = asked(
        orthanc, "Study", StudyInstanceUID=study_uid, NumberOfStudyRelatedInstances=""
    )
    orthanc.post(f"{path}/retrieve", b"ASKER")

    [answer] = answers
    assert answer["PatientID"] == "GATEWAY-1"
    assert int(answer["NumberOfStudyRelatedInstances"]) == 4
    assert orthanc.instance_count() == before + 4


@pytest.mark.usefixtures("registered")
async def test_it_finds_series_and_instances(
    stack: RunningStack, orthanc: RunningOrthanc, tmp_path: Path
) -> None:
    study_uid = sent_to_us(stack, tmp_path, 3)

    _, [series] = asked(orthanc, "Series", StudyInstanceUID=study_uid, Modality="")
    _, instances = asked(
        orthanc,
        "Instance",
        StudyInstanceUID=study_uid,
        SeriesInstanceUID=series["SeriesInstanceUID"],
    )

    assert series["Modality"] == "CT"
    assert len(instances) == 3


@pytest.mark.usefixtures("registered")
async def test_what_it_sent_is_committed_to(
    stack: RunningStack, orthanc: RunningOrthanc, tmp_path: Path
) -> None:
    _, paths = written(tmp_path, 3)
    ids = [orthanc.post("/instances", path.read_bytes())["ID"] for path in paths]
    request = {"Resources": ids, "StorageCommitment": True, "Synchronous": True}

    stored = orthanc.post("/modalities/heimdallr/store", request)
    report = judged(orthanc, stored["StorageCommitmentTransactionUID"])

    assert report["Status"] == "Success"
    assert len(report["Success"]) == 3


@pytest.mark.usefixtures("registered")
async def test_what_it_did_not_send_is_not_committed_to(
    stack: RunningStack, orthanc: RunningOrthanc, tmp_path: Path
) -> None:
    _, paths = written(tmp_path, 2)
    first, second = (orthanc.post("/instances", path.read_bytes())["ID"] for path in paths)
    orthanc.post("/modalities/heimdallr/store", {"Resources": [first], "Synchronous": True})

    asked_for = orthanc.post(
        "/modalities/heimdallr/storage-commitment", {"Resources": [first, second]}
    )
    report = judged(orthanc, asked_for["ID"])

    assert report["Status"] == "Failure"
    assert len(report["Success"]) == 1
    [failure] = report["Failures"]
    assert 0x0112 in failure.values()
