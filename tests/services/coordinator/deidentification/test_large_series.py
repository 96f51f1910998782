"""A series of many thousand objects: in several calls, kept in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from heimdallr.deid.v1 import review_service_pb2 as pb
from services.coordinator.workflow.mesh_runner.deidentifying import BATCH
from tests.services.coordinator.archive.arrivals import arrival
from tests.services.coordinator.deidentification.conftest import Desk
from tests.services.coordinator.workflow.workshop import stage_named, states

pytestmark = [pytest.mark.postgres, pytest.mark.soak]

COUNT = 12_000
STAGE = "deidentify:trial-7"


async def test_a_series_of_twelve_thousand_objects_is_kept_whole(
    desk: Desk, figure: Callable[[str], None]
) -> None:
    project_id = await desk.project()
    study_id = await desk.workshop.begin(
        *(arrival(number=number, data=b"%d" % number) for number in range(1, COUNT + 1))
    )
    begin = time.monotonic()
    async with desk.workshop.working():
        await desk.start(project_id, study_id)
        workflow = await desk.workshop.until(
            study_id, lambda w: states(w).get(STAGE) == "done", timeout_s=300
        )
        took_s = time.monotonic() - begin
        listed = [
            message
            async for message in desk.review.ListReleased(
                pb.ListReleasedRequest(project_id=project_id, study_id=study_id)
            )
        ]

    figure(f"12,000 objects de-identified by nobody and kept: {took_s:.1f} s")
    assert stage_named(workflow, STAGE).summary == f"{COUNT} released"
    assert [len(request.instances) for request in desk.deid.requests] == [
        BATCH,
        BATCH,
        COUNT - 2 * BATCH,
    ]
    released = [one.instance_id for message in listed for one in message.objects]
    assert len(released) == len(set(released)) == COUNT
    assert max(len(message.objects) for message in listed) == 1000
    assert len((await desk.only_series(study_id)).certificates) == 3
