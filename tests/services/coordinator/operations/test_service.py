"""The status, asked for through a real channel with figures of a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.analysis.v1 import analysis_service_pb2 as analysis_pb
from heimdallr.dicomweb.v1 import dicomweb_cache_service_pb2 as cache_pb
from heimdallr.operations.v1 import operations_service_pb2 as pb
from heimdallr.operations.v1 import operations_service_pb2_grpc as pb_grpc
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb
from services.coordinator.assembly import PACKAGES
from services.coordinator.operations.figures import Figures
from services.coordinator.operations.service import OperationsService, Sources
from services.runtime.errors import DependencyUnavailableError
from services.runtime.ids import new_id
from services.runtime.migrate import apply
from services.runtime.postgres import Pool
from tests.support.mesh import running_server
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]

pytestmark = pytest.mark.postgres

READ = Permission.PERMISSION_WORKFLOW_READ


class Parts:
    """What the status is made of, with a model and a queue that a test decides about."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self.pool = pool
        self.stack_file = folder / "stack.json"
        self.folder = folder
        self.models_away = False
        self.queue_away = False
        self.asked = 0
        self.damaged = 0

    async def queue(self) -> workflow_pb.GetQueueResponse:
        self.asked += 1
        if self.queue_away:
            raise DependencyUnavailableError("postgres")
        count = workflow_pb.StageCount(state=workflow_pb.STAGE_STATE_PENDING, count=3)
        return workflow_pb.GetQueueResponse(stages=[count])

    async def ListModels(self, _request: object, timeout: float) -> Any:  # noqa: ASYNC109
        if self.models_away:
            metadata = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, metadata, metadata)
        return analysis_pb.ListModelsResponse(models=[analysis_pb.Model(name="ct_tissue")])

    async def GetCache(self, _request: object, timeout: float) -> Any:  # noqa: ASYNC109
        if self.models_away:
            metadata = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, metadata, metadata)
        return cache_pb.GetCacheResponse(used_bytes=5, limit_bytes=9, max_age_s=60)

    async def damage(self) -> int:
        return self.damaged

    def service(self) -> OperationsService:
        us: Any = self
        figures = Figures(self.pool)
        return OperationsService(
            Sources(figures, self.queue, us, us, self.damage, self.folder, self.stack_file)
        )


@pytest.fixture
async def parts(pool: Pool, tmp_path: Path) -> Parts:
    await apply(pool, PACKAGES)
    return Parts(pool, tmp_path)


@pytest.fixture
async def stub(parts: Parts, tmp_path: Path) -> AsyncIterator[Any]:
    def add(target: grpc.aio.Server) -> None:
        pb_grpc.add_OperationsServiceServicer_to_server(parts.service(), target)

    async with running_server(tmp_path, add) as running:
        yield pb_grpc.OperationsServiceStub(running.channel(READ))


async def add_study(pool: Pool, *, hours_ago: float, sizes: list[int], state: str) -> str:
    study_id, patient_id, series_id = new_id(), new_id(), new_id()
    await pool.execute(
        "INSERT INTO archive.patient (patient_id, patient_key, patient_id_text,"
        " issuer_of_patient_id) VALUES ($1, $2, '', '')",
        patient_id,
        patient_id,
    )
    await pool.execute(
        "INSERT INTO archive.study (study_id, study_instance_uid, patient_id, patient_id_text,"
        " issuer_of_patient_id, patient_name, patient_birth_date, patient_sex, study_date,"
        " study_day, study_time, accession_number, study_id_text, study_description,"
        " referring_physician_name, state, first_receive_time, search)"
        " VALUES ($1, $2, $3, '', '', '', '', '', '', '', '', '', '', '', '', $4,"
        " now() - $5 * interval '1 hour', '')",
        study_id,
        study_id,
        patient_id,
        state,
        hours_ago,
    )
    await pool.execute(
        "INSERT INTO archive.series (series_id, study_id, series_instance_uid, modality,"
        " series_description, body_part_examined, last_generation)"
        " VALUES ($1, $2, '1', 'CT', '', '', 1)",
        series_id,
        study_id,
    )
    for size in sizes:
        instance_id = new_id()
        await pool.execute(
            "INSERT INTO archive.instance (instance_id, series_id, study_id, sop_instance_uid,"
            " sop_class_uid, sha256, size_bytes, generation, attributes, receive_time)"
            " VALUES ($1, $2, $3, $4, '', '', $5, 1, '', now())",
            instance_id,
            series_id,
            study_id,
            instance_id,
            size,
        )
    return study_id


async def add_report(pool: Pool, study_id: str, *, hours_ago: float) -> None:
    await pool.execute(
        "INSERT INTO workflow.stage (stage_id, study_id, generation, name, state, update_time)"
        " VALUES ($1, $2, 1, 'report', 'done', now() - $3 * interval '1 hour')",
        new_id(),
        study_id,
        hours_ago,
    )


async def test_figures_are_those_of_the_rows(parts: Parts, stub: Any) -> None:
    ready = await add_study(parts.pool, hours_ago=0, sizes=[100, 20], state="ready")
    older = await add_study(parts.pool, hours_ago=30, sizes=[3], state="ready")
    held = await add_study(parts.pool, hours_ago=30, sizes=[], state="held")
    await add_report(parts.pool, ready, hours_ago=0.5)
    await add_report(parts.pool, older, hours_ago=1.5)
    await add_report(parts.pool, held, hours_ago=0.5)
    await parts.pool.execute(
        "INSERT INTO workflow.result_blob VALUES ($1, 'ab', $1, 7, 'application/pdf')", ready
    )

    status = await stub.GetStatus(pb.GetStatusRequest())

    assert (status.storage.instance_bytes, status.storage.result_bytes) == (123, 7)
    assert 0 < status.storage.free_bytes < status.storage.total_bytes
    assert status.throughput.instances_last_hour == 3
    assert status.throughput.studies_ready_last_hour == 1
    assert status.throughput.studies_today == 1
    assert status.stages[0].count == 3
    assert [model.name for model in status.models] == ["ct_tissue"]
    versions = {one.part: one.version for one in status.versions}
    assert versions["heimdallr"]
    assert versions["postgres"][0].isdecimal()


async def test_damage_and_caches_are_told(parts: Parts, stub: Any) -> None:
    parts.damaged = 2

    status = await stub.GetStatus(pb.GetStatusRequest())

    assert status.storage.damaged_count == 2
    assert list(status.caches) == [
        pb.Cache(name="dicomweb", used_bytes=5, limit_bytes=9, max_age_s=60)
    ]


async def test_an_instance_of_two_hours_ago_is_not_counted(parts: Parts, stub: Any) -> None:
    await add_study(parts.pool, hours_ago=2, sizes=[1], state="ready")
    await parts.pool.execute(
        "UPDATE archive.instance SET instance_id = '01900000-0000-7000-8000-000000000000'"
    )

    status = await stub.GetStatus(pb.GetStatusRequest())

    assert status.throughput.instances_last_hour == 0


async def test_processes_are_told_as_the_supervisor_wrote_them(parts: Parts, stub: Any) -> None:
    process = {"name": "gateway", "state": "backoff", "pid": 7, "restarts": 2, "started_at": 1.5}
    waiting = {"name": "envoy", "state": "waiting", "restarts": 0, "started_at": None}
    content = {"processes": [process, waiting], "versions": {"envoy": "1.40.0"}, "data": "/d"}
    parts.stack_file.write_text(json.dumps(content))

    status = await stub.GetStatus(pb.GetStatusRequest())

    first, second = status.processes
    assert (first.name, first.state, first.restart_count) == (
        "gateway",
        pb.PROCESS_STATE_STOPPED,
        2,
    )
    assert first.start_time.ToMilliseconds() == 1500
    assert second.state == pb.PROCESS_STATE_STARTING
    assert not second.HasField("start_time")
    assert pb.Version(part="envoy", version="1.40.0") in status.versions


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"processes": [{}]}', '{"processes": 3, "versions": {}}']
)
async def test_a_broken_stack_file_leaves_out_processes_alone(
    parts: Parts, stub: Any, content: str
) -> None:
    parts.stack_file.write_text(content)

    status = await stub.GetStatus(pb.GetStatusRequest())

    assert not status.processes
    assert status.models


async def test_what_cannot_be_asked_is_left_out(parts: Parts, stub: Any) -> None:
    parts.models_away = parts.queue_away = True

    status = await stub.GetStatus(pb.GetStatusRequest())

    assert not status.models
    assert not status.stages
    assert not status.caches
    assert status.HasField("throughput")


async def test_a_database_that_fails_leaves_out_its_figures_alone(parts: Parts, stub: Any) -> None:
    await parts.pool.execute("DROP SCHEMA archive CASCADE")

    status = await stub.GetStatus(pb.GetStatusRequest())

    assert not status.HasField("throughput")
    assert status.storage.free_bytes > 0
    assert status.models


async def test_many_who_ask_at_once_cost_one_look(parts: Parts, stub: Any) -> None:
    await asyncio.gather(*(stub.GetStatus(pb.GetStatusRequest()) for _ in range(20)))

    assert parts.asked == 1


async def test_a_long_table_is_estimated_from_some_of_its_pages(parts: Parts) -> None:
    study_id = await add_study(parts.pool, hours_ago=0, sizes=[1], state="ready")
    await parts.pool.execute(
        "INSERT INTO archive.instance (instance_id, series_id, study_id, sop_instance_uid,"
        " sop_class_uid, sha256, size_bytes, generation, attributes, receive_time)"
        " SELECT gen_random_uuid(), series_id, study_id, n::text, '',"
        " repeat('a', 64), 1000, 1, repeat('x', 400)::bytea, now()"
        " FROM archive.series, generate_series(1, 60000) AS n WHERE study_id = $1",
        study_id,
    )

    instance_bytes, _ = await Figures(parts.pool).stored_bytes()

    assert 0.8 < instance_bytes / 60_000_000 < 1.2
    assert instance_bytes != 60_000_001
