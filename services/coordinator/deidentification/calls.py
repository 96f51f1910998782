"""Calls of people that the de-identification service answers, with errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc

from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from heimdallr.deid.v1.deidentification_service_pb2_grpc import DeidentificationServiceStub
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import (
    BlobCorruptError,
    BlobNotFoundError,
    DeidKeyUnavailableError,
    DependencyUnavailableError,
    InvalidDicomError,
    OcrUnavailableError,
    ServiceError,
)

COMPARE_S: Final = 120.0
_OPEN_S: Final = 30.0


class DeidCalls:
    """Asks the de-identification service.

    Args:
        channel: Channel to the mesh.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._deid = DeidentificationServiceStub(channel)

    async def open(self, request: pb.OpenSealedRequest) -> pb.Identity:
        """Return who or what stands behind a pseudonym.

        Raises:
            ServiceError: The key is not at hand, or the service cannot be reached.
        """
        with _ours(request.project_id):
            return (await self._deid.OpenSealed(request, timeout=_OPEN_S)).identity

    async def compare(self, request: pb.CompareInstanceRequest) -> pb.CompareInstanceResponse:
        """Return what a profile does with an object.

        Raises:
            ServiceError: The object or the key is not at hand, or the service cannot be reached.
        """
        with _ours(request.project_id):
            return await self._deid.CompareInstance(request, timeout=COMPARE_S)

    async def rotate(self, project_id: str) -> int:
        """Make a new version of a project's key and return its number.

        Raises:
            ServiceError: The key is not at hand, or the service cannot be reached.
        """
        with _ours(project_id):
            answer = await self._deid.RotateKey(
                pb.RotateKeyRequest(project_id=project_id), timeout=_OPEN_S
            )
        return answer.key_version


@contextmanager
def _ours(project_id: str) -> Iterator[None]:
    try:
        with typed_errors():
            yield
    except ServiceCallError as error:
        raise _as_ours(error, project_id) from None


def _as_ours(error: ServiceCallError, project_id: str) -> ServiceError:
    sha256 = error.metadata.get("sha256", "")
    known: dict[str, ServiceError] = {
        "ERROR_REASON_DEID_KEY_UNAVAILABLE": DeidKeyUnavailableError(project_id),
        "ERROR_REASON_BLOB_NOT_FOUND": BlobNotFoundError(sha256),
        "ERROR_REASON_BLOB_CORRUPT": BlobCorruptError(sha256),
        "ERROR_REASON_OCR_UNAVAILABLE": OcrUnavailableError(),
        "ERROR_REASON_INVALID_DICOM": InvalidDicomError(
            error.metadata.get("field", ""), error.metadata.get("rule", "")
        ),
    }
    return known.get(error.reason, DependencyUnavailableError("deid"))
