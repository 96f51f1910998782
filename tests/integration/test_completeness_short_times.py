"""Evidence that takes time, over a running stack that waits less than others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from services.dicom.uids import new_uid
from services.runtime.client import MeshChannel
from tests.support.arriving import (
    at_work,
    declare,
    evidence,
    send,
    store,
    storing,
    until_waits,
)
from tests.support.modality import slices
from tests.support.running_stack import RunningStack
from tests.support.studies import operator_channel, settled

pytestmark = [pytest.mark.stack, pytest.mark.soak]

QUIET_S: Final = 4.0
TIMES: Final = {
    "HEIMDALLR_COORDINATOR_QUIET_AFTER_S": str(QUIET_S),
    "HEIMDALLR_COORDINATOR_ANNOUNCED_AFTER_S": "7",
}


@pytest.fixture(scope="module")
def quick() -> Iterator[RunningStack]:
    with RunningStack(environ=TIMES, arguments=("--without", "triton")) as running:
        yield running


@pytest.fixture
async def mesh(quick: RunningStack) -> AsyncIterator[MeshChannel]:
    async with operator_channel(quick) as opened:
        yield opened


async def test_what_a_sender_that_dies_brought_is_complete_after_quiet_alone(
    quick: RunningStack, mesh: MeshChannel
) -> None:
    study = new_uid()
    async with storing(quick) as dying:
        await store(dying, slices(study, 1, [1, 2]))
        await asyncio.to_thread(dying.abort)
    waiting = await until_waits(mesh, study, "QUIET")
    done = await settled(mesh, study)

    assert waiting.waits[0].total_s == QUIET_S
    assert (evidence(done), done.instance_count) == ("QUIET", 2)


async def test_a_study_that_stays_short_of_its_manifest_goes_on_and_says_so(
    quick: RunningStack, mesh: MeshChannel
) -> None:
    study = new_uid()
    whole = slices(study, 1, [1, 2])
    await declare(mesh, study, whole)
    await send(quick, whole[:1])
    done = await settled(mesh, study)
    work = await at_work(mesh, study)

    said = work.announcement
    assert evidence(done) == "QUIET"
    assert (said.present_count, said.announced_count) == (1, 2)
