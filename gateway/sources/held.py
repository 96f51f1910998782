"""Which instances of a study are here already."""

from __future__ import annotations

from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1 import archive_service_pb2_grpc as pb_grpc
from heimdallr.workflow.v1 import completeness_service_pb2 as completeness_pb
from heimdallr.workflow.v1 import completeness_service_pb2_grpc as completeness_grpc
from services.runtime.client import ServiceCallError, typed_errors


class Held:
    """What the archive holds of studies, and what is told it of their size.

    Args:
        archive: The archive.
        completeness: Who is told how many instances a source has of a study.
    """

    def __init__(
        self,
        archive: pb_grpc.ArchiveServiceAsyncStub,
        completeness: completeness_grpc.CompletenessServiceAsyncStub,
    ) -> None:
        self._archive = archive
        self._completeness = completeness

    async def instances(self, study_instance_uid: str) -> set[str]:
        """Return the SOP Instance UIDs of a study that are here.

        Raises:
            ServiceCallError: The archive cannot be asked.
        """
        request = pb.LocateInstancesRequest(study_instance_uids=[study_instance_uid])
        found: set[str] = set()
        with typed_errors():
            async for batch in self._archive.LocateInstances(request):
                found.update(instance.sop_instance_uid for instance in batch.instances)
        return found

    async def confirm(self, study_instance_uid: str, source: str, count: int) -> None:
        """Tell how many instances of a study its source has (evidence B).

        Raises:
            ServiceCallError: It cannot be told now.
        """
        request = completeness_pb.ConfirmCountRequest(
            study_instance_uid=study_instance_uid, source=source, instance_count=count
        )
        try:
            with typed_errors():
                await self._completeness.ConfirmCount(request)
        except ServiceCallError as error:
            # A study of which nothing was taken is unknown here, and needs no evidence.
            if error.retryable:
                raise
