"""Who may be told of patients: registered peers of trust zone inside, at their own address."""

from __future__ import annotations

from typing import Final, Protocol

from gateway.dimse.commands import Status
from gateway.source import Source
from services.runtime.client import ServiceCallError
from services.runtime.errors import DependencyUnavailableError

NOT_AUTHORIZED: Final = Status(0x0124, "not a registered peer inside")
REGISTRY_AWAY: Final = Status(0xA700, "the registry of peers cannot be asked")


class Registry(Protocol):
    """The registry of peers as it is asked here."""

    async def is_inside(self, ae_title: str, address: str) -> bool:
        """Tell whether identified data may go to a caller.

        Raises:
            DependencyUnavailableError, ServiceCallError: It cannot be asked.
        """
        ...


async def refusal(registry: Registry, source: Source) -> Status | None:
    """Return the status for a caller that is told nothing, None for one that may be answered.

    Whatever an answer holds of patients goes to the caller, so it has to be a peer of trust zone
    inside; one that nobody registered is outside.
    """
    try:
        if await registry.is_inside(source.calling_ae_title, source.peer_address):
            return None
    except (DependencyUnavailableError, ServiceCallError):
        return REGISTRY_AWAY
    return NOT_AUTHORIZED
