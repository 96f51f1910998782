"""User names and passcodes of peers, checked against the people that the access service knows."""

from __future__ import annotations

from typing import Final

import grpc

from gateway.dimse.identification import Identification, NoIdentification
from gateway.dimse.identity import USERNAME_AND_PASSCODE, UserIdentity
from gateway.dimse.negotiation import TEMPORARY_CONGESTION, USER_NOT_IDENTIFIED, Rejection
from gateway.dimse.settings import DicomSettings
from heimdallr.access.v1 import access_service_pb2 as pb
from heimdallr.access.v1.access_service_pb2_grpc import AccessServiceStub
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import ServiceError

_TIMEOUT_S: Final = 10.0
_REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INVALID_ARGUMENT,
        # Guessed too often: it is refused as a wrong one is.
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


class PasscodeIdentification:
    """Lets in who names a person and gives their password; any other identity is refused.

    Args:
        coordinator: Channel to the access service.
        required: Refuse peers that name nobody.
    """

    def __init__(self, coordinator: grpc.aio.Channel, *, required: bool) -> None:
        self._access = AccessServiceStub(coordinator)
        self._required = required

    async def rejection(self, identity: UserIdentity | None) -> Rejection | None:
        """See ``Identification``."""
        if identity is None:
            return USER_NOT_IDENTIFIED if self._required else None
        if identity.kind != USERNAME_AND_PASSCODE:
            return USER_NOT_IDENTIFIED
        try:
            name, password = (part.decode() for part in (identity.primary, identity.secondary))
            request = pb.SignInWithPasswordRequest(name=name, password=password)
            with typed_errors():
                await self._access.SignInWithPassword(request, timeout=_TIMEOUT_S)
        except UnicodeDecodeError:
            return USER_NOT_IDENTIFIED
        except ServiceCallError as error:
            return USER_NOT_IDENTIFIED if error.code in _REFUSALS else TEMPORARY_CONGESTION
        except ServiceError:
            return TEMPORARY_CONGESTION
        return None

    def answers(self, identity: UserIdentity | None) -> bool:
        """See ``Identification``."""
        return identity is not None and identity.answer_wanted


def identification(settings: DicomSettings, coordinator: grpc.aio.Channel) -> Identification:
    """Return who judges the users of peers, as the settings say."""
    if settings.user_identity == "ignore":
        return NoIdentification()
    return PasscodeIdentification(coordinator, required=settings.user_identity == "require")
