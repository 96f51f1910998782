"""Clients of peers without a stack: what is fetched is staged for real and indexed by nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.dicomweb_client.client import DicomWebClient
from gateway.file_door import FileDoor
from gateway.handover import Departure, Disposition, Received
from gateway.part10_intake import Part10Intake
from gateway.peers.peer import DimseAddress, Peer
from gateway.peers.settings import ExchangeSettings
from gateway.peers.turns import Turns
from gateway.quarantine import Quarantine
from gateway.scu.client import DimseClient
from gateway.staging import Staging
from services.runtime.local_blobs import LocalBlobs

MakeClient = Callable[..., DimseClient]


@dataclass
class Handed:
    """What was handed over, in place of the coordinator."""

    received: list[Received] = field(default_factory=list)
    departures: list[Departure] = field(default_factory=list)

    async def hand_over(self, received: Received) -> Disposition:
        known = any(r.staged.ref == received.staged.ref for r in self.received)
        self.received.append(received)
        return Disposition.DUPLICATE if known else Disposition.STORED

    async def depart(self, departure: Departure) -> None:
        self.departures.append(departure)


@pytest.fixture
def handed() -> Handed:
    return Handed()


@pytest.fixture
def door(tmp_path: Path, handed: Handed) -> Iterator[FileDoor]:
    quarantine = Quarantine(tmp_path / "quarantine", max_bytes=1 << 20, max_count=10)
    with ThreadPoolExecutor(2) as executor:
        staging = Staging(LocalBlobs(tmp_path / "blobs", free_bytes=0), executor, quarantine)
        yield FileDoor(Part10Intake(staging, 1 << 24), handed)


@pytest.fixture
def bounds() -> ExchangeSettings:
    return ExchangeSettings(
        connect_timeout_s=2.0, associate_timeout_s=2.0, message_timeout_s=2.0, max_exchanges=4
    )


@pytest.fixture
def make_client(door: FileDoor, tmp_path: Path, bounds: ExchangeSettings) -> Iterator[MakeClient]:
    """Give a function that makes a client with the settings it is given."""
    made: list[DimseClient] = []

    def make(**changes: Any) -> DimseClient:
        settings = bounds.model_copy(update=changes)
        turns = Turns(settings.max_exchanges)
        made.append(DimseClient(settings, "HEIMDALLR", door, tmp_path / "fetching", turns))
        return made[-1]

    yield make
    for client in made:
        client.close()


def dimse_peer(port: int, *, inside: bool = True, **address: Any) -> Peer:
    """Return a peer on this machine."""
    values: dict[str, Any] = {"ae_title": "PEER", "host": "127.0.0.1", "port": port}
    where = DimseAddress(**(values | address))
    return Peer("01a1fe91-66c6-71ab-8cc9-5ddfcb0bb29e", "peer", inside, dimse=where)


async def collected(results: AsyncIterator[Any]) -> list[Any]:
    """Return everything that an iterator yields."""
    return [item async for item in results]


@pytest.fixture
def web_client(bounds: ExchangeSettings, door: FileDoor) -> DicomWebClient:
    nothing: Any = None
    limits = bounds.model_copy(update={"max_answer_bytes": 1 << 16, "message_timeout_s": 1.0})
    return DicomWebClient(limits, nothing, nothing, door, Turns(2), nothing)
