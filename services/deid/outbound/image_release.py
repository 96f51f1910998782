"""Pictures on their way outside: the object is de-identified as a whole, then drawn."""

from __future__ import annotations

from dataclasses import dataclass

from heimdallr.deid.v1 import profile_pb2
from services.deid.orders import Orders
from services.deid.processes import Processes, ProcessFailedError
from services.deid.profile.options import options_of
from services.deid.project_key import ProjectKey
from services.deid.stored_files import stored_file
from services.deid.treating import check_source
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.errors import (
    InvalidDicomError,
    LimitExceededError,
    NotReleasedError,
    OcrUnavailableError,
)
from services.runtime.workspaces import Workspaces

_PRESET = "external-model"


@dataclass(frozen=True, slots=True)
class ReleasedPicture:
    """What may leave.

    Attributes:
        png: The picture.
        boxes: Where it was blanked.
    """

    png: bytes
    boxes: tuple[profile_pb2.Box, ...]


class Pictures:
    """Makes pictures of stored objects.

    Args:
        blobs: Where objects lie.
        workspaces: Where copies may lie meanwhile.
        processes: Read them.
    """

    def __init__(self, blobs: BlobStore, workspaces: Workspaces, processes: Processes) -> None:
        self._blobs = blobs
        self._workspaces = workspaces
        self._processes = processes

    async def close(self) -> None:
        """End the processes that wait."""
        await self._processes.close()

    async def release(self, project_id: str, ref: BlobRef, frame: int) -> ReleasedPicture:
        """Return a frame of an object without identity.

        Args:
            project_id: For which it is released.
            ref: The object.
            frame: Number of the frame, from 1.

        Raises:
            NotReleasedError: It cannot be proved clean.
            OcrUnavailableError: Nothing here reads pixels.
            InvalidDicomError: It is not DICOM, or breaks the encoding rules.
            BlobNotFoundError, BlobCorruptError: It is not stored as it is named.
            LimitExceededError: It takes too much.
        """
        # Nothing of the header leaves, so pseudonyms are under a key that nobody keeps.
        orders = Orders(project_id, ProjectKey.made(), options_of(_PRESET), (), {})
        try:
            async with stored_file(self._blobs, self._workspaces, ref) as path:
                task = {"path": str(path), "source_sha256": ref.sha256, "frame": frame}
                async with self._processes.doing(orders, task) as answer:
                    check_source(answer.said, ref.sha256)
                    png = b"".join([chunk async for chunk in answer.chunks()])
                    said = answer.said
        except ProcessFailedError:
            raise LimitExceededError("deid_process") from None
        if "held" in said:
            raise _refusal(said["held"][0])
        boxes = (profile_pb2.Box(**box) for box in said["boxes"] if box["frame"] == frame)
        return ReleasedPicture(png, tuple(boxes))


def _refusal(finding: dict[str, str]) -> Exception:
    if finding["code"] == "OCR_UNAVAILABLE":
        return OcrUnavailableError()
    if finding["code"] == "INVALID_DICOM":
        return InvalidDicomError(finding["element"], finding["rule"])
    return NotReleasedError(finding["rule"])
