"""Instances that a gateway holds and that the archive double knows of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pydicom.dataset import Dataset

from heimdallr.archive.v1 import archive_service_pb2 as pb
from tests.gateway.conftest import RunningGateway
from tests.support.instances import encoded
from tests.support.scu import EXPLICIT, Scu


async def hold(gateway: RunningGateway, datasets: Sequence[Dataset]) -> None:
    """Store instances and tell the archive double of them."""

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
