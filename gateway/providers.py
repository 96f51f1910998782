"""Every DIMSE service beside verification and storage, put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from gateway.commitment.answering import CommitmentQueue
from gateway.commitment.answering import Surroundings as AnsweringSurroundings
from gateway.commitment.folder import CommitmentFolder
from gateway.commitment.service import CommitmentService
from gateway.dimse.audited import AuditedProvider, Recorder
from gateway.dimse.service import Provider
from gateway.dimse.settings import DicomSettings
from gateway.outgoing import OutgoingSettings
from gateway.peers.directory import PeerDirectory
from gateway.peers.release import Releases
from gateway.procedure_steps.performed import PerformedStepService
from gateway.procedure_steps.worklist_find import WorklistFindService
from gateway.query_retrieve.find import FindService
from gateway.query_retrieve.get import GetService
from gateway.query_retrieve.move import MoveService
from gateway.query_retrieve.stored import StoredInstances
from gateway.registry import PeerRegistry
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.conversion.v1.conversion_service_pb2_grpc import ConversionServiceStub
from heimdallr.deid.v1.review_service_pb2_grpc import DeidReviewServiceStub
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
        folder: Where requests are kept that are answered later.
        settled: Whether everything that was acknowledged is indexed.
        settings: How associations are conducted.
        recorder: Writes the audit trail.
    """

    coordinator: grpc.aio.Channel
    mesh: grpc.aio.Channel
    blobs: LocalBlobs
    outgoing: OutgoingSettings
    folder: Path
    settled: Callable[[], bool]
    settings: DicomSettings
    recorder: Recorder


@dataclass(frozen=True, slots=True)
class DimseServices:
    """The services that associations are offered.

    Attributes:
        providers: Each of them.
        commitments: Answers requests for storage commitment; to be run.
    """

    providers: list[Provider]
    commitments: CommitmentQueue


def dimse_services(around: Surroundings) -> DimseServices:
    """Put the services together."""
    registry = PeerRegistry(PeerDirectory(PeersServiceStub(around.coordinator)))
    archive = ArchiveServiceStub(around.coordinator)
    worklist = WorklistServiceStub(around.coordinator)
    stored = StoredInstances(around.blobs, archive, ConversionServiceStub(around.mesh))
    # A peer that asks does not wait for it: see ``MoveService``.
    releases = Releases(DeidReviewServiceStub(around.coordinator), stored, timeout_s=0)
    find = FindService(archive, registry, around.outgoing.ae_title)
    folder = CommitmentFolder(around.folder)
    answers = AnsweringSurroundings(
        stored, registry, around.outgoing, around.settled, around.recorder
    )
    commitments = CommitmentQueue(folder, answers, around.settings)
    services: list[tuple[Provider, AuditAction.ValueType]] = [
        (find, AuditAction.AUDIT_ACTION_SEARCH),
        (MoveService(stored, registry, around.outgoing, releases), AuditAction.AUDIT_ACTION_FETCH),
        (GetService(stored, registry), AuditAction.AUDIT_ACTION_FETCH),
        (WorklistFindService(worklist, registry), AuditAction.AUDIT_ACTION_SEARCH_WORKLIST),
        (PerformedStepService(worklist, registry), AuditAction.AUDIT_ACTION_RECORD_PROCEDURE_STEP),
    ]
    audited = [AuditedProvider(one, around.recorder, action) for one, action in services]
    # Requests for commitment are taken while the coordinator is away, and kept when judged.
    providers: list[Provider] = [*audited, CommitmentService(folder, commitments)]
    return DimseServices(providers, commitments)
