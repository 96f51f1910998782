"""gRPC adapter of associations: see ``associations_service.proto``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import grpc

from gateway.dimse.recorder import AssociationRecord, FlightRecorder, Traffic
from heimdallr.dimse.v1 import associations_service_pb2 as pb
from heimdallr.dimse.v1 import associations_service_pb2_grpc as pb_grpc
from services.runtime.errors import InvalidFieldError

Context = grpc.aio.ServicerContext[Any, Any]
_DEFAULT_PAGE: Final = 20
_MOST: Final = 1_000


class AssociationsService(pb_grpc.AssociationsServiceServicer):
    """Serves ``heimdallr.dimse.v1.AssociationsService``.

    Args:
        recorder: Keeps what associations said.
        offered: Tells what they are offered.
    """

    def __init__(
        self, recorder: FlightRecorder, offered: Callable[[], pb.GetConformanceResponse]
    ) -> None:
        self._recorder = recorder
        self._offered = offered

    async def ListRecentAssociations(
        self, request: pb.ListRecentAssociationsRequest, context: Context
    ) -> pb.ListRecentAssociationsResponse:
        """See ``associations_service.proto``."""
        if not 0 <= request.page_size <= _MOST:
            raise InvalidFieldError("page_size", f"0 to {_MOST}")
        found = self._recorder.recent(request.page_size or _DEFAULT_PAGE)
        return pb.ListRecentAssociationsResponse(associations=map(record_to_proto, found))

    async def GetConformance(
        self, request: pb.GetConformanceRequest, context: Context
    ) -> pb.GetConformanceResponse:
        """See ``associations_service.proto``."""
        return self._offered()


def record_to_proto(record: AssociationRecord) -> pb.RecentAssociation:
    """Return what was kept of an association as a message."""
    message = pb.RecentAssociation(
        association_id=record.association_id,
        calling_ae_title=record.calling_ae_title,
        called_ae_title=record.called_ae_title,
        peer_address=record.peer_address,
        tls=record.tls,
        max_pdu_length=record.max_pdu_length,
        contexts=[
            pb.NegotiatedContext(
                context_id=context.context_id,
                result=context.result,
                abstract_syntax_uid=context.abstract_syntax,
                transfer_syntax_uid=context.transfer_syntax,
            )
            for context in record.contexts
        ],
        messages=map(_message, record.traffic),
        message_count=record.message_count,
        outcome=record.outcome,
        duration_s=record.duration_s,
    )
    message.begin_time.FromDatetime(record.begin_time)
    return message


def _message(traffic: Traffic) -> pb.RecentMessage:
    return pb.RecentMessage(
        offset_s=traffic.offset_s,
        received=traffic.received,
        kind=traffic.kind,
        context_id=traffic.context_id,
        message_id=traffic.message_id,
        status=traffic.status,
        sop_class_uid=traffic.sop_class_uid,
        pdu_count=traffic.pdu_count,
        byte_count=traffic.byte_count,
    )
