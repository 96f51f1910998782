"""What we ask of peers, put together: the gateway's own gRPC services."""

from __future__ import annotations

import asyncio

import grpc

from gateway.dicomweb_client.client import DicomWebClient
from gateway.dicomweb_client.service import DicomWebClientService
from gateway.file_door import FileDoor
from gateway.gateway import Gateway
from gateway.peers.directory import PeerDirectory
from gateway.peers.evidence import FetchedEvidence
from gateway.peers.release import Releases
from gateway.peers.settings import ExchangeSettings
from gateway.peers.turns import Turns
from gateway.query_retrieve.stored import StoredInstances
from gateway.scu.client import DimseClient
from gateway.scu.sending import Sending
from gateway.scu.service import DimseService
from gateway.scu.store import StoreUser
from gateway.settings import GatewaySettings
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.conversion.v1.conversion_service_pb2_grpc import ConversionServiceStub
from heimdallr.deid.v1.review_service_pb2_grpc import DeidReviewServiceStub
from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2_grpc
from heimdallr.dimse.v1 import dimse_service_pb2_grpc
from heimdallr.peers.v1.peers_service_pb2_grpc import PeersServiceStub
from heimdallr.workflow.v1.completeness_service_pb2_grpc import CompletenessServiceStub
from services.runtime.local_blobs import LocalBlobs
from services.runtime.server import Background


class Exchanges:
    """Clients of peers, and the services that offer them.

    Args:
        gateway: The way behind the doors.
        settings: How the gateway is set.
        bounds: Bounds on exchanges.
        blobs: Where the bytes of instances lie.
        mesh: Channel that calls as the gateway.

    Attributes:
        directory: Finds registered peers.
        dimse: Speaks DIMSE to them.
        web: Speaks DICOMweb to them.
        background: What runs as long as they are used.
    """

    def __init__(
        self,
        gateway: Gateway,
        settings: GatewaySettings,
        bounds: ExchangeSettings,
        blobs: LocalBlobs,
        mesh: grpc.aio.Channel,
    ) -> None:
        archive = ArchiveServiceStub(mesh)
        stored = StoredInstances(blobs, archive, ConversionServiceStub(mesh))
        door = FileDoor(gateway.part10, gateway.intake)
        turns = Turns(bounds.max_exchanges)
        self.directory = PeerDirectory(PeersServiceStub(mesh))
        folder = settings.journal_folder / "fetching"
        self.dimse = DimseClient(bounds, settings.ae_title, door, folder, turns)
        review = DeidReviewServiceStub(mesh)
        releases = Releases(review, stored, bounds.release_timeout_s)
        self.web = DicomWebClient(bounds, archive, stored, door, turns, releases)
        self._evidence = FetchedEvidence(CompletenessServiceStub(mesh))
        user = StoreUser(bounds, settings.ae_title, stored)
        self._sending = Sending(archive, user, self.dimse, gateway.commitments, turns, releases)
        self.background: list[Background] = [self._run]

    def add_servicers(self, server: grpc.aio.Server) -> None:
        """Add the services."""
        dimse = DimseService(self.directory, self.dimse, self._sending, self._evidence)
        dimse_service_pb2_grpc.add_DimseServiceServicer_to_server(dimse, server)
        web = DicomWebClientService(self.directory, self.web, self._evidence)
        dicomweb_client_service_pb2_grpc.add_DicomWebClientServiceServicer_to_server(web, server)

    async def _run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.dimse.close()
