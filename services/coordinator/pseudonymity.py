"""De-identification of the archive, put together: projects, review and crosswalk."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from heimdallr.deid.v1 import (
    crosswalk_service_pb2_grpc,
    project_service_pb2_grpc,
    review_service_pb2_grpc,
)
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.crosswalk.service import CrosswalkService
from services.coordinator.crosswalk.store import CrosswalkStore
from services.coordinator.deidentification.calls import DeidCalls
from services.coordinator.deidentification.gauges import DeidGauges
from services.coordinator.deidentification.project_service import DeidProjectService
from services.coordinator.deidentification.project_store import ProjectStore
from services.coordinator.deidentification.release import Releases
from services.coordinator.deidentification.review_service import DeidReviewService
from services.coordinator.deidentification.review_store import ReviewStore
from services.coordinator.deidentification.rule_adding import RuleAdding
from services.coordinator.deidentification.starting import DeidStages
from services.coordinator.workflow.queue import JobQueue
from services.runtime.postgres import Pool


class Pseudonymity:
    """Servicers of de-identification.

    Args:
        pool: Pool of the database.
        mesh: Channel to the de-identification service.
        archive: Holds the studies.
        queue: Where jobs of stages wait.
        wake: Called when there is new work in the queue.

    Attributes:
        gauges: What is measured of it.
    """

    def __init__(
        self,
        pool: Pool,
        mesh: grpc.aio.Channel,
        archive: ArchiveStore,
        queue: JobQueue,
        wake: Callable[[], None],
    ) -> None:
        projects, calls = ProjectStore(pool), DeidCalls(mesh)
        stages = DeidStages(pool, archive, queue, wake)
        review = ReviewStore(pool, stages)
        rules = RuleAdding(pool, projects, review, stages)
        self._projects = DeidProjectService(projects, calls)
        self._review = DeidReviewService(
            projects, stages, review, Releases(pool, archive), rules, calls
        )
        self._crosswalk = CrosswalkService(CrosswalkStore(pool), projects, calls)
        self.gauges = DeidGauges(pool)

    def add_servicers(self, server: grpc.aio.Server) -> None:
        """Add every servicer."""
        project_service_pb2_grpc.add_DeidProjectServiceServicer_to_server(self._projects, server)
        review_service_pb2_grpc.add_DeidReviewServiceServicer_to_server(self._review, server)
        crosswalk_service_pb2_grpc.add_CrosswalkServiceServicer_to_server(self._crosswalk, server)
