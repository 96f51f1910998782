"""The gateway put together from its parts."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc

from gateway.associations.conformance import conformance
from gateway.associations.service import AssociationsService
from gateway.dimse.admission import Admission
from gateway.dimse.allowed import AllowList
from gateway.dimse.association import AssociationSettings
from gateway.dimse.denials import AuditedDenials
from gateway.dimse.inbox import InboxLimits
from gateway.dimse.listener import Listener, split_address
from gateway.dimse.recorder import FlightRecorder
from gateway.dimse.service import Services
from gateway.dimse.settings import DicomSettings
from gateway.dimse.storage import StorageService
from gateway.dimse.tls import server_context
from gateway.identification import identification
from gateway.intake import Intake
from gateway.intake_stream import IntakeStream
from gateway.journal import Journal
from gateway.metrics import gateway_gather
from gateway.outgoing import OutgoingSettings
from gateway.part10_intake import Part10Intake
from gateway.providers import Surroundings, dimse_services
from gateway.quarantine import Quarantine
from gateway.replay import Replay
from gateway.scu.commit import Commitments
from gateway.scu.reports import CommitmentReports
from gateway.settings import GatewaySettings
from gateway.spool import Spool
from gateway.staged_confirmation import StagedConfirmation
from gateway.staging import Staging
from heimdallr.dimse.v1.associations_service_pb2 import GetConformanceResponse
from heimdallr.dimse.v1.associations_service_pb2_grpc import (
    add_AssociationsServiceServicer_to_server,
)
from heimdallr.intake.v1.intake_service_pb2_grpc import IntakeServiceStub
from services.runtime.audit import CallRecorder
from services.runtime.audit_client import RemoteAuditTrail
from services.runtime.blob_inventory import inventory_of
from services.runtime.client import open_channel
from services.runtime.local_blobs import LocalBlobs
from services.runtime.token_source import TokenSource

_STOP_GRACE_S: Final = 3.0


class Gateway:
    """All doors, and the way behind them.

    Args:
        settings: How it is set.
        blobs: Where bytes go.
        token_source: The gateway's own token.
        mesh: Where other services are reached; the coordinator's address unless given.
        dicom: How associations are conducted.

    Attributes:
        intake: The way to the coordinator.
        part10: Stages DICOM files.
        recorder: Keeps what the last associations said.
        tls_port: Port of associations by TLS; 0 where none is served.
        gather: Looks figures up for Prometheus.
        commitments: Storage commitments that peers were asked for.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        blobs: LocalBlobs,
        token_source: TokenSource | None,
        mesh: str | None = None,
        dicom: DicomSettings | None = None,
    ) -> None:
        self._settings = settings
        self._dicom = dicom or DicomSettings()
        self.tls_port = 0
        self._executor = ThreadPoolExecutor(settings.storage_threads, "storage")
        # Its own threads: a flush of the journal never queues behind those of large objects.
        self._journal_executor = ThreadPoolExecutor(1, "journal")
        journal = Journal(settings.journal_folder, settings.journal_bytes, self._journal_executor)
        quarantine = Quarantine(
            settings.journal_folder / "quarantine",
            max_bytes=settings.quarantine_bytes,
            max_count=settings.quarantine_count,
        )
        self._journal = journal
        self._spool = Spool(blobs) if settings.content == "chunks" else None
        self._channel = open_channel(settings.intake_address, token_source)
        self._mesh = open_channel(mesh or settings.intake_address, token_source)
        self.intake = self._way_in(blobs, quarantine)
        self.gather = gateway_gather(journal, self.intake)
        self._confirmation = StagedConfirmation(journal, inventory_of(blobs), settings.holder)
        staging = Staging(blobs, self._executor, quarantine)
        self.part10 = Part10Intake(
            staging,
            settings.max_object_bytes,
            take_mismatched=settings.mismatched_files == "take",
        )
        self.commitments = Commitments()
        self.recorder = FlightRecorder(self._dicom.recent_associations, self._dicom.recent_messages)
        self._offered = self._services(StorageService(staging, self.intake), blobs)
        self._listener = Listener(
            _association_settings(settings, AllowList(self._dicom.allowed)),
            _admission(settings),
            self._offered,
            settings.max_waiting + settings.max_associations,
        )

    async def start(self) -> int:
        """Listen for DICOM peers and return the port."""
        # Only in a folder that is known to hold nothing else.
        if self._spool is not None and self._settings.spool is not None:
            await self._spool.sweep(self._journal)
        await self._confirmation.begin()
        tls = server_context(self._dicom)
        if tls is not None and self._dicom.tls_address is not None:
            where = split_address(self._dicom.tls_address)
            self.tls_port = await self._listener.start(*where, tls)
        return await self._listener.start(*split_address(self._settings.dicom_address))

    def conformance(self) -> GetConformanceResponse:
        """Return what associations are offered."""
        return conformance(self._settings, self._dicom, self._offered)

    def add_servicers(self, server: grpc.aio.Server) -> None:
        """Add the gateway's own services."""
        associations = AssociationsService(self.recorder, self.conformance)
        add_AssociationsServiceServicer_to_server(associations, server)

    async def run(self) -> None:
        """Work until cancelled; then let associations end and what they brought arrive."""
        intake = asyncio.create_task(self.intake.run())
        beside = [
            asyncio.create_task(self._confirmation.run()),
            asyncio.create_task(self._commitments.run()),
        ]
        try:
            await asyncio.shield(intake)
        finally:
            await self._listener.stop(_STOP_GRACE_S)
            for task in (*beside, intake):
                task.cancel()
            await asyncio.gather(*beside, intake, return_exceptions=True)
            await self._channel.close()
            await self._mesh.close()
            self._executor.shutdown(wait=False)
            self._journal_executor.shutdown(wait=False)

    def _way_in(self, blobs: LocalBlobs, quarantine: Quarantine) -> Intake:
        settings, spool = self._settings, self._spool
        stub = IntakeServiceStub(self._channel)
        # Over a Unix socket the coordinator shares our page cache, and can flush what we wrote.
        flushed_there = spool is None and settings.intake_address.startswith("unix:")
        return Intake(
            self._channel,
            lambda: IntakeStream(stub, blobs, settings.answer_timeout_s),
            self._journal,
            Replay(self._journal, quarantine, blobs, spool),
            spool,
            blobs.flush if flushed_there else None,
        )

    def _services(self, storage: StorageService, blobs: LocalBlobs) -> Services:
        settings = self._settings
        recorder = CallRecorder(RemoteAuditTrail(self._channel), "gateway")
        offered = dimse_services(
            Surroundings(
                coordinator=self._channel,
                mesh=self._mesh,
                blobs=blobs,
                outgoing=OutgoingSettings(settings.ae_title, _inbox_limits(settings)),
                folder=settings.journal_folder / "commitments",
                settled=lambda: self.intake.is_online,
                settings=self._dicom,
                recorder=recorder,
            )
        )
        self._commitments = offered.commitments
        providers = [*offered.providers, CommitmentReports(self.commitments)]
        return Services(
            storage,
            providers,
            self.recorder,
            AuditedDenials(recorder),
            identification(self._dicom, self._channel),
        )


def _association_settings(settings: GatewaySettings, allowed: AllowList) -> AssociationSettings:
    return AssociationSettings(
        ae_title=settings.ae_title if settings.require_called_ae_title else None,
        negotiate_timeout_s=settings.negotiate_timeout_s,
        allowed=allowed,
        inbox=_inbox_limits(settings),
    )


def _inbox_limits(settings: GatewaySettings) -> InboxLimits:
    return InboxLimits(
        max_pdu_length=settings.max_pdu_length,
        max_object_bytes=settings.max_object_bytes,
        idle_timeout_s=settings.idle_timeout_s,
        pdu_timeout_s=settings.pdu_timeout_s,
    )


def _admission(settings: GatewaySettings) -> Admission:
    return Admission(
        max_waiting=settings.max_waiting,
        max_waiting_per_address=settings.max_waiting_per_address,
        max_associations=settings.max_associations,
        max_associations_per_address=settings.max_associations_per_address,
    )
