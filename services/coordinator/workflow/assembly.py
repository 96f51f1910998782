"""The workflow's parts put together."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc

from heimdallr.analysis.v1.analysis_service_pb2_grpc import AnalysisServiceStub
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.workflow.completeness import CompletenessRules
from services.coordinator.workflow.completeness_loop import CompletenessLoop
from services.coordinator.workflow.dispatcher import Dispatcher, DispatchRules
from services.coordinator.workflow.interventions import Interventions
from services.coordinator.workflow.lifecycle import StageLifecycle
from services.coordinator.workflow.mesh_runner.runner import MeshRunner
from services.coordinator.workflow.pgqueuer_queue import PgQueuerQueue
from services.coordinator.workflow.retry import RetryPolicy
from services.coordinator.workflow.service import WorkflowService
from services.coordinator.workflow.views import WorkflowViews
from services.coordinator.workflow.watch import ChangeFeed
from services.runtime.postgres import Pool


@dataclass(frozen=True, slots=True)
class WorkflowRules:
    """How the workflow behaves."""

    completeness: CompletenessRules = field(default_factory=CompletenessRules)
    dispatch: DispatchRules = field(default_factory=DispatchRules)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    judge_every: timedelta = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True)
class Workflow:
    """The workflow as the coordinator's entry point uses it.

    Attributes:
        service: Servicer of ``heimdallr.workflow.v1.WorkflowService``.
        interventions: Its `on_generation_opened` takes part in intake's transactions.
        views: Its `results_blob_belongs` tells which blobs may be fetched.
        background: What has to run as long as the server does.
    """

    service: WorkflowService
    interventions: Interventions
    views: WorkflowViews
    background: tuple[Callable[[], Coroutine[Any, Any, None]], ...]


def open_workflow(
    pool: Pool,
    archive: ArchiveStore,
    channel: grpc.aio.Channel,
    worker: str,
    rules: WorkflowRules = WorkflowRules(),
) -> Workflow:
    """Put the workflow together.

    Args:
        pool: Pool of the database.
        archive: Holds the studies.
        channel: Channel of the mesh.
        worker: Name of this process in attempts.
        rules: How the workflow behaves.
    """
    queue = PgQueuerQueue(pool, rules.dispatch.lease)
    lifecycle = StageLifecycle(pool, archive, queue, worker, rules.retry)
    dispatcher = Dispatcher(queue, lifecycle, MeshRunner(channel, archive, pool), rules.dispatch)
    completeness = CompletenessLoop(
        pool,
        archive,
        lifecycle,
        rules.completeness,
        dispatcher.wake,
        rules.judge_every.total_seconds(),
    )
    views = WorkflowViews(pool, archive, rules.completeness)
    interventions = Interventions(pool, archive, queue, dispatcher.wake)
    feed = ChangeFeed(pool)
    service = WorkflowService(views, interventions, feed, AnalysisServiceStub(channel))
    return Workflow(service, interventions, views, (completeness.run, dispatcher.run, feed.run))
