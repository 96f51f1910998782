"""Puts the coordinator's packages together. They know each other by their ports only."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Final

import grpc

from heimdallr.access.v1 import access_service_pb2_grpc
from heimdallr.analysis.v1 import analysis_service_pb2_grpc
from heimdallr.archive.v1 import archive_service_pb2_grpc
from heimdallr.audit.v1 import audit_service_pb2_grpc
from heimdallr.dicomweb.v1 import dicomweb_cache_service_pb2_grpc
from heimdallr.events.v1 import events_service_pb2_grpc
from heimdallr.intake.v1 import intake_service_pb2_grpc
from heimdallr.operations.v1 import operations_service_pb2_grpc
from heimdallr.peers.v1 import peers_service_pb2_grpc
from heimdallr.retention.v1 import retention_service_pb2_grpc
from heimdallr.sources.v1 import sources_service_pb2_grpc
from heimdallr.storage.v1 import storage_service_pb2_grpc
from heimdallr.workflow.v1 import workflow_service_pb2_grpc
from services.coordinator.access.password_hashes import PasswordHashes
from services.coordinator.access.password_store import PasswordStore
from services.coordinator.access.passwords import Passwords
from services.coordinator.access.service import AccessService
from services.coordinator.access.store import AccessStore
from services.coordinator.archive.backfill import Backfill
from services.coordinator.archive.indexer import Indexer
from services.coordinator.archive.searches import SearchBounds
from services.coordinator.archive.service import ArchiveService
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.audit.service import AuditService
from services.coordinator.audit.store import PostgresAuditTrail
from services.coordinator.deidentification.deletion import (
    forget_study as forget_deidentification,
)
from services.coordinator.events.hub import EventHub
from services.coordinator.events.log import EventLog
from services.coordinator.events.relay import Relay
from services.coordinator.events.service import EventsService
from services.coordinator.events.wakeups import Wakeups
from services.coordinator.evidence import Evidence
from services.coordinator.intake.association_audit import TrailAssociationAudit
from services.coordinator.intake.committer import Committer
from services.coordinator.intake.flushing import Flusher
from services.coordinator.intake.service import IntakeService, StreamBounds
from services.coordinator.intake.staged import StoredBlobs
from services.coordinator.intake.store import IntakeStore
from services.coordinator.operations.figures import Figures
from services.coordinator.operations.gauges import WorkGauges
from services.coordinator.operations.service import OperationsService, Sources
from services.coordinator.peers.service import PeersService
from services.coordinator.peers.store import PeerStore
from services.coordinator.peers.vault import Vault
from services.coordinator.pseudonymity import Pseudonymity
from services.coordinator.retention.deletions import Deletions
from services.coordinator.retention.rule_loop import RuleLoop
from services.coordinator.retention.service import RetentionService
from services.coordinator.retention.settings import RetentionSettings
from services.coordinator.retention.store import RetentionStore
from services.coordinator.settings import CoordinatorSettings
from services.coordinator.sources.service import SourcesService, Speaks
from services.coordinator.sources.store import SourceStore
from services.coordinator.storage.keeping import Keeping
from services.coordinator.storage.settings import StorageSettings
from services.coordinator.storage.store import forget_study
from services.coordinator.workflow.completeness import CompletenessRules
from services.coordinator.workflow.completeness_loop import CompletenessLoop
from services.coordinator.workflow.dispatcher import Dispatcher
from services.coordinator.workflow.interventions import Interventions
from services.coordinator.workflow.lifecycle import StageLifecycle
from services.coordinator.workflow.mesh_runner.runner import MeshRunner
from services.coordinator.workflow.pgqueuer_queue import PgQueuerQueue
from services.coordinator.workflow.retry import RetryPolicy
from services.coordinator.workflow.service import WorkflowService
from services.coordinator.workflow.views import WorkflowViews
from services.coordinator.workflow.watch import ChangeFeed
from services.runtime.audit import CallRecorder
from services.runtime.blobs import BlobStore
from services.runtime.database_metrics import pool_gather
from services.runtime.local_blobs import LocalBlobs
from services.runtime.postgres import Pool
from services.runtime.server import Hooks
from services.runtime.settings import RuntimeSettings, load_settings
from services.runtime.tokens import Issuer

PACKAGES: Final = tuple(
    f"services.coordinator.{name}"
    for name in (
        "access",
        "audit",
        "events",
        "archive",
        "intake",
        "workflow",
        "worklist",
        "peers",
        "retention",
        "storage",
        "sources",
        "deidentification",
        "crosswalk",
    )
)


class Coordinator:
    """Every servicer and background task over one pool.

    Args:
        runtime: Settings that every server has.
        settings: Settings of the coordinator.
        pool: Pool of the migrated database.
        blobs: The blob store.
        mesh: Channel to the other services.
        issuer: Signs tokens.
    """

    def __init__(
        self,
        runtime: RuntimeSettings,
        settings: CoordinatorSettings,
        pool: Pool,
        blobs: BlobStore,
        mesh: grpc.aio.Channel,
        issuer: Issuer,
    ) -> None:
        self.hooks = Hooks()
        self.trail = PostgresAuditTrail(pool)
        self._settings = settings
        passwords = Passwords(PasswordStore(pool), PasswordHashes())
        recorder = CallRecorder(self.trail, runtime.service_name)
        self._access = AccessService(AccessStore(pool), passwords, issuer, recorder)
        self._archive = ArchiveStore(
            pool, SearchBounds(settings.search_timeout_s, settings.search_connections)
        )
        self._workflow(f"{runtime.service_name}-{os.getpid()}", pool, mesh)
        self._events(pool)
        self._intake(runtime.service_name, pool, blobs)
        self._retention(runtime.service_name, pool, recorder)
        self._keeping = Keeping(pool, blobs, load_settings(StorageSettings))
        peers = PeerStore(pool, Vault.load_or_create(settings.peers_key))
        self._peers = PeersService(peers)
        self._evidence = Evidence(pool, mesh, peers, self._completeness, settings)
        self._sources = SourcesService(SourceStore(pool), _speaking(peers))
        self._archive_service = ArchiveService(self._archive, blobs, self._views)
        self._operations = self._operating(runtime, pool, blobs, mesh)
        self._work_in_background(pool)

    def add_servicers(self, server: grpc.aio.Server) -> None:
        """Add every servicer."""
        access_service_pb2_grpc.add_AccessServiceServicer_to_server(self._access, server)
        audit = AuditService(self.trail)
        audit_service_pb2_grpc.add_AuditServiceServicer_to_server(audit, server)
        archive_service_pb2_grpc.add_ArchiveServiceServicer_to_server(self._archive_service, server)
        events_service_pb2_grpc.add_EventsServiceServicer_to_server(self._events_service, server)
        intake_service_pb2_grpc.add_IntakeServiceServicer_to_server(self._intake_service, server)
        workflow_service_pb2_grpc.add_WorkflowServiceServicer_to_server(
            self._workflow_service, server
        )
        self._evidence.add_servicers(server)
        retention_service_pb2_grpc.add_RetentionServiceServicer_to_server(
            self._retention_service, server
        )
        operations_service_pb2_grpc.add_OperationsServiceServicer_to_server(
            self._operations, server
        )
        storage_service_pb2_grpc.add_StorageServiceServicer_to_server(self._keeping.service, server)
        peers_service_pb2_grpc.add_PeersServiceServicer_to_server(self._peers, server)
        sources_service_pb2_grpc.add_SourcesServiceServicer_to_server(self._sources, server)
        self._pseudonymity.add_servicers(server)

    def _operating(
        self, runtime: RuntimeSettings, pool: Pool, blobs: BlobStore, mesh: grpc.aio.Channel
    ) -> OperationsService:
        return OperationsService(
            Sources(
                Figures(pool),
                self._views.queue,
                analysis_service_pb2_grpc.AnalysisServiceStub(mesh),
                dicomweb_cache_service_pb2_grpc.DicomWebCacheServiceStub(mesh),
                self._keeping.count_damage,
                blobs.folder if isinstance(blobs, LocalBlobs) else None,
                self._settings.stack_file,
                runtime.blobs_low_bytes,
                runtime.blobs_free_bytes,
            )
        )

    def _work_in_background(self, pool: Pool) -> None:
        self.hooks.gathers = (
            pool_gather(pool),
            WorkGauges(pool).gather,
            self._keeping.scrubs.gather,
            self._pseudonymity.gauges.gather,
        )
        self.hooks.background = (
            self._committer.run,
            self._wakeups.run,
            self._relay.run,
            self._hub.run,
            self._end_watches,
            self._feed.run,
            *self._evidence.background,
            Backfill(pool).run,
            self._dispatcher.run,
            self._rules.run,
            self._keeping.collections.run,
            self._keeping.scrubs.run,
        )

    def _workflow(self, worker: str, pool: Pool, mesh: grpc.aio.Channel) -> None:
        rules = CompletenessRules(
            quiet_after=timedelta(seconds=self._settings.quiet_after_s),
            released_after=timedelta(seconds=self._settings.released_after_s),
            announced_after=timedelta(seconds=self._settings.announced_after_s),
        )
        queue = PgQueuerQueue(pool)
        policy = RetryPolicy(outage_limit=self._settings.outage_attempts)
        lifecycle = StageLifecycle(pool, self._archive, queue, worker, policy)
        runner = MeshRunner(mesh, self._archive, pool)
        self._dispatcher = Dispatcher(queue, lifecycle, runner)
        wake = self._dispatcher.wake
        self._completeness = CompletenessLoop(pool, self._archive, lifecycle, rules, wake)
        self._interventions = Interventions(pool, self._archive, queue, wake)
        self._pseudonymity = Pseudonymity(pool, mesh, self._archive, queue, wake)
        self._views = WorkflowViews(pool, self._archive, rules)
        self._feed = ChangeFeed(pool, draining=self.hooks.draining)
        analysis = analysis_service_pb2_grpc.AnalysisServiceStub(mesh)
        self._workflow_service = WorkflowService(
            self._views, self._interventions, self._feed, analysis
        )

    def _events(self, pool: Pool) -> None:
        log = EventLog(pool)
        self._wakeups = Wakeups(pool)
        retention = timedelta(days=self._settings.event_retention_days)
        self._relay = Relay(log, self._wakeups.outbox, retention)
        self._hub = EventHub(log, self._wakeups.log)
        self._events_service = EventsService(self._hub, log, heartbeat_s=self._settings.heartbeat_s)

    async def _end_watches(self) -> None:
        await self._hub.close_when(self.hooks.draining)

    def _intake(self, service_name: str, pool: Pool, blobs: BlobStore) -> None:
        settings = self._settings
        indexer = Indexer(self._interventions.on_generation_opened)
        store = IntakeStore(pool, indexer)
        self._committer = Committer(
            store, StoredBlobs(blobs), Flusher(blobs), batch_size=settings.batch_size
        )
        bounds = StreamBounds(
            in_flight=settings.stream_in_flight,
            open_instances=settings.stream_open_instances,
            open_bytes=settings.stream_open_bytes,
        )
        audit = TrailAssociationAudit(self.trail, service_name)
        self._intake_service = IntakeService(
            self._committer, blobs, audit, bounds=bounds, draining=self.hooks.draining
        )

    def _retention(self, service_name: str, pool: Pool, recorder: CallRecorder) -> None:
        settings = load_settings(RetentionSettings)
        store = RetentionStore(pool, self._archive)
        deletions = Deletions(pool, self._archive, (forget_study, forget_deidentification))
        every = timedelta(minutes=settings.rules_every_minutes)
        self._rules = RuleLoop(store, deletions, recorder, every, service_name)
        self._retention_service = RetentionService(store, deletions)


def _speaking(peers: PeerStore) -> Speaks:
    async def speaks(peer_id: str) -> tuple[bool, bool]:
        spec = (await peers.peer("peer_id", peer_id)).spec
        return spec.dimse is not None, spec.dicomweb is not None

    return speaks
