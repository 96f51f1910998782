"""What the worklist forgets."""

from __future__ import annotations

from datetime import timedelta

import pytest

from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from services.coordinator.workflow.manifests import Manifest, Manifests, forget_orphans
from services.coordinator.worklist.tidying import Tidying
from services.runtime.migrate import apply
from services.runtime.postgres import Pool
from tests.services.coordinator.worklist.asking import schedule
from tests.services.coordinator.worklist.conftest import Worklist, scheduled
from tests.services.coordinator.worklist.test_performed import began, study

pytestmark = pytest.mark.postgres


async def test_old_steps_and_announcements_of_studies_that_never_came_are_forgotten(
    worklist: Worklist, pool: Pool
) -> None:
    await apply(pool, ["services.coordinator.archive", "services.coordinator.workflow"])
    await schedule(worklist, scheduled(accession="OLD", start=("20200101", "0900")))
    await schedule(worklist, scheduled(accession="FUTURE", start=("20990101", "0900")))
    await worklist.stub.CreatePerformedStep(began(study("1.2")))
    await Manifests(pool).declare(Manifest("1.2.3", "sender:x", counts={"1.2.3.1": 5}))
    await Manifests(pool).confirm("1.2.3", "PACS", 5)
    tidying = Tidying(pool, timedelta(days=180), forget_orphans)

    early = await tidying.tidy()
    for table in (
        "worklist.scheduled_step",
        "worklist.performed_step",
        "workflow.manifest",
        "workflow.confirmed_count",
    ):
        await pool.execute(f"UPDATE {table} SET update_time = now() - interval '181 days'")  # noqa: S608
    late = await tidying.tidy()

    left = (await worklist.stub.ListScheduledSteps(pb.ListScheduledStepsRequest())).steps
    assert early == 0
    assert late == 4
    assert [step.spec.procedure.accession_number for step in left] == ["FUTURE"]
