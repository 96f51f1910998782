"""Where an instance came from, whichever the door."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Door(Enum):
    """The way by which an instance came in."""

    DIMSE = "dimse"
    DICOMWEB = "dicomweb"
    UPLOAD = "upload"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Source:
    """The peer and the association or request. Never logged, save the id.

    Attributes:
        door: The way in.
        association_id: Our id of the association or request, UUIDv7.
        calling_ae_title: What the peer calls itself, for DIMSE.
        called_ae_title: What it called us, for DIMSE.
        peer_address: Address without port.
    """

    door: Door
    association_id: str
    calling_ae_title: str
    called_ae_title: str
    peer_address: str
