"""One object compared before and after, in a process."""

from __future__ import annotations

import json

from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from services.deid import messages
from services.deid.orders import Orders
from services.deid.processes import Processes, ProcessFailedError
from services.deid.stored_files import stored_file
from services.deid.treating import check_source
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.errors import InvalidDicomError, LimitExceededError
from services.runtime.workspaces import Workspaces

_INVALID = "INVALID_DICOM"


async def compared(
    processes: Processes,
    orders: Orders,
    content: tuple[BlobStore, Workspaces, BlobRef],
    *,
    reveal: bool,
) -> pb.CompareInstanceResponse:
    """Return what is done with an object.

    Args:
        processes: Read it.
        orders: How it is treated.
        content: Where it lies, where a copy may lie, and its name.
        reveal: Whether values are told as they are.

    Raises:
        BlobNotFoundError: The object is not stored.
        BlobCorruptError: It does not have the bytes its hash promises.
        InvalidDicomError: It is not DICOM, or breaks the encoding rules.
        LimitExceededError: A process died of it, or it takes too long.
    """
    blobs, workspaces, ref = content
    try:
        async with stored_file(blobs, workspaces, ref) as path:
            task = {"path": str(path), "source_sha256": ref.sha256, "reveal": reveal}
            async with processes.doing(orders, task) as answer:
                check_source(answer.said, ref.sha256)
                text = b"".join([chunk async for chunk in answer.chunks()])
                held = answer.said.get("held")
    except ProcessFailedError:
        raise LimitExceededError("deid_process") from None
    if held is None:
        return messages.comparison_to_proto(json.loads(text))
    if held[0]["code"] == _INVALID:
        raise InvalidDicomError(held[0]["element"], held[0]["rule"])
    findings = {"changes": (), "boxes": (), "findings": held, "kept_count": 0}
    return messages.comparison_to_proto(findings)
