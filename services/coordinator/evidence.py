"""What is evidence of completeness, put together: the worklist, what is said, who is asked."""

from __future__ import annotations

from datetime import timedelta

import grpc

from heimdallr.workflow.v1 import completeness_service_pb2_grpc
from heimdallr.worklist.v1 import worklist_service_pb2_grpc
from services.coordinator.peers.peer import TrustZone
from services.coordinator.peers.store import PeerStore
from services.coordinator.settings import CoordinatorSettings
from services.coordinator.workflow.completeness_loop import CompletenessLoop
from services.coordinator.workflow.completeness_service import CompletenessService
from services.coordinator.workflow.manifests import Manifests, forget_orphans
from services.coordinator.workflow.peer_counts import AskedPeer, FindPeer, PeerCounts
from services.coordinator.workflow.source_counts import SourceCounts
from services.coordinator.worklist.importing import Importer
from services.coordinator.worklist.performed_store import PerformedStore
from services.coordinator.worklist.service import WorklistService
from services.coordinator.worklist.settings import WorklistSettings
from services.coordinator.worklist.store import WorklistStore
from services.coordinator.worklist.tidying import Tidying
from services.runtime.errors import PeerNotFoundError
from services.runtime.postgres import Pool
from services.runtime.server import Background


class Evidence:
    """Servicers and background tasks.

    Args:
        pool: Pool of the database.
        mesh: Channel to the gateway, which asks peers.
        peers: Registered peers.
        loop: Calls studies complete.
        settings: Settings of the coordinator.

    Attributes:
        background: What has to run.
    """

    def __init__(
        self,
        pool: Pool,
        mesh: grpc.aio.Channel,
        peers: PeerStore,
        loop: CompletenessLoop,
        settings: CoordinatorSettings,
    ) -> None:
        manifests = Manifests(pool)
        self._completeness = CompletenessService(manifests, loop)
        self._worklist = WorklistService(
            WorklistStore(pool), Importer(pool), PerformedStore(pool, manifests)
        )
        keep = timedelta(days=WorklistSettings().keep_days)
        asked_after = timedelta(seconds=settings.released_after_s / 2)
        source = PeerCounts(mesh, peer_inside(peers))
        counts = SourceCounts(pool, manifests, source, asked_after)
        self.background: tuple[Background, ...] = (
            loop.run,
            Tidying(pool, keep, forget_orphans).run,
            *((counts.run,) if settings.confirm_counts else ()),
        )

    def add_servicers(self, server: grpc.aio.Server) -> None:
        """Add the servicers."""
        completeness_service_pb2_grpc.add_CompletenessServiceServicer_to_server(
            self._completeness, server
        )
        worklist_service_pb2_grpc.add_WorklistServiceServicer_to_server(self._worklist, server)


def peer_inside(peers: PeerStore) -> FindPeer:
    """Return what finds the one peer of trust zone inside that has an AE title."""

    async def find(ae_title: str) -> AskedPeer | None:
        try:
            peer = await peers.peer("ae_title", ae_title)
        except PeerNotFoundError:
            return None
        spec = peer.spec
        asked = AskedPeer(
            peer.peer_id, spec.name, spec.dimse is not None, spec.dicomweb is not None
        )
        return asked if spec.trust_zone is TrustZone.INSIDE else None

    return find
