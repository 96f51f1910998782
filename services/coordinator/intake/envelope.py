"""What a gateway hands over, checked and without transport."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.coordinator.archive.arrival import Arrival
from services.runtime.blob_ref import BlobRef


class Door(StrEnum):
    """The way by which an instance came in."""

    DIMSE = "dimse"
    DICOMWEB = "dicomweb"
    UPLOAD = "upload"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Source:
    """Where an instance came from. Never logged.

    Attributes:
        association_id: Our id of the association or request.
        calling_ae_title: For DIMSE.
        called_ae_title: For DIMSE.
        peer_address: Address of the peer without port.
    """

    door: Door
    association_id: str
    calling_ae_title: str
    called_ae_title: str
    peer_address: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """One instance with the name of its bytes.

    Attributes:
        chunked: Whether the bytes follow on the stream; else they lie in the blob store.
        written: Whether they still have to be flushed there.
    """

    arrival: Arrival
    blob: BlobRef
    chunked: bool
    source: Source
    written: bool = False


@dataclass(frozen=True, slots=True)
class Departure:
    """A sender that has gone.

    Attributes:
        released: Whether the peer released the association in order.
        instance_count: Instances acknowledged over it.
        subject: Who said so: the gateway's name.
    """

    source: Source
    released: bool
    instance_count: int
    subject: str
    correlation_id: str
