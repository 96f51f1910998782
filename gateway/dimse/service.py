"""How a DIMSE service is plugged into associations: by SOP class and command (PS3.7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.dimse.commands import Command, InstanceName, Reply, Status
from gateway.dimse.denials import Denials, LoggedDenials
from gateway.dimse.identification import Identification, NoIdentification
from gateway.dimse.negotiation import ContextResult
from gateway.dimse.recorder import FlightRecorder
from gateway.source import Source


class StorageProvider(Protocol):
    """What is done with the instances that peers send."""

    async def store(
        self,
        source: Source,
        context: ContextResult,
        command: Command,
        data_set: AsyncIterator[memoryview],
    ) -> Status:
        """Take one instance and return its status; 0000H only once it is durable.

        What is left of ``data_set`` is passed over. Its errors are passed on.
        """
        ...

    async def closed(self, source: Source, *, released: bool, stored_count: int) -> None:
        """Learn that an association has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a peer, other than C-ECHO and C-STORE.

    Attributes:
        source: The peer and the association.
        context: The presentation context.
        command: The command set.
        data_set: The data set that came with it, in the context's transfer syntax, at most
            ``AssociationSettings.max_identifier_bytes``; empty when none did.
    """

    source: Source
    context: ContextResult
    command: Command
    data_set: bytes


class Responder(Protocol):
    """The association that a request came by, as its provider sees it.

    Its methods raise ``PeerGoneError`` once the association has ended and ``PeerSilentError``
    when the peer takes or answers nothing; providers let both pass.
    """

    @property
    def contexts(self) -> Sequence[ContextResult]:
        """Every accepted presentation context."""
        ...

    @property
    def is_cancelled(self) -> bool:
        """Whether a C-CANCEL came for the request (PS3.7 section 9.3.2.3)."""
        ...

    async def pending(self, reply: Reply) -> None:
        """Send a response that is not the last; waits while the peer does not read."""
        ...

    async def store(
        self, context: ContextResult, instance: InstanceName, data_set: AsyncIterator[bytes]
    ) -> int:
        """Send an instance on the same association and return the status the peer gives it.

        An error that ``data_set`` raises before its first bytes leaves the association as it
        was; a later one ends it.

        Args:
            context: One of ``contexts`` in which the peer provides storage.
            instance: What it is.
            data_set: Its data set in the context's transfer syntax; not empty.
        """
        ...

    async def report(self, instance: InstanceName, event_type: int, data_set: bytes) -> int:
        """Send an N-EVENT-REPORT in the request's context and return the status it gets.

        May be called after the request was answered, as long as the association lasts.

        Args:
            instance: The SOP instance that something happened to.
            event_type: What happened.
            data_set: Event information in the context's transfer syntax.
        """
        ...


class Provider(Protocol):
    """A service of one or more SOP classes."""

    @property
    def operations(self) -> Mapping[str, frozenset[int]]:
        """Command fields that are served, by SOP class."""
        ...

    @property
    def options(self) -> Mapping[str, bytes]:
        """What can be negotiated of some SOP classes, a byte each (PS3.7 D.3.3.5)."""
        ...

    async def serve(self, request: Request, responder: Responder) -> Reply:
        """Do what is asked and return the last response.

        Cancelled when the peer goes away meanwhile. An error that escapes is answered as a
        failure to process, without its text.
        """
        ...


class Services:
    """Everything that associations offer.

    Args:
        storage: Takes what C-STORE brings.
        providers: The other services; of two that serve the same command the first is asked.
        recorder: Keeps what associations said.
        denials: Keeps who was turned away.
        identification: Judges the users of peers.
    """

    def __init__(
        self,
        storage: StorageProvider,
        providers: Sequence[Provider] = (),
        recorder: FlightRecorder | None = None,
        denials: Denials | None = None,
        identification: Identification | None = None,
    ) -> None:
        self.storage = storage
        self.recorder = recorder or FlightRecorder()
        self.denials = denials or LoggedDenials()
        self.identification = identification or NoIdentification()
        self._providers = tuple(providers)
        self._by_operation = {
            (sop_class, command_field): provider
            for provider in reversed(self._providers)
            for sop_class, fields in provider.operations.items()
            for command_field in fields
        }

    @property
    def offered(self) -> Mapping[str, bytes]:
        """SOP classes beside verification and storage, and the options of each."""
        return {
            sop_class: provider.options.get(sop_class, b"")
            for provider in self._providers
            for sop_class in provider.operations
        }

    @property
    def operations(self) -> Mapping[str, frozenset[int]]:
        """Command fields that are served beside verification and storage, by SOP class."""
        fields: dict[str, set[int]] = {}
        for sop_class, command_field in self._by_operation:
            fields.setdefault(sop_class, set()).add(command_field)
        return {sop_class: frozenset(found) for sop_class, found in fields.items()}

    def find(self, sop_class_uid: str, command_field: int) -> Provider | None:
        """Return who serves a command in a context of a SOP class."""
        return self._by_operation.get((sop_class_uid, command_field))
