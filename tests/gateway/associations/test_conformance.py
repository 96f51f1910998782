"""The conformance statement: from what is configured, and the same as the committed page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from gateway.dimse.allowed import parse_allowed
from gateway.dimse.settings import DicomSettings
from heimdallr.dimse.v1 import associations_service_pb2 as pb
from heimdallr.dimse.v1 import associations_service_pb2_grpc as pb_grpc
from services.cli.conformance_text import markdown
from services.dicom.uids import STORAGE_SOP_CLASSES
from tests.gateway.conftest import RunningGateway, Start
from tests.support.instances import ct_instance, encoded
from tests.support.scu import Scu

PAGE = Path(__file__).resolve().parents[3] / "docs" / "dicom-conformance.md"


@asynccontextmanager
async def calls(gateway: RunningGateway) -> AsyncIterator[pb_grpc.AssociationsServiceAsyncStub]:
    """Serve the gateway's own services, without tokens, and call them."""
    server = grpc.aio.server()
    gateway.gateway.add_servicers(server)
    address = f"unix:{gateway.folder}/associations.sock"
    server.add_insecure_port(address)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield pb_grpc.AssociationsServiceStub(channel)
    finally:
        await server.stop(None)


async def test_the_committed_page_is_that_of_the_default_configuration(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway()

    assert PAGE.read_text() == markdown(gateway.gateway.conformance()), (
        "run scripts/generate_conformance.py"
    )


async def test_what_is_configured_is_what_is_stated(start_gateway: Start) -> None:
    dicom = DicomSettings(allowed=(parse_allowed("CT1@10.0.0.1"),))
    gateway = await start_gateway(
        dicom=dicom, ae_title="ARCHIVE", require_called_ae_title=True, max_associations=7
    )

    async with calls(gateway) as stub:
        stated = await stub.GetConformance(pb.GetConformanceRequest())

    text = markdown(stated)
    assert "ARCHIVE (must be called)" in text
    assert "| associations at once | 7 |" in text
    assert "Only peers of a list may associate" in text


async def test_every_service_that_is_served_is_stated(start_gateway: Start) -> None:
    gateway = await start_gateway()

    stated = gateway.gateway.conformance()

    commands = {command for service in stated.services for command in service.commands}
    assert {"C-FIND", "C-MOVE", "C-GET", "N-ACTION", "N-CREATE", "N-SET"} <= commands
    assert {one.sop_class_uid for one in stated.storage} == STORAGE_SOP_CLASSES
    assert all(service.name for service in stated.services)


async def test_the_last_associations_are_listed(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()

    def send() -> None:
        with Scu(gateway.port) as scu:
            scu.associate()
            scu.store(encoded(dataset), dataset.SOPInstanceUID)
            scu.release()

    await asyncio.to_thread(send)
    async with calls(gateway) as stub:
        found = await stub.ListRecentAssociations(pb.ListRecentAssociationsRequest())
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.ListRecentAssociations(pb.ListRecentAssociationsRequest(page_size=1001))

    [association] = found.associations
    assert association.outcome == "RELEASED"
    assert [m.kind for m in association.messages][:2] == ["A-ASSOCIATE-AC", "C-STORE-RQ"]
    assert association.messages[2].status == 0
    assert association.messages[2].HasField("status")
    assert not association.messages[1].HasField("status")
