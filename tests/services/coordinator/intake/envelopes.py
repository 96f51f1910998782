"""Envelopes of made-up instances."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

from heimdallr.imaging.v1.blob_ref_pb2 import BlobRef
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from heimdallr.intake.v1 import intake_service_pb2 as pb
from heimdallr.intake.v1 import intake_service_pb2_grpc as pb_grpc
from services.runtime.ids import new_id

CT = "1.2.840.10008.5.1.4.1.1.2"


def attributes(
    study: str = "1.2.1", series: str | None = None, number: int = 1, **more: Any
) -> InstanceAttributes:
    """Return attributes of one CT slice; UIDs follow from study, series and number."""
    series = series or f"{study}.1"
    values: dict[str, Any] = {
        "sop_class_uid": CT,
        "sop_instance_uid": f"{series}.{number}",
        "study_instance_uid": study,
        "series_instance_uid": series,
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "patient_id": "P1",
        "patient_name": "Doe^Jane",
        "study_date": "20260102",
        "accession_number": "A1",
        "modality": "CT",
        "instance_number": number,
    }
    return InstanceAttributes(**(values | more))


def blob_of(data: bytes) -> BlobRef:
    """Return the name of some bytes."""
    return BlobRef(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        media_type="application/dicom",
    )


def instance(
    index: InstanceAttributes,
    data: bytes,
    association_id: str | None = None,
    *,
    chunked: bool = False,
) -> pb.Instance:
    """Return the envelope of an instance."""
    source = pb.Source(door=pb.DOOR_DIMSE, association_id=association_id or new_id())
    message = pb.Instance(attributes=index, source=source)
    (message.chunked if chunked else message.staged).CopyFrom(blob_of(data))
    return message


async def exchange(
    stub: pb_grpc.IntakeServiceAsyncStub, requests: Iterable[pb.IngestRequest]
) -> dict[int, pb.IngestResponse]:
    """Send requests on one stream and return the answers by sequence."""

    async def outgoing() -> AsyncIterator[pb.IngestRequest]:
        for request in requests:
            yield request

    found: dict[int, pb.IngestResponse] = {}
    async for answer in stub.Ingest(outgoing()):
        assert answer.sequence not in found
        found[answer.sequence] = answer
    return found
