"""A gateway that holds instances, and an archive that knows where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from pydicom.dataset import Dataset

from heimdallr.archive.v1 import archive_service_pb2 as pb
from tests.gateway.conftest import RunningGateway
from tests.support.instances import encoded
from tests.support.scu import EXPLICIT, Scu

Hold = Callable[[RunningGateway, Sequence[Dataset]], Awaitable[None]]


@pytest.fixture
def hold() -> Hold:
    """Give a function that stores instances and tells the archive of them."""

    async def work(gateway: RunningGateway, datasets: Sequence[Dataset]) -> None:
        def send() -> None:
            with Scu(gateway.port) as scu:
                classes = sorted({str(d.SOPClassUID) for d in datasets})
                scu.associate([(2 * i + 1, uid, (EXPLICIT,)) for i, uid in enumerate(classes)])
                for dataset in datasets:
                    sop_class = str(dataset.SOPClassUID)
                    context = 2 * classes.index(sop_class) + 1
                    data = encoded(dataset)
                    assert scu.store(data, dataset.SOPInstanceUID, sop_class, context) == 0
                scu.release()

        await asyncio.to_thread(send)
        gateway.coordinator.archive.located = [
            pb.LocatedInstance(
                study_instance_uid=one.attributes.study_instance_uid,
                series_instance_uid=one.attributes.series_instance_uid,
                sop_instance_uid=one.attributes.sop_instance_uid,
                sop_class_uid=one.attributes.sop_class_uid,
                transfer_syntax_uid=one.attributes.transfer_syntax_uid,
                blob=getattr(one, one.WhichOneof("content") or "staged"),
                instance_id=f"00000000-0000-7000-8000-{number:012}",
            )
            for number, one in enumerate(gateway.intake.instances)
        ]

    return work
