"""A peer that searches by C-FIND."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from heimdallr.archive.v1 import archive_service_pb2 as archive
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from tests.gateway.conftest import RunningGateway
from tests.support.requester import EXPLICIT, Message, Requester, identifier

T = TypeVar("T")


FIND = 0x0020
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY = archive.Study(
    study_instance_uid="1.2.3",
    patient_id="4711",
    patient_name="Müller^Änne",
    study_date="20260102",
    study_time="101500",
    accession_number="A1",
    study_description="Thorax",
    modalities=["CT", "SR"],
    series_count=2,
    instance_count=40,
)


SERIES = archive.Series(
    series_instance_uid="1.2.3.4",
    instance_count=20,
    attributes=InstanceAttributes(
        series_instance_uid="1.2.3.4",
        modality="CT",
        series_number=0,
        series_date="20260102",
        manufacturer="ACME",
    ),
)


INSTANCE = archive.Instance(
    attributes=InstanceAttributes(
        sop_instance_uid="1.2.3.4.5",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        rows=512,
        image_position_mm=[1.5, -2, 0],
    )
)


ROW = archive.QueryRow(study=STUDY, series=SERIES, instance=INSTANCE)


async def asked(
    gateway: RunningGateway,
    work: Callable[[Requester], T],
    sop_class: str = STUDY_ROOT,
    syntax: str = EXPLICIT,
    request: bytes = b"",
) -> T:
    """Run blocking work over an association of a registered peer."""
    gateway.coordinator.peers.add("TESTSCU")

    def run() -> T:
        with Requester(gateway.port) as scu:
            if request:
                scu.send(request)
                scu.receive()
            else:
                scu.associate([(1, sop_class, (syntax,))])
            return work(scu)

    return await asyncio.to_thread(run)


def finding(
    sop_class: str = STUDY_ROOT, syntax: str = EXPLICIT, **keys: Any
) -> Callable[[Requester], list[Message]]:
    """Return the work of one query."""

    def work(scu: Requester) -> list[Message]:
        scu.request(FIND, sop_class, identifier(syntax, **keys))
        return scu.answers()

    return work
