"""Peers as rows, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import asyncpg

from services.coordinator.peers.peer import (
    DicomWebAddress,
    DimseAddress,
    Peer,
    PeerSpec,
    PeerTest,
    TrustZone,
)


def spec_values(spec: PeerSpec) -> tuple[Any, ...]:
    """Return the columns of what is registered, in the order of ``insert_peer``."""
    dimse, web = spec.dimse, spec.dicomweb
    return (
        spec.name,
        spec.trust_zone.value,
        spec.description,
        dimse.ae_title if dimse else None,
        dimse.host if dimse else None,
        dimse.port if dimse else None,
        dimse.calling_ae_title if dimse else "",
        dimse.tls if dimse else False,
        dimse.tls_ca_pem if dimse else "",
        list(dimse.transfer_syntax_uids) if dimse else [],
        spec.move_destination,
        web.url if web else None,
        web.tls_ca_pem if web else "",
        spec.deid_project_id or None,
    )


def peer_from_row(row: asyncpg.Record, tests: Iterable[PeerTest]) -> Peer:
    """Return a peer as its row has it."""
    return Peer(
        peer_id=str(row["peer_id"]),
        spec=PeerSpec(
            name=row["name"],
            trust_zone=TrustZone(row["trust_zone"]),
            dimse=_dimse(row),
            dicomweb=DicomWebAddress(row["url"], row["web_ca_pem"]) if row["url"] else None,
            move_destination=row["move_destination"],
            description=row["description"],
            deid_project_id=str(row["deid_project_id"] or ""),
        ),
        has_secret=row["has_secret"],
        has_certificate=row["has_certificate"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        tests=tuple(tests),
    )


def test_from_row(row: asyncpg.Record) -> PeerTest:
    """Return the outcome of a test as its row has it."""
    return PeerTest(row["kind"], row["succeeded"], row["time"], row["text"], row["duration_ms"])


def _dimse(row: asyncpg.Record) -> DimseAddress | None:
    if row["ae_title"] is None:
        return None
    return DimseAddress(
        ae_title=row["ae_title"],
        host=row["host"],
        port=row["port"],
        calling_ae_title=row["calling_ae_title"],
        tls=row["tls"],
        tls_ca_pem=row["dimse_ca_pem"],
        transfer_syntax_uids=tuple(row["transfer_syntax_uids"]),
    )
