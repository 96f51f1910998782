"""gRPC adapter of the crosswalk."""

from __future__ import annotations

from typing import Any, Protocol

import grpc

from heimdallr.deid.v1 import crosswalk_service_pb2 as pb
from heimdallr.deid.v1 import crosswalk_service_pb2_grpc as pb_grpc
from heimdallr.deid.v1 import deidentification_service_pb2 as deid_pb
from services.coordinator.crosswalk.errors import ReidentificationNotFoundError
from services.coordinator.crosswalk.messages import (
    KIND_NUMBERS,
    question_from_proto,
    request_to_proto,
)
from services.coordinator.crosswalk.store import CrosswalkStore
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id
from services.runtime.tokens import current_caller

Context = grpc.aio.ServicerContext[Any, Any]


class Policies(Protocol):
    """Knows what projects ask for."""

    async def two_persons(self, project_id: str) -> bool:
        """Return whether another person must agree before a pseudonym of a project is opened.

        Raises:
            ServiceError: No such project.
        """
        ...


class Opener(Protocol):
    """Opens what was sealed under a project's key."""

    async def open(self, request: deid_pb.OpenSealedRequest) -> deid_pb.Identity:
        """Return who or what stands behind a pseudonym.

        Raises:
            ServiceError: The key is not at hand, or the service cannot be reached.
        """
        ...


class CrosswalkService(pb_grpc.CrosswalkServiceServicer):
    """Serves ``heimdallr.deid.v1.CrosswalkService``."""

    def __init__(self, store: CrosswalkStore, policies: Policies, opener: Opener) -> None:
        self._store = store
        self._policies = policies
        self._opener = opener

    async def RequestReidentification(
        self, request: pb.RequestReidentificationRequest, context: Context
    ) -> pb.RequestReidentificationResponse:
        """See ``crosswalk_service.proto``."""
        question = question_from_proto(request)
        two_persons = await self._policies.two_persons(question.project_id)
        subject = current_caller().subject
        found = await self._store.request(question, subject, two_persons=two_persons)
        return pb.RequestReidentificationResponse(reidentification=request_to_proto(found))

    async def DecideReidentification(
        self, request: pb.DecideReidentificationRequest, context: Context
    ) -> pb.DecideReidentificationResponse:
        """See ``crosswalk_service.proto``."""
        found = await self._store.decide(
            _request_id(request.reidentification_id),
            current_caller().subject,
            agree=request.agree,
        )
        return pb.DecideReidentificationResponse(reidentification=request_to_proto(found))

    async def Reidentify(
        self, request: pb.ReidentifyRequest, context: Context
    ) -> pb.ReidentifyResponse:
        """See ``crosswalk_service.proto``."""
        wanted = _request_id(request.reidentification_id)
        found, sealed = await self._store.tell(wanted, current_caller().subject)
        identity = await self._opener.open(
            deid_pb.OpenSealedRequest(
                project_id=found.project_id,
                sealed=sealed,
                kind=KIND_NUMBERS[found.kind],
                pseudonym=found.pseudonym,
            )
        )
        return pb.ReidentifyResponse(identity=identity)

    async def ListReidentifications(
        self, request: pb.ListReidentificationsRequest, context: Context
    ) -> pb.ListReidentificationsResponse:
        """See ``crosswalk_service.proto``."""
        if request.project_id and not is_id(request.project_id):
            raise InvalidFieldError("project_id", "one of our ids")
        found = await self._store.requests(request.project_id or None)
        return pb.ListReidentificationsResponse(reidentifications=map(request_to_proto, found))


def _request_id(text: str) -> str:
    if not is_id(text):
        raise ReidentificationNotFoundError
    return text
