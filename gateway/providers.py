"""Every DIMSE service beside verification and storage, put together."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from gateway.dimse.service import Provider
from gateway.outgoing import OutgoingSettings
from gateway.procedure_steps.performed import PerformedStepService
from gateway.procedure_steps.worklist_find import WorklistFindService
from gateway.query_retrieve.find import FindService
from gateway.query_retrieve.get import GetService
from gateway.query_retrieve.move import MoveService
from gateway.query_retrieve.stored import StoredInstances
from gateway.registry import PeerRegistry
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.conversion.v1.conversion_service_pb2_grpc import ConversionServiceStub
from heimdallr.peers.v1.peers_service_pb2_grpc import PeersServiceStub
from heimdallr.worklist.v1.worklist_service_pb2_grpc import WorklistServiceStub
from services.runtime.local_blobs import LocalBlobs


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What services of associations need.

    Attributes:
        coordinator: Channel to archive and registry.
        mesh: Channel to everything else.
        blobs: Where the bytes of instances lie.
        outgoing: How peers are called.
    """

    coordinator: grpc.aio.Channel
    mesh: grpc.aio.Channel
    blobs: LocalBlobs
    outgoing: OutgoingSettings


def dimse_providers(around: Surroundings) -> list[Provider]:
    """Return the services that associations are offered."""
    registry = PeerRegistry(PeersServiceStub(around.coordinator))
    archive = ArchiveServiceStub(around.coordinator)
    worklist = WorklistServiceStub(around.coordinator)
    stored = StoredInstances(around.blobs, archive, ConversionServiceStub(around.mesh))
    return [
        FindService(archive, registry, around.outgoing.ae_title),
        MoveService(stored, registry, around.outgoing),
        GetService(stored, registry),
        WorklistFindService(worklist, registry),
        PerformedStepService(worklist, registry),
    ]
