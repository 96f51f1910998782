"""What lies in the database after instances came in."""

from __future__ import annotations

from typing import Any

from heimdallr.intake.v1 import intake_service_pb2 as pb
from tests.services.coordinator.intake.envelopes import (
    attributes,
    instance,
)

STORED = pb.DISPOSITION_STORED


def chunked(data: bytes, sequence: int, size: int, **more: Any) -> list[pb.IngestRequest]:
    envelope = instance(attributes(number=sequence, **more), data, chunked=True)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    chunks = [
        pb.IngestRequest(
            sequence=sequence, chunk=pb.Chunk(data=piece, last=index == len(pieces) - 1)
        )
        for index, piece in enumerate(pieces)
    ]
    return [pb.IngestRequest(sequence=sequence, instance=envelope), *chunks]
