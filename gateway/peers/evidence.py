"""What a peer's own count tells of the completeness of a study that was fetched whole."""

from __future__ import annotations

from typing import Final

from gateway.peers.peer import Peer
from heimdallr.workflow.v1 import completeness_service_pb2 as pb
from heimdallr.workflow.v1 import completeness_service_pb2_grpc as pb_grpc
from services.runtime import logs
from services.runtime.client import ServiceCallError, typed_errors

NOT_CONFIRMED: Final = "fetch.count_not_confirmed"


class FetchedEvidence:
    """Tells how many instances of a study its peer has.

    Args:
        stub: Who is told.
    """

    def __init__(self, stub: pb_grpc.CompletenessServiceAsyncStub) -> None:
        self._stub = stub

    async def confirm(self, peer: Peer, study_instance_uid: str, count: int) -> None:
        """Tell it; without it the study is complete once it was quiet for a while."""
        if count < 1:
            return
        request = pb.ConfirmCountRequest(
            study_instance_uid=study_instance_uid, source=peer.name, instance_count=count
        )
        try:
            with typed_errors():
                await self._stub.ConfirmCount(request)
        except ServiceCallError as error:
            logs.get_logger().warning(NOT_CONFIRMED, code=error.code.name)
