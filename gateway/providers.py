"""Every DIMSE service beside verification and storage, put together."""

from __future__ import annotations

import grpc

from gateway.dimse.service import Provider
from gateway.query_retrieve.find import FindService
from gateway.registry import PeerRegistry
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.peers.v1.peers_service_pb2_grpc import PeersServiceStub


def dimse_providers(coordinator: grpc.aio.Channel, ae_title: str) -> list[Provider]:
    """Return the services that associations are offered.

    Args:
        coordinator: Channel to archive and registry.
        ae_title: Our AE title.
    """
    registry = PeerRegistry(PeersServiceStub(coordinator))
    archive = ArchiveServiceStub(coordinator)
    return [FindService(archive, registry, ae_title)]
