"""The de-identification servicer, called through a real channel with real processes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
import pytest_asyncio
from pydicom.dataset import Dataset

from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from heimdallr.deid.v1 import profile_pb2
from services.deid.certificate import public_key_text, signing_key, verified
from services.deid.key_files import read_key
from services.runtime.client import ServiceCallError, typed_errors
from tests.support.deid_service import PROJECT, RESEARCH, DeidService, running_deid
from tests.support.instances import part10

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deid(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DeidService]:
    async with running_deid(tmp_path_factory.mktemp("deid"), processes=2) as running:
        yield running


async def test_a_series_is_deidentified_from_blob_store_to_blob_store(
    deid: DeidService, ct: Dataset
) -> None:
    sources = await deid.stored(part10(ct), part10(ct))

    instances, outcome = await deid.series(sources)

    assert [one.instance_id for one in instances] == ["source-0", "source-1"]
    copy = pydicom.dcmread(BytesIO(await deid.read(instances[0].released)))
    assert str(copy.SOPInstanceUID) == instances[0].sop_instance_uid != ct.SOPInstanceUID
    assert copy.StudyInstanceUID == instances[0].study_instance_uid
    assert "KANARIENVOGEL" not in str(copy)
    assert (outcome.released_count, outcome.held_count) == (2, 0)
    key = read_key(deid.keys / f"{PROJECT}.json")
    trusted = public_key_text(signing_key(key.first.key).public_key())
    certificate = verified((await deid.read(outcome.certificate)).decode(), trusted)
    assert certificate["entries"][0]["sha256"] == instances[0].released.sha256
    assert certificate["key_id"] == outcome.key_id
    assert deid.left() == []
